"""Run a command in a process of its own, with a limit: neither a crash nor a hang reaches the caller."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from study.machine.parent import die_with_parent

GRACE = 25.0  # seconds for a checkpoint after SIGTERM, before SIGKILL
KEPT = 12  # lines of a log
INTERRUPTS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@dataclass(frozen=True)
class Ended:
    """How a process ended.

    Attributes:
        status: Its exit status, negative for a signal; None if it was stopped at its limit.
        seconds: How long it ran.
        output: Its standard output.
        words: The last lines of its log, which is its standard error, or of its output if it logged nothing.
    """

    status: int | None
    seconds: float
    output: str
    words: tuple[str, ...]


def run(command: Sequence[str], files: Path, limit: float, environment: Mapping[str, str]) -> Ended:
    """Run a command to its end or its limit; at the limit it is told to stop, then killed with all that it started.

    Args:
        command: What is run.
        files: Where its output goes: ``.out``, and ``.log`` for standard error, which is added to.
        limit: Seconds.
        environment: Its environment variables.

    Raises:
        OSError: The files cannot be written.
        KeyboardInterrupt: This process was interrupted; the other one has been stopped.
    """
    out, log = files.with_suffix(".out"), files.with_suffix(".log")
    begun = time.monotonic()
    with out.open("wb") as output, log.open("ab") as errors, _interrupts_held_back():
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=errors,
            env=dict(environment),
            start_new_session=True,  # Ctrl-C reaches it through us, and it ends with whatever it started
            preexec_fn=_begin,
        )
        status = _wait(process, limit)
    seconds = time.monotonic() - begun
    text = out.read_text(errors="replace")
    return Ended(status, seconds, text, _last_lines(log) or tuple(text.split("\n")[-KEPT:]))


@contextmanager
def _interrupts_held_back() -> Iterator[None]:
    """Let no interrupt come between the start of a process and the wait for it: nobody would stop that process."""
    signal.pthread_sigmask(signal.SIG_BLOCK, INTERRUPTS)
    try:
        yield
    finally:
        _let_interrupts_in()


def _let_interrupts_in() -> None:
    signal.pthread_sigmask(signal.SIG_UNBLOCK, INTERRUPTS)


def _begin() -> None:
    """Prepare the new process: no half of a check goes on if the one that started it is killed."""
    die_with_parent()
    _let_interrupts_in()


def _wait(process: subprocess.Popen[bytes], limit: float) -> int | None:
    try:
        _let_interrupts_in()
        return process.wait(limit)
    except subprocess.TimeoutExpired:
        _stop(process)
        return None
    except KeyboardInterrupt:
        _stop(process)
        raise
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # what it left behind


def _stop(process: subprocess.Popen[bytes]) -> None:
    """Tell the process to stop; `_wait` kills what does not."""
    process.terminate()
    with suppress(subprocess.TimeoutExpired):
        process.wait(GRACE)
        return
    os.killpg(process.pid, signal.SIGKILL)
    with suppress(subprocess.TimeoutExpired):  # a process that waits for a broken driver cannot be killed
        process.wait(GRACE)


def _last_lines(log: Path) -> tuple[str, ...]:
    lines = [line.rstrip() for line in log.read_text(errors="replace").splitlines()]
    return tuple([line for line in lines if line][-KEPT:])
