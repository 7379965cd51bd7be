"""An arm in a process of its own: what others' scripts are compared with has none of the settings of ours."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from typing import TypeVar

from study.bench.arms import Arm
from study.machine.memory import default_memory
from study.spec import InputError
from study.training.train import quiet

T = TypeVar("T")
R = TypeVar("R")

_arm: list[Arm] = []  # of the process that `_begin` prepared


class Apart:
    """An arm whose turns are taken by another process, with the memory settings that a script has by default.

    It waits while other arms take their turns here, so turns are interleaved as those of arms in one process.

    Args:
        make: Makes the arm, in that process; a function of a module, or a partial of one.

    Raises:
        InputError: The process was killed, as it is when memory runs out.
    """

    def __init__(self, make: Callable[[], Arm]) -> None:
        self.process = ProcessPoolExecutor(1, mp_context=get_context("spawn"))
        with default_memory():
            self._ask(_begin, make)

    def turn(self, steps: int) -> float:
        """Let it take a turn; return the seconds that its counted steps took there."""
        return self._ask(_turn, steps)

    def _ask(self, function: Callable[[T], R], argument: T) -> R:
        try:
            return self.process.submit(function, argument).result()
        except BrokenProcessPool:
            raise InputError("the process of the arm loader ended; leave it out of --arms") from None


def _begin(make: Callable[[], Arm]) -> None:
    quiet()
    _arm.append(make())


def _turn(steps: int) -> float:
    return _arm[0].turn(steps)
