"""What tests of faults share: a run that stops itself."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.faults.pausing import Pause, wait_until_stopped
from tests.support import CELL, Start


@pytest.fixture
def pause(start: Start) -> Pause:
    """Begin to train; the process stops itself at a moment, and goes on at SIGCONT."""

    def begin(runs: Path, moment: str, *more: str, **environment: str) -> subprocess.Popen[str]:
        arguments = ("study", "train", *CELL, f"--runs={runs}", *more)
        process = start("tests.signalled", "SIGSTOP", moment, *arguments, **environment)
        wait_until_stopped(process)
        return process

    return begin
