"""Full disks, and folders that vanish under a run."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from study.recording.record import Record
from tests.faults.pausing import Pause, one_line, proceed
from tests.support import SPEC, train
from tests.training.test_resume import assert_equal_records, assert_goes_on

SLOW = pytest.mark.slow


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    """A file system of 70 MB."""
    folder = tmp_path / "small"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=70m", "tmpfs", str(folder)], capture_output=True, text=True
    )
    if mounted.returncode:
        pytest.skip(f"no file system can be mounted here: {mounted.stderr.strip()}")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def fill(folder: Path) -> Path:
    """Take all the room of a file system."""
    filler = folder / "filler"
    with filler.open("wb", buffering=0) as file:
        try:
            while file.write(bytes(4096)):
                pass
        except OSError:
            return filler
    raise AssertionError("it has room without end")


@pytest.mark.process
@pytest.mark.parametrize(
    ("moment", "lines"),
    [
        ("open:last.tmp:3", 3),
        pytest.param("open:metrics.jsonl:1", 0, marks=SLOW),
        pytest.param("open:responses.tmp:1", 8, marks=SLOW),
    ],
    ids=["a checkpoint", "a line", "the final files"],
)
def test_a_full_disk_is_one_line_and_the_run_goes_on_once_there_is_room(
    moment: str, lines: int, small: Path, pause: Pause, undisturbed: Record
) -> None:
    runs = small / "runs"
    process = pause(runs, moment)
    filler = fill(small)
    said = proceed(process)
    assert process.returncode == 1 and said.count("\n") == 1 and "No space left on device" in said, said
    record = Record(runs, SPEC)
    assert len(record.sound_rows()) == lines and record.state() == "interrupted"
    one_line(train(runs), 2, "MiB free", "make room")
    filler.unlink()
    assert_goes_on(record, undisturbed)


@pytest.mark.process
def test_a_folder_that_is_removed_under_a_run_ends_it(tmp_path: Path, pause: Pause) -> None:
    record = Record(tmp_path, SPEC)
    process = pause(tmp_path, "open:metrics.jsonl:3")
    shutil.rmtree(record.folder)
    said = proceed(process)
    assert process.returncode == 1 and said.count("\n") == 1 and record.folder.name in said, said
    assert not record.folder.exists()


@pytest.mark.slow
@pytest.mark.process
def test_a_run_whose_checkpoints_are_removed_makes_new_ones(tmp_path: Path, pause: Pause, undisturbed: Record) -> None:
    process = pause(tmp_path, "open:metrics.jsonl:3")
    shutil.rmtree(Record(tmp_path, SPEC).checkpoint.parent)
    proceed(process)
    assert process.returncode == 0
    assert_equal_records(Record(tmp_path, SPEC), undisturbed)
