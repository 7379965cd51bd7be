"""The processes that train on the slices of a machine, and the environment that they inherit."""

from __future__ import annotations

import os
import subprocess
from collections import deque
from collections.abc import Mapping, Sequence
from pathlib import Path

from study.sweeps.slices import Slice

GRACE = 120.0  # seconds that a stopped run has to write its checkpoint and to finish with W&B
FOREIGN = (  # variables of a surrounding job, which would make all runs of this machine parts of that job
    "MASTER_ADDR",
    "MASTER_PORT",
    "RANK",
    "LOCAL_RANK",
    "NODE_RANK",
    "GROUP_RANK",
    "WORLD_SIZE",
    "WANDB_RUN_ID",
    "WANDB_SWEEP_ID",
    "WANDB_SWEEP_PARAM_PATH",
    "WANDB_SERVICE",
)


def inherited(part: Slice) -> dict[str, str]:
    """The environment of a process on a slice: this process's without `FOREIGN`, and what the slice adds."""
    kept = {name: value for name, value in os.environ.items() if name not in FOREIGN}
    return {**kept, **part.variables, **({"STUDY_SLICE": part.name} if part.name else {})}


class Worker:
    """Runs commands on one slice, one after the other; their output goes to a log.

    Args:
        part: The slice.
        environment: The environment of its processes.
        log: Where the output of queued commands goes.

    Attributes:
        commands: What is queued; `is_busy` starts the next command when none runs.
    """

    def __init__(self, part: Slice, environment: Mapping[str, str], log: Path = Path(os.devnull)) -> None:
        self.environment = environment
        self.part, self.log = part, log
        self.commands: deque[list[str]] = deque()
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def status(self) -> int | None:
        """The exit status of the last command, None while it runs and before the first."""
        return self.process.poll() if self.process else None

    def start(self, command: Sequence[str], log: Path) -> None:
        """Start a command; none may be running."""
        with log.open("ab") as output:  # a session of its own: Ctrl-C at our terminal must not reach it directly
            self.process = subprocess.Popen(
                command, env=self.environment, stdout=output, stderr=output, start_new_session=True
            )

    def is_busy(self) -> bool:
        """Whether a command is running; if none is, start the next one."""
        if self.process and self.process.poll() is None:
            return True
        if not self.commands:
            return False
        self.start(self.commands.popleft(), self.log)
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


def stop_all(workers: Sequence[Worker]) -> None:
    """Tell all workers to stop, then wait for each."""
    for worker in workers:
        worker.stop()
    for worker in workers:
        worker.wait()
