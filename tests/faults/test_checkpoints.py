"""Damaged checkpoints: found before they are used; the one before it is used instead, and the end is the same."""

from __future__ import annotations

import os
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from study.recording.record import Record
from study.training.checkpoints import Checkpoints, is_whole
from study.weights.pretrained import sha256
from tests.faults.trap import Trap
from tests.support import CELL, SPEC, run, train
from tests.training.test_resume import assert_equal_records, signalled, steps

SLOW = pytest.mark.slow
Damage = Callable[[Path], object]


def flip(path: Path, place: float = 0.5) -> None:
    """Turn one bit over."""
    content = bytearray(path.read_bytes())
    content[int(place * len(content))] ^= 1
    path.write_bytes(content)


def change(**new: object) -> Damage:
    """Write the checkpoint again, with other values for its cell."""

    def damage(path: Path) -> None:
        checkpoint = torch.load(path, weights_only=True)
        checkpoint["cell"] |= new
        torch.save(checkpoint, path)

    return damage


DAMAGED: dict[str, Damage] = {
    "a bit in the middle": flip,
    "a bit near the start": lambda path: flip(path, 0.1),
    "half of it": lambda path: os.truncate(path, path.stat().st_size // 2),
    "none of it": lambda path: os.truncate(path, 0),
    "noise": lambda path: path.write_bytes(os.urandom(1000)),
    "a pickle with code": lambda path: path.write_bytes(pickle.dumps(Trap())),
    "another cell's": change(name="digits-20-A-smoke-s3"),
    "a step beyond the end": change(step=10**9),
    "a step before the start": change(step=-5),
}


@pytest.fixture(scope="module")
def interrupted(tmp_path_factory: pytest.TempPathFactory) -> Record:
    """A run that was stopped at step 23, with lines for steps 5 to 20 and checkpoints of steps 23 and 20."""
    runs = tmp_path_factory.mktemp("interrupted")
    with pytest.MonkeyPatch.context():
        signalled(runs, "SIGTERM", "call:batch:23")
    return Record(runs, SPEC)


@pytest.fixture
def copy(interrupted: Record, tmp_path: Path) -> Record:
    shutil.copytree(interrupted.folder.parent, tmp_path / "runs")
    return Record(tmp_path / "runs", SPEC)


@pytest.mark.process
@pytest.mark.parametrize("is_listed", [True, False], ids=["with digests", "of an older release"])
@pytest.mark.parametrize("name", DAMAGED)
def test_a_damaged_checkpoint_is_not_used(name: str, is_listed: bool, copy: Record) -> None:
    """The one before it is, whose digest is listed; of an older release's pair, too."""
    checkpoints = Checkpoints(copy)
    if not is_listed:
        (copy.checkpoint.parent / "digests.json").unlink()
    assert checkpoints.start(copy).checkpoint == copy.checkpoint
    DAMAGED[name](copy.checkpoint)
    start = checkpoints.start(copy)
    assert start.checkpoint == checkpoints.previous and list(start.damaged) == [copy.checkpoint], start
    DAMAGED[name](checkpoints.previous)
    start = checkpoints.start(copy)
    assert start.checkpoint is None and len(start.damaged) == 2
    assert not Path("trapped").exists()


@pytest.mark.process
@pytest.mark.parametrize("count", [1, 2], ids=["the last is damaged", "both are damaged"])
def test_a_run_goes_on_from_what_is_sound_to_the_same_end(count: int, copy: Record, undisturbed: Record) -> None:
    checkpoints = Checkpoints(copy)
    for path in (copy.checkpoint, checkpoints.previous)[:count]:
        flip(path)
    done = train(copy.folder.parent)
    assert done.returncode == 0, done.stderr
    said = done.stderr.splitlines()
    assert len(said) == count + 1 and "its digest is another" in said[0], said
    assert said[-1].endswith("goes on from previous.ckpt" if count == 1 else "goes on from step 0")
    assert_equal_records(copy, undisturbed)
    assert copy.provenance()["faults"] == [line.partition(": ")[2].partition(": ")[2] for line in said]
    assert copy.checkpoint.with_suffix(".damaged").exists() and not checkpoints.previous.exists()
    assert not list(copy.folder.rglob("*.tmp")) and not list(copy.folder.glob(".lease*"))


@pytest.mark.process
@pytest.mark.parametrize(
    ("damage", "kept"),
    [
        pytest.param(lambda lines: lines[:3], 3, marks=SLOW),
        pytest.param(lambda lines: [], 0, marks=SLOW),
        (lambda lines: lines[:1] + lines[2:], 1),
        (lambda lines: [*lines[:2], "garbage\n", *lines[2:]], 2),
        pytest.param(lambda lines: [*lines, "garbage\n"], 4, marks=SLOW),
        pytest.param(lambda lines: [*lines, lines[-1]], 4, marks=SLOW),
        pytest.param(lambda lines: [*lines, "\0" * 512], 4, marks=SLOW),
    ],
    ids=["the last is lost", "all are lost", "one is lost", "garbage between", "garbage behind", "one twice", "NULs"],
)
def test_a_history_that_lacks_lines_is_completed(
    damage: Callable[[list[str]], list[str]], kept: int, copy: Record, undisturbed: Record
) -> None:
    path = copy.folder / "metrics.jsonl"
    before = "".join(damage(path.read_text().splitlines(keepends=True)))
    path.write_text(before)
    done = train(copy.folder.parent)
    assert done.returncode == 0, done.stderr
    assert_equal_records(copy, undisturbed)
    copies = [file.read_text() for file in copy.folder.glob("metrics.damaged-*.jsonl")]
    is_kept = before.count("\n") > kept
    assert copies == ([before] if is_kept else [])
    assert ("metrics.jsonl is damaged" in done.stderr) == is_kept


def test_the_last_and_the_one_before_are_kept_until_the_end(copy: Record) -> None:
    checkpoints = Checkpoints(copy)
    assert steps(copy) == [5, 10, 15, 20]
    cells = [torch.load(path, weights_only=True)["cell"]["step"] for path in (copy.checkpoint, checkpoints.previous)]
    assert cells == [23, 20]
    assert is_whole(copy.checkpoint)
    listed = (copy.checkpoint.parent / "digests.json").read_text()
    assert all(sha256(path) in listed for path in (copy.checkpoint, checkpoints.previous))


@pytest.mark.process
def test_the_temporary_folder_is_not_used(tmp_path: Path, undisturbed: Record) -> None:
    """On a node with a small /tmp a checkpoint of 480 MB would end the run."""
    (tmp_path / "tmp").touch()  # a file where the folder would be: nothing can be written there
    done = run("study", "train", *CELL, f"--runs={tmp_path / 'runs'}", TMPDIR=str(tmp_path / "tmp"))
    assert done.returncode == 0, done.stderr
    assert_equal_records(Record(tmp_path / "runs", SPEC), undisturbed)
