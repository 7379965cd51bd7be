"""A window of time in which several processes count their steps: only then do their speeds add up.

A process that is counted while another one still prepares has more of the device than it will have in a sweep. Hence
all members prepare (build, compile, capture), say so, and wait. They are then told one window, step from before its
begin to after its end, and go on until the last of them has left it. They talk through files in a folder.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

LEAD = 1.0  # seconds from the announcement of a window to its begin, in which every member comes up to speed
POLL = 0.01  # seconds

Mark = tuple[float, Sequence[int]]  # a time, and the steps of each network up to then


@dataclass(frozen=True)
class Count:
    """What one member counted.

    Attributes:
        steps: Steps of each of its networks inside the window.
        worked: Its first and its last look at the clock, in seconds from the window's begin.
        peak_mb: Its peak memory.
        free_mb: What the device, or the machine, had left.
    """

    steps: list[float]
    worked: list[float]
    peak_mb: float
    free_mb: float


def steps_within(marks: Sequence[Mark], begin: float, end: float) -> list[float]:
    """The steps of each network between two times; a step that is cut by one of them counts in part.

    Example:
        >>> steps_within([(0.0, [0]), (2.0, [10]), (4.0, [30])], begin=1.0, end=3.0)
        [15.0]
    """
    times = [time for time, _ in marks]
    of_each = zip(*(steps for _, steps in marks), strict=True)
    return [float(np.interp(end, times, steps) - np.interp(begin, times, steps)) for steps in of_each]


class Member:
    """A process that steps in a window; its folder is given to all members.

    Attributes:
        marks: When it had taken how many steps.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.marks: list[Mark] = []
        self._begin = self._end = 0.0
        self._members = 0

    def wait(self) -> None:
        """Say that all is prepared, and wait for the window."""
        _write(self.folder / f"{os.getpid()}.ready", {})
        announced = self.folder / "window"
        while not announced.exists():
            time.sleep(POLL)
        self._begin, self._end, self._members = json.loads(announced.read_text()).values()

    def mark(self, steps: Sequence[int]) -> bool:
        """Note the steps of each network up to now; return whether the window is behind this member."""
        now = time.monotonic()  # counts from the start of the machine, so it is the same for all processes
        self.marks.append((now, list(steps)))
        return now >= self._end

    def leave(self, peak_mb: float, free_mb: float) -> None:
        """Hand in the count, once; go on stepping until `is_last_gone`, as the others may still be counting."""
        own = self.folder / f"{os.getpid()}.count"
        if not own.exists():
            worked = [self.marks[0][0] - self._begin, self.marks[-1][0] - self._begin]
            _write(own, asdict(Count(steps_within(self.marks, self._begin, self._end), worked, peak_mb, free_mb)))

    def is_last_gone(self) -> bool:
        """Whether every member has handed in its count."""
        return len(counts(self.folder)) == self._members


def announce(folder: Path, members: int, seconds: float) -> None:
    """Tell all members the window: it begins soon and takes so many seconds."""
    begin = time.monotonic() + LEAD
    _write(folder / "window", {"begin": begin, "end": begin + seconds, "members": members})


def prepared(folder: Path) -> int:
    """Number of members that are prepared."""
    return len(list(folder.glob("*.ready")))


def counts(folder: Path) -> list[Count]:
    """The counts that have been handed in."""
    return [Count(**json.loads(path.read_text())) for path in sorted(folder.glob("*.count"))]


def _write(path: Path, content: object) -> None:
    """Write a file that others find only when it is complete."""
    temporary = path.with_suffix(".tmp")
    temporary.write_text(json.dumps(content))
    os.replace(temporary, path)
