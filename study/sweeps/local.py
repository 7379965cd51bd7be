"""Run the cells of a sweep file on this machine, without W&B: the same file, the same cells, the same records.

Each cell runs in a process of its own (``python -m study train``), so that one that fails does not affect the others.
Several sweeps of one runs folder, on this host or on several that share the folder, are a work queue: a cell is trained
by whoever locks it first, and the others come back to it until it has an outcome.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
import time
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from types import FrameType

from study.machine.options import MachineOptions
from study.machine.parent import VARIABLE
from study.recording.record import LOG, Record, unwritable
from study.spec import InputError, Spec
from study.sweeps.display import Display, print_table
from study.sweeps.grid import command
from study.sweeps.slices import Slice, with_service
from study.sweeps.workers import Worker, inherited, stop_all

OUTCOMES = ("finished", "diverged")  # states in which nothing is left to train
POLL = 0.2  # seconds between two looks at the processes of this sweep
LOOK = 2.0  # seconds between two looks at cells that other processes train; each costs a try at a lock


def show_commands(specs: Sequence[Spec], machine: MachineOptions) -> int:
    """Print the command of each cell without running it."""
    for spec in specs:
        print(" ".join(["python", *command(spec, machine.flags())[1:]]))
    return 0


def run(specs: Sequence[Spec], machine: MachineOptions, fleet: Sequence[Slice]) -> int:
    """Train every cell that has no outcome, one at a time on each slice, and wait for those that others train.

    Returns:
        0 if each cell has an outcome, 1 if one failed or was stopped in W&B, 128 + signal if this sweep is stopped.
        Then the running cells stop too, each after a checkpoint, and no other starts.

    Raises:
        InputError: The runs folder cannot be written.
    """
    records = [Record(machine.runs, spec) for spec in specs]
    for signum in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(signum, interrupt)
    with with_service(fleet) as parts, Display(len(records)) as display:
        queue = _Queue(records, machine, parts, display)
        try:
            queue.run()
        except KeyboardInterrupt as stop:
            return 128 + int(stop.args[0] if stop.args else signal.SIGINT)
        finally:
            stop_all(queue.workers)
    print_table(f"{len(specs)} cells in {machine.runs}", records)
    stopped = [record for record in records if read_state(record) == "stopped"]
    for record in stopped:
        print(f"study: {record.spec.name} was {record.stopped()}; --again takes it up", file=sys.stderr)
    failed = [record for record in queue.failed if read_state(record) not in OUTCOMES]
    for record in failed:
        print(
            f"study: {record.spec.name} ended with status {queue.failed[record]}: {_last_words(record)}",
            file=sys.stderr,
        )
    return 1 if failed or stopped else 0


def read_state(record: Record) -> str:
    """The state of a cell; `study train` says what is wrong with a record that cannot be read."""
    try:
        return record.state()
    except InputError:
        return "unreadable"


def log_of(record: Record) -> Path:
    """The log of the process that this sweep starts for a cell; each sweep has its own."""
    return record.folder / f"{LOG}{socket.gethostname()}-{os.getpid()}.log"


def _last_words(record: Record) -> str:
    lines = log_of(record).read_text(errors="replace").split("\n")
    return next((line for line in reversed(lines) if line.strip()), "it printed nothing")


def interrupt(signum: int, _: FrameType | None) -> None:
    """A signal handler that raises KeyboardInterrupt, so that the signal stops a sweep as Ctrl-C does."""
    raise KeyboardInterrupt(signum)


class _Queue:
    """The cells without an outcome, and the workers that train them.

    Attributes:
        workers: One for each slice.
        failed: The exit status of each cell whose process ended here without an outcome. It is not started again here.
    """

    def __init__(
        self, records: Sequence[Record], machine: MachineOptions, fleet: Sequence[Slice], display: Display
    ) -> None:
        threads = {"OMP_NUM_THREADS": str(max(1, (os.cpu_count() or 1) // len(fleet)))} if len(fleet) > 1 else {}
        own = {VARIABLE: str(os.getpid())}
        self.workers = [Worker(part, threads | inherited(part) | own) for part in fleet]
        self.failed: dict[Record, int | None] = {}
        self._left, self._running = deque(records), dict[Worker, Record]()
        self._options, self._display, self._again = machine.flags(), display, machine.again
        self._look_at, self._seen_elsewhere = 0.0, set[Record]()

    def run(self) -> None:
        """Train until each cell has an outcome or has failed here and is trained nowhere else."""
        while self._left or self._running:
            if time.monotonic() >= self._look_at:
                self._fill()
            time.sleep(POLL)
            for worker, record in list(self._running.items()):
                self._watch(worker, record)
        while any(read_state(record) == "running" for record in self.failed):
            time.sleep(LOOK)

    def _fill(self) -> None:
        """Start cells until no worker is idle or nothing is left to start; then rest."""
        while idle := [worker for worker in self.workers if worker not in self._running]:
            record = self._next()
            if record is None:
                self._look_at = time.monotonic() + LOOK
                return
            self._start(record, idle)

    def _next(self) -> Record | None:
        """Take the next cell that nobody trains; those that other processes train go to the end."""
        for _ in range(len(self._left)):
            record = self._left.popleft()
            state = read_state(record)
            if state == "running":
                self._leave(record)
            elif state in OUTCOMES or (state == "stopped" and not self._again):
                self._display.drop(record)
            else:
                return record
        return None

    def _leave(self, record: Record) -> None:
        """Come back later to a cell that another process trains; say so once."""
        self._left.append(record)
        self._display.show(record, "elsewhere")
        if record not in self._seen_elsewhere:
            self._seen_elsewhere.add(record)
            self._display.say(f"{record.spec.name} running elsewhere: {record.holder() or 'just ended'}")

    def _start(self, record: Record, idle: Sequence[Worker]) -> None:
        """Start a cell on the slice that the fewest others share now."""
        used = [worker.part.variables for worker in self._running]
        worker = min(idle, key=lambda worker: used.count(worker.part.variables))
        log = log_of(record)
        try:
            record.folder.mkdir(parents=True, exist_ok=True)
            log.touch()
        except OSError as error:
            raise unwritable(record.folder.parent, error) from None
        worker.start(command(record.spec, self._options), log)
        self._running[worker] = record

    def _watch(self, worker: Worker, record: Record) -> None:
        """Show the progress of a cell that is trained here; when its process has ended, see what became of it."""
        if worker.is_busy():
            self._display.show(record, worker.part.name)
            return
        del self._running[worker]
        has_outcome = read_state(record) in OUTCOMES
        if worker.status == 0 and not has_outcome:  # another process had locked the run first
            log_of(record).unlink(missing_ok=True)
            self._left.append(record)
            return
        if not has_outcome:
            self.failed[record] = worker.status
        self._display.drop(record)
