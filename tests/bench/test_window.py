"""The window in which several processes count their steps."""

from __future__ import annotations

from pathlib import Path
from threading import Thread

import pytest

from study.bench import window
from study.bench.window import Member, steps_within
from tests.support import wait_for


@pytest.mark.parametrize(
    ("begin", "end", "steps"),
    [(1.0, 3.0, 20.0), (0.0, 4.0, 40.0), (1.5, 1.75, 2.5), (2.0, 3.5, 15.0)],
)
def test_a_step_that_the_window_cuts_counts_in_part(begin: float, end: float, steps: float) -> None:
    even = [(float(time), [10 * time]) for time in range(5)]
    assert steps_within(even, begin, end) == pytest.approx([steps])


def test_each_network_is_counted_by_itself() -> None:
    assert steps_within([(0.0, [0, 5]), (1.0, [4, 5]), (2.0, [8, 25])], 0.5, 1.5) == pytest.approx([4.0, 10.0])


def test_nobody_leaves_before_the_last_is_counted(tmp_path: Path) -> None:
    """One member steps here; of the second one it sees the files only, as it would of another process."""
    member, taken = Member(tmp_path), [0]

    def work() -> None:
        member.wait()
        while not member.is_last_gone():
            taken[0] += 1
            if member.mark(taken):
                member.leave(peak_mb=1.0, free_mb=2.0)

    thread = Thread(target=work)
    thread.start()
    wait_for(lambda: window.prepared(tmp_path) == 1)
    window.announce(tmp_path, members=2, seconds=0.1)
    wait_for(lambda: len(window.counts(tmp_path)) == 1)
    counted, before = window.counts(tmp_path)[0], taken[0]
    wait_for(lambda: taken[0] > before, seconds=20)
    (tmp_path / "another.count").write_text((next(tmp_path.glob("*.count"))).read_text())
    thread.join(60)
    assert not thread.is_alive()
    assert counted.worked[0] <= 0 and counted.worked[1] >= 0.1 and counted.steps[0] > 0
