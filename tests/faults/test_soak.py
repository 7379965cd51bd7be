"""The short form of the soak: four faults to training. ``make soak`` inflicts sixty."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults.soak import schedule, soak


def test_a_schedule_is_drawn_again_from_its_seed() -> None:
    assert list(schedule(7, 60)) == list(schedule(7, 60)) != list(schedule(8, 60))
    assert {fault.whom for fault in schedule(7, 60)} == {"the run", "a rank", "a stopped run", "a report"}


@pytest.mark.process
def test_whatever_is_killed_ends_as_if_nothing_had_happened(tmp_path: Path) -> None:
    happened = soak(tmp_path, seed=1, count=4)
    assert happened["took effect"] >= 2
