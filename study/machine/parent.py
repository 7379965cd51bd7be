"""Processes that end with the one that started them, so that a killed sweep or run leaves none behind. No torch."""

from __future__ import annotations

import ctypes
import os
import signal
import sys

from study.machine.options import is_first_rank

PR_SET_PDEATHSIG = 1  # of <sys/prctl.h>
VARIABLE = "STUDY_PARENT"  # the number of the process that `study sweep` runs in, for those that it starts


def die_with_parent(signum: int = signal.SIGKILL) -> None:
    """Make the kernel send this process a signal when its parent ends, even if the parent is killed (Linux only)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signum)


def follow_sweep() -> None:
    """Let the end of the sweep that started this process stop it, too, after a checkpoint; at once if it ended already.

    Call it before torch is imported, which takes seconds.
    """
    if VARIABLE in os.environ and is_first_rank():  # another rank follows the first
        die_with_parent(signal.SIGTERM)
        if os.getppid() != int(os.environ[VARIABLE]):
            sys.exit(128 + signal.SIGTERM)
