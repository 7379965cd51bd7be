"""An arm in a process of its own: what others' scripts are compared with has none of the settings of ours."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from typing import ParamSpec, TypeVar

from study.bench.arms import Arm
from study.machine.memory import default_memory
from study.spec import InputError
from study.training.train import quiet

P = ParamSpec("P")
R = TypeVar("R")

_arm: list[Arm] = []  # of the process that `_begin` prepared


def spawn() -> ProcessPoolExecutor:
    """A process that shares nothing with this one but its environment."""
    return ProcessPoolExecutor(1, mp_context=get_context("spawn"))


def ask(process: ProcessPoolExecutor, arm: str, function: Callable[P, R], *arguments: P.args, **more: P.kwargs) -> R:
    """Call a function of a module in another process; return its result.

    Raises:
        InputError: The process was killed, as it is when memory runs out; the message names the arm.
    """
    try:
        return process.submit(function, *arguments, **more).result()
    except BrokenProcessPool:
        raise InputError(f"the process of the arm {arm} was killed; leave it out of --arms") from None


class Apart:
    """An arm whose turns are taken by another process, with the memory settings that a script has by default.

    It waits while other arms take their turns here, so turns are interleaved as those of arms in one process.

    Args:
        name: Of the arm.
        make: Makes the arm, in that process; a function of a module, or a partial of one.

    Raises:
        InputError: The process was killed.
    """

    def __init__(self, name: str, make: Callable[[], Arm]) -> None:
        self.name, self.process = name, spawn()
        with default_memory():
            ask(self.process, name, _begin, make)

    def turn(self, steps: int) -> float:
        """Let it take a turn; return the seconds that its counted steps took there."""
        return ask(self.process, self.name, _turn, steps)


def _begin(make: Callable[[], Arm]) -> None:
    quiet()
    _arm.append(make())


def _turn(steps: int) -> float:
    return _arm[0].turn(steps)
