"""A run that stops itself at a certain moment, so that something can happen to it then."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

from tests.support import children, has_stopped, wait_for

Pause = Callable[..., subprocess.Popen[str]]


def proceed(process: subprocess.Popen[str], seconds: float = 120) -> str:
    """Let a paused process go on to its end; returns what it says."""
    os.kill(process.pid, signal.SIGCONT)
    return process.communicate(timeout=seconds)[0]


def wait_until_stopped(process: subprocess.Popen[str]) -> bool:
    """Wait until a process has stopped itself; False if it ended before."""
    wait_for(lambda: has_stopped(process.pid) or process.poll() is not None)
    return process.poll() is None


def other_ranks(process: subprocess.Popen[str]) -> list[int]:
    """The processes of the ranks but the first, whose process this is."""
    return [pid for pid in children(process.pid) if "train" in Path(f"/proc/{pid}/cmdline").read_text()]


def other_rank(process: subprocess.Popen[str]) -> int:
    """The process of rank 1, of two."""
    (rank,) = other_ranks(process)
    return rank


def is_gone(pid: int) -> bool:
    """Whether a process has ended, even if nobody has asked how."""
    try:
        return not Path(f"/proc/{pid}/cmdline").read_text()
    except OSError:
        return True


def one_sentence(process: subprocess.Popen[str], said: str, words: str) -> None:
    """A run of several ranks that ended with status 1 and one sentence of ours, beside what Lightning says."""
    assert process.returncode == 1 and words in said, said
    assert said.count("study:") == 1 and "Traceback" not in said, said


def one_line(done: subprocess.CompletedProcess[str], status: int, *words: str) -> None:
    """A program that ended with that status and one line, which has these words."""
    assert done.returncode == status, done.stdout + done.stderr
    assert done.stderr.count("\n") == 1 and all(word in done.stderr for word in words), done.stderr
