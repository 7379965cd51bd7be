"""The results of a run need its images and its network on one device, which they share only until `fit` ends."""

from __future__ import annotations

from pathlib import Path

import pytest

from study.recording.record import MEASUREMENTS, Record
from tests.support import CELL, SPEC, run


def end(runs: Path, *more: str) -> Record:
    """Train to the end, with the images on another device than the network as soon as Lightning lets go of it."""
    done = run("tests.elsewhere", "study", "train", *CELL, f"--runs={runs}", *more)
    assert done.returncode == 0, done.stderr
    return Record(runs, SPEC)


def assert_equal_results(one: Record, other: Record) -> None:
    summaries = [record.summary() for record in (one, other)]
    assert summaries[0] and summaries[1] and summaries[0]["weights_sha256"] == summaries[1]["weights_sha256"]
    assert summaries[0]["peak_memory_mb"] > 0
    for name in MEASUREMENTS:
        assert one.measurement(name) == other.measurement(name) is not None


@pytest.mark.process
def test_no_result_needs_the_images_after_lightning_has_moved_the_network(undisturbed: Record, tmp_path: Path) -> None:
    """Of a run from its start, and of one that was complete but for its summary."""
    record = end(tmp_path)
    assert_equal_results(record, undisturbed)
    for name in ("summary", *MEASUREMENTS):
        (record.folder / f"{name}.json").unlink()
    rows = record.history()
    assert_equal_results(end(tmp_path), undisturbed)
    assert record.history() == rows


@pytest.mark.process
def test_nor_do_those_of_two_ranks(two_ranks: Record, tmp_path: Path) -> None:
    assert_equal_results(end(tmp_path, "--devices=2"), two_ranks)
