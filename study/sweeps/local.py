"""Run the cells of a sweep file on this machine, without W&B: the same file, the same cells, the same records.

Each cell runs in a process of its own (``python -m study train``), so that one that fails does not affect the others.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from study.machine.gpus import GpuPool, visible_gpus
from study.machine.mps import shared_gpus
from study.machine.options import MachineOptions
from study.machine.parent import VARIABLE
from study.recording.record import Record, unwritable
from study.spec import InputError, Spec
from study.sweeps.display import Display, print_table
from study.sweeps.grid import command

OUTCOMES = ("finished", "diverged")  # states in which nothing is left to train


def show_commands(specs: Sequence[Spec], machine: MachineOptions) -> int:
    """Print the command of each cell without running it."""
    for spec in specs:
        print(" ".join(["python", *command(spec, machine.flags())[1:]]))
    return 0


def show_status(specs: Sequence[Spec], runs: Path) -> int:
    """Print the progress of each cell, and its results if it is finished."""
    print_table(f"{len(specs)} cells in {runs}", [Record(runs, spec) for spec in specs])
    return 0


def run(specs: Sequence[Spec], machine: MachineOptions, jobs: int) -> int:
    """Train every cell that is not finished, `jobs` at a time; those that another process trains come last.

    Returns:
        0 if each has an outcome or is trained by another process, 1 if one failed, 128 + signal if stopped. Then the
        running cells stop too, each after a checkpoint, and no other starts.

    Raises:
        InputError: `jobs` is less than 1, or the runs folder cannot be written.
    """
    if jobs < 1:
        raise InputError(f"--jobs={jobs} must be at least 1")
    records = [Record(machine.runs, spec) for spec in specs]
    for signum in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(signum, interrupt)
    with gpu_pool(machine, jobs) as gpus, Display(len(records)) as display, ThreadPoolExecutor(jobs) as pool:
        started = [_Job(record, machine, jobs, gpus) for record in sorted(records, key=_is_running)]
        waiting = [pool.submit(job.run, display) for job in started]
        try:
            statuses = [future.result() for future in waiting]
        except KeyboardInterrupt as stop:
            pool.shutdown(wait=False, cancel_futures=True)
            for job in started:
                job.stop()
            return 128 + int(stop.args[0] if stop.args else signal.SIGINT)
    print_table(f"{len(specs)} cells in {machine.runs}", records)
    failed = [(job.record, status) for job, status in zip(started, statuses, strict=True) if _has_failed(job, status)]
    for record, status in failed:
        print(f"study: {record.spec.name} ended with status {status}: {_last_words(record)}", file=sys.stderr)
    return 1 if failed else 0


def _is_running(record: Record) -> bool:
    return record.state() == "running"


def _has_failed(job: _Job, status: int) -> bool:
    """Whether a cell has neither an outcome nor another process that trains it."""
    return status != 0 and job.record.state() not in (*OUTCOMES, "running")


@contextmanager
def gpu_pool(machine: MachineOptions, jobs: int) -> Iterator[GpuPool]:
    """The GPUs for so many runs at a time, with MPS on those that several share; one run at a time chooses itself."""
    gpus = visible_gpus() if jobs > 1 else []
    is_shared = machine.devices == 1 and jobs > len(gpus)
    with shared_gpus(gpus, is_shared) as variables:
        yield GpuPool(variables, machine.devices)


def interrupt(signum: int, _: FrameType | None) -> None:
    """A signal handler that raises KeyboardInterrupt, so that the signal stops a sweep as Ctrl-C does."""
    raise KeyboardInterrupt(signum)


class _Job:
    """The process that trains one cell; its output goes to output.log in the cell's folder."""

    def __init__(self, record: Record, machine: MachineOptions, jobs: int, gpus: GpuPool) -> None:
        self.record, self.command = record, command(record.spec, machine.flags())
        self.process: subprocess.Popen[bytes] | None = None
        threads = {"OMP_NUM_THREADS": str(max(1, (os.cpu_count() or 1) // jobs))} if jobs > 1 else {}
        self.environment, self.gpus = {**threads, **os.environ, VARIABLE: str(os.getpid())}, gpus

    def run(self, display: Display) -> int:
        """Train the cell unless it is finished; return the exit status."""
        if self.record.state() not in OUTCOMES:
            try:
                self.record.folder.mkdir(parents=True, exist_ok=True)
                log = (self.record.folder / "output.log").open("ab")
            except OSError as error:
                raise unwritable(self.record.folder.parent, error) from None
            with log, self.gpus.take() as own:
                self._watch(subprocess.Popen(self.command, env=self.environment | own, stdout=log, stderr=log), display)
        display.drop(self.record)
        return self.process.returncode if self.process else 0

    def _watch(self, process: subprocess.Popen[bytes], display: Display) -> None:
        """Show the progress of the cell until its process ends."""
        with process as self.process:
            while process.poll() is None:
                time.sleep(0.2)
                display.show(self.record)

    def stop(self) -> None:
        """Tell the process to write a checkpoint and exit."""
        if self.process:
            self.process.terminate()


def _last_words(record: Record) -> str:
    lines = (record.folder / "output.log").read_text(errors="replace").split("\n")
    return next((line for line in reversed(lines) if line.strip()), "it printed nothing")
