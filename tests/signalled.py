"""Run the product in a process that sends itself a signal at a given moment, however busy the machine is.

    python -m tests.signalled SIGKILL open:metrics.jsonl:3 MODULE ...   before it opens the file a third time to write
    python -m tests.signalled SIGKILL rename:last.tmp:2 MODULE ...      before it renames the file a second time
    python -m tests.signalled SIGTERM call:batch:13 MODULE ...          as it enters a function of that name a 13th time
    python -m tests.signalled SIGXFSZ write:100000 MODULE ...           in the middle of a file above 100,000 bytes

The product runs unchanged. Python reports files that are about to be opened or renamed to an audit hook (PEP 578) and
calls to a profiler; the kernel enforces the limit on a file's size.
"""

from __future__ import annotations

import os
import resource
import runpy
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

EVENTS = {"open": "open", "rename": "os.rename"}


class Countdown:
    """Sends this process a signal on the `count`-th call, and never again."""

    def __init__(self, signum: signal.Signals, count: int) -> None:
        self.signum, self.left = signum, count

    def __call__(self) -> None:
        self.left -= 1
        if self.left == 0:
            os.kill(os.getpid(), self.signum)


def watch_files(event: str, name: str, reached: Callable[[], None]) -> None:
    """Call `reached` before a file of that name is opened for writing, or renamed."""

    def hook(what: str, arguments: tuple[Any, ...]) -> None:
        if what == event and is_named(arguments[0], name) and (event != "open" or is_written(arguments[1])):
            reached()

    sys.addaudithook(hook)


def is_named(path: object, name: str) -> bool:
    """Whether a path, and not the number of an open file, ends in the name."""
    return isinstance(path, str | bytes | os.PathLike) and Path(os.fsdecode(path)).name == name


def is_written(mode: str | None) -> bool:
    """Whether `open` writes in this mode."""
    return bool(set(mode or "") & set("wax+"))


def watch_calls(name: str, reached: Countdown) -> None:
    """Call `reached` whenever a Python function of that name is entered."""

    def profile(frame: FrameType, event: str, _: object) -> None:
        if event == "call" and frame.f_code.co_name == name:
            reached()
            if not reached.left:
                sys.setprofile(None)

    sys.setprofile(profile)


def limit_files(size: int) -> None:
    """Let the kernel send SIGXFSZ once a file grows above `size` bytes; what fitted stays on the disk."""
    signal.signal(signal.SIGXFSZ, signal.SIG_DFL)  # Python ignores it, and would raise OSError instead
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


def main() -> None:
    """Prepare the signal, then run the module as ``python -m`` does."""
    signum, moment, module, *arguments = sys.argv[1:]
    what, *details = moment.split(":")
    if what == "write":
        limit_files(int(details[0]))
    elif what == "call":
        watch_calls(details[0], Countdown(signal.Signals[signum], int(details[1])))
    else:
        watch_files(EVENTS[what], details[0], Countdown(signal.Signals[signum], int(details[1])))
    sys.argv = [module, *arguments]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
