"""Runs of the releases before this one: what they left is read, and what they began is finished.

tests/fixtures/releases has, by the day of the release, a finished record without its checkpoint, and a run that was
stopped at step 23. A new release adds its own before its first change of a format.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from reports.gathering.gather import gather
from study.recording.record import Record
from tests.support import SPEC, train, values
from tests.training.test_resume import assert_equal_records, steps

RELEASES = sorted((Path(__file__).parents[1] / "fixtures" / "releases").iterdir())


@pytest.mark.parametrize("release", RELEASES, ids=lambda release: release.name)
def test_a_record_of_an_older_release_counts(release: Path) -> None:
    found = gather(release / "finished")
    assert list(found.counting["run"]) == [SPEC.name] and len(found.history) == 8


@pytest.mark.process
@pytest.mark.parametrize("release", RELEASES, ids=lambda release: release.name)
def test_a_run_that_an_older_release_began_is_finished(release: Path, tmp_path: Path, undisturbed: Record) -> None:
    """To the same end on the processor and the version of torch that it began with; else to one that counts."""
    shutil.copytree(release / "interrupted", tmp_path / "runs")
    record = Record(tmp_path / "runs", SPEC)
    before = values(record)
    done = train(tmp_path / "runs")
    assert done.returncode == 0, done.stderr
    assert values(record)[: len(before)] == before and steps(record) == steps(undisturbed)
    assert len(gather(tmp_path / "runs").counting) == 1
    ours, theirs = (of.provenance() for of in (undisturbed, record))
    if all(ours[key] == theirs[key] for key in ("device", "versions", "threads")):
        assert_equal_records(record, undisturbed)
