"""The processes that train on the slices of a machine."""

from __future__ import annotations

import subprocess
from collections import deque
from collections.abc import Mapping
from pathlib import Path

from study.sweeps.slices import Slice

GRACE = 120.0  # seconds that a stopped run has to write its checkpoint and to finish with W&B


class Worker:
    """Runs commands on one slice, one after the other; their output goes to a log."""

    def __init__(self, part: Slice, environment: Mapping[str, str], log: Path) -> None:
        self.environment = environment
        self.name, self.log = part.name, log
        self.commands: deque[list[str]] = deque()
        self.process: subprocess.Popen[bytes] | None = None

    def is_busy(self) -> bool:
        """Whether a command is running; if none is, start the next one."""
        if self.process and self.process.poll() is None:
            return True
        if not self.commands:
            return False
        with self.log.open("ab") as log:  # a session of its own: Ctrl-C at our terminal must not reach it directly
            self.process = subprocess.Popen(
                self.commands.popleft(), env=self.environment, stdout=log, stderr=log, start_new_session=True
            )
        return True

    def stop(self) -> None:
        """Tell the running command to write a checkpoint and exit; an agent passes the signal on to its run."""
        self.commands.clear()
        if self.process:
            self.process.terminate()

    def wait(self) -> None:
        """Wait until the command has ended; kill it after `GRACE` seconds, and its run ends with it."""
        if self.process:
            try:
                self.process.wait(GRACE)
            except subprocess.TimeoutExpired:
                self.process.kill()
