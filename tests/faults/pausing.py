"""A run that stops itself at a certain moment, so that something can happen to it then."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

from tests.support import children

Pause = Callable[..., subprocess.Popen[str]]


def proceed(process: subprocess.Popen[str], seconds: float = 120) -> str:
    """Let a paused process go on to its end; returns what it says."""
    os.kill(process.pid, signal.SIGCONT)
    return process.communicate(timeout=seconds)[0]


def other_rank(process: subprocess.Popen[str]) -> int:
    """The process of rank 1."""
    (rank,) = [pid for pid in children(process.pid) if "train" in Path(f"/proc/{pid}/cmdline").read_text()]
    return rank


def is_gone(pid: int) -> bool:
    """Whether a process has ended, even if nobody has asked how."""
    try:
        return not Path(f"/proc/{pid}/cmdline").read_text()
    except OSError:
        return True


def one_line(done: subprocess.CompletedProcess[str], status: int, *words: str) -> None:
    """A program that ended with that status and one line, which has these words."""
    assert done.returncode == status, done.stdout + done.stderr
    assert done.stderr.count("\n") == 1 and all(word in done.stderr for word in words), done.stderr
