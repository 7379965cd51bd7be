"""Adding runs to a snapshot: nothing is lost, the rules for two runs of a cell hold, and differences are named."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from reports.__main__ import run
from reports.gathering import snapshot
from reports.gathering.add import add, shorten
from reports.gathering.gather import gather
from study.recording.files import write_json
from study.recording.record import Record
from study.spec import Spec
from tests.records import write_run
from tests.support import refusal

FIRST, SECOND, THIRD = (Spec("digits", 20, "A", "mini", seed) for seed in range(3))


def note(record: Record, **more: Any) -> Record:
    """Change what a record's provenance says."""
    write_json(record.folder / "provenance.json", record.provenance() | more)
    return record


def written(runs: Path, spec: Spec, error: float = 1.0, started: str = "2026-01-01") -> Record:
    return note(write_run(runs, spec, error, error + 1), started=started)


def test_adding_gives_the_bytes_of_gathering_at_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Also where the snapshot's runs are long gone, as those of the committed one."""
    for spec in (FIRST, THIRD):
        written(tmp_path / "before", spec)
    written(tmp_path / "later", SECOND)
    for folder in ("before", "later"):
        shutil.copytree(tmp_path / folder, tmp_path / "all", dirs_exist_ok=True)
    out = tmp_path / "out"
    assert run(["gather", f"--runs={tmp_path / 'all'}", f"--out={tmp_path / 'at once'}"]) == 0
    assert run(["gather", f"--runs={tmp_path / 'before'}", f"--out={out}"]) == 0
    shutil.rmtree(tmp_path / "before")
    assert run(["gather", "--add", f"--runs={tmp_path / 'later'}", f"--out={out}"]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == f"3 of 3 runs count; the snapshot is in {out}"
    for path in (tmp_path / "at once").iterdir():
        assert (out / path.name).read_bytes() == path.read_bytes(), path.name


def test_gathering_the_same_again_changes_nothing_and_says_nothing(tmp_path: Path) -> None:
    for spec in (FIRST, SECOND):
        written(tmp_path / "runs", spec)
    snapshot.write(gather(tmp_path / "runs"), tmp_path / "out")
    joined, differing = add(snapshot.read(tmp_path / "out"), gather(tmp_path / "runs"))
    snapshot.write(joined, tmp_path / "again")
    assert not differing
    for path in (tmp_path / "out").iterdir():
        assert (tmp_path / "again" / path.name).read_bytes() == path.read_bytes(), path.name


@pytest.mark.parametrize(
    ("started", "kept", "error"),
    [
        ("2026-01-02", "the snapshot's", 2.0),
        ("2025-12-31", "the gathered one", 31.0),
        ("2026-01-01", "the gathered one", 31.0),
    ],
)
def test_of_two_runs_of_a_cell_the_first_one_is_kept_and_the_difference_named(
    tmp_path: Path, started: str, kept: str, error: float
) -> None:
    """Nobody chooses the better one; a run that was started at the same time is the same run."""
    before, given = tmp_path / "before", tmp_path / "given"
    written(before, FIRST)
    written(given, FIRST, error=30.0, started=started)
    joined, differing = add(gather(before), gather(given))
    assert differing == [f"{FIRST.name} is in the snapshot with different content; {kept} is kept"]
    assert list(joined.results["test_error"]) == [error]
    assert len(joined.history) == 64 and joined.history["test/top1_error"].iloc[-1] == error


def test_a_run_that_counts_is_kept_before_one_that_does_not(tmp_path: Path) -> None:
    before, given = tmp_path / "before", tmp_path / "given"
    written(before, FIRST)
    (written(given, FIRST, started="2025-01-01").folder / "summary.json").unlink()
    joined, differing = add(gather(before), gather(given))
    assert list(joined.counting["run"]) == [FIRST.name] and "the snapshot's is kept" in differing[0]
    joined, differing = add(gather(given), gather(before))
    assert list(joined.counting["run"]) == [FIRST.name] and "the gathered one is kept" in differing[0]


def test_what_only_the_snapshot_has_of_a_run_stays(tmp_path: Path) -> None:
    record = written(tmp_path / "runs", FIRST)
    before = gather(tmp_path / "runs")
    (record.folder / "responses.json").unlink()
    joined, differing = add(before, gather(tmp_path / "runs"))
    assert len(joined.responses) == 1 and not differing


def test_a_copy_of_a_run_in_the_snapshot_does_not_count(tmp_path: Path) -> None:
    written(tmp_path / "before", FIRST)
    same = gather(tmp_path / "before").runs["weights_sha256"].iloc[0]
    note(write_run(tmp_path / "given", SECOND, 1.0, 2.0, weights_sha256=same), started="2026-01-01")
    joined, _ = add(gather(tmp_path / "before"), gather(tmp_path / "given"))
    assert list(joined.counting["run"]) == [FIRST.name]
    assert list(joined.excluded["reason"]) == [f"a copy: its weights are identical to those of {FIRST.name}"]


def test_paths_of_the_machine_are_shortened_and_no_other_word(tmp_path: Path) -> None:
    argv = ["train", "--depth=20", "--runs=/home/somebody/runs", "--data=data", "--out", "/mnt/disk", "--lr=1/2"]
    shown = ["train", "--depth=20", "--runs=runs", "--data=data", "--out", "disk", "--lr=1/2"]
    assert json.loads(shorten(json.dumps(argv))) == shown
    note(written(tmp_path, FIRST), argv=argv)
    gathered = gather(tmp_path)
    joined, differing = add(gathered, gathered)
    assert json.loads(joined.runs["argv"].iloc[0]) == shown and len(differing) == 1
    again, differing = add(joined, gathered)
    assert not differing and json.loads(again.runs["argv"].iloc[0]) == shown


def test_without_a_snapshot_there_is_nothing_to_add_to(tmp_path: Path) -> None:
    written(tmp_path / "runs", FIRST)
    message = refusal(run, "gather", "--add", f"--runs={tmp_path / 'runs'}", f"--out={tmp_path / 'out'}")
    assert message.startswith(f"{tmp_path / 'out'} has no snapshot; run: python -m reports gather")
