"""The short form of the soak: three faults. ``make soak`` inflicts sixty."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

import pytest

from tests.faults.soak import WHOM, schedule, soak


def test_a_schedule_is_drawn_again_from_its_seed() -> None:
    one, same, other = (list(islice(schedule(seed), 60)) for seed in (7, 7, 8))
    assert one == same != other and {fault.whom for fault in one} == set(WHOM)


@pytest.mark.process
def test_whatever_is_killed_ends_as_if_nothing_had_happened(tmp_path: Path) -> None:
    happened = soak(tmp_path, seed=1, count=3)
    assert sum(count for what, count in happened.items() if what.startswith("SIG")) == 3
    assert happened["runs that ended as when left alone"] >= 3
