"""``study bench --jobs``: several runs on one device, each in a process of its own or all in one."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal, get_args

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Callback

from study.bench import window
from study.bench.arms import Contender, Ours
from study.bench.together import count_together
from study.bench.window import Count, Member
from study.machine.device import free_memory_mb, peak_memory_mb
from study.machine.gpus import visible_gpus
from study.machine.mps import shared_gpus
from study.machine.options import StepMode
from study.machine.parent import die_with_parent
from study.recording.bench_lines import say
from study.recording.record import Record
from study.spec import InputError
from study.training.schedule import Schedule
from study.training.step import EAGER_STEPS, STEPS_PER_CALL
from study.training.train import build_trainer

Way = Literal["processes", "one-process"]
WAYS: tuple[Way, ...] = get_args(Way)
ENOUGH = 200_000  # steps: more than any network takes in a window
GRACE = 30.0  # seconds that a member has to end after the window


def bench_jobs(cell: Sequence[str], batch: int, jobs: Sequence[int], ways: Sequence[Way], seconds: float) -> int:
    """Measure the images per second of one device when several runs share it; return the exit status.

    Args:
        cell: The flags of `study bench` for the cell and the machine.
        batch: Images of one step.
        jobs: The numbers of runs at the same time.
        ways: Whether each has a process of its own, under MPS where a GPU has it, or all are in one.
        seconds: The length of the window in which all of them are counted.

    Raises:
        InputError: A run failed.
    """
    for count in jobs:
        for way in ways:
            counted = _measure(cell, count, way, seconds)
            speeds = [batch * steps / seconds for each in counted for steps in each.steps]
            say(
                "jobs",
                jobs=count,
                way=way,
                images_per_second=sum(speeds),
                of_each=speeds,
                seconds=seconds,
                worked=[each.worked for each in counted],
                peak_mb=max(each.peak_mb for each in counted),
                free_mb=min(each.free_mb for each in counted),
            )
    return 0


def _measure(cell: Sequence[str], count: int, way: Way, seconds: float) -> list[Count]:
    """Start the processes of so many runs on the first GPU, or on the CPU, and count their steps in one window."""
    gpu, members = visible_gpus()[:1], count if way == "processes" else 1
    threads = {"OMP_NUM_THREADS": str(max(1, (os.cpu_count() or 1) // members))}  # as in a sweep
    own = [f"--together={count}"] if way == "one-process" else []
    with shared_gpus(gpu, members > 1) as service, TemporaryDirectory() as folder:
        variables = {**threads, **os.environ, **(service[gpu[0]] if gpu else {})}
        command = [sys.executable, "-m", "study", "bench", *cell, *own, f"--window={folder}"]
        return _count([command] * members, variables, Path(folder), seconds)


def _count(
    commands: Sequence[Sequence[str]], variables: Mapping[str, str], folder: Path, seconds: float
) -> list[Count]:
    members = len(commands)
    processes = [subprocess.Popen(command, env=variables, stdout=subprocess.DEVNULL) for command in commands]
    try:
        _wait(processes, lambda: window.prepared(folder) == members)
        window.announce(folder, members, seconds)
        _wait(processes, lambda: len(window.counts(folder)) == members)
        for process in processes:
            process.wait(GRACE)
        return window.counts(folder)
    finally:
        for process in processes:
            process.kill()
            process.wait()


def _wait(processes: Sequence[subprocess.Popen[bytes]], condition: Callable[[], bool]) -> None:
    """Wait until the condition holds.

    Raises:
        InputError: A process has ended before.
    """
    while not condition():
        failed = sum(process.poll() is not None for process in processes)
        if failed and not condition():
            raise InputError(
                f"{failed} of {len(processes)} runs at the same time failed; give smaller numbers to --jobs"
            )
        time.sleep(window.POLL)


def join(contender: Contender, step_mode: StepMode, folder: Path, together: int) -> int:
    """Be a member of a window, in the process of one run or of all; return the exit status."""
    die_with_parent()
    member = Member(folder)
    if together:
        count_together(contender, together, step_mode, member)
        return 0
    module = Ours(contender, step_mode).module
    module.steps_per_call = STEPS_PER_CALL if contender.device.type == "cuda" else 1
    module.schedule = Schedule(replace(module.recipe, steps=ENOUGH, evaluations=1))
    trainer = build_trainer(Record(folder / str(os.getpid()), module.spec), contender.machine, None)
    trainer.callbacks.append(_Counter(member))  # type: ignore[attr-defined]
    trainer.limit_val_batches = 0
    try:
        trainer.fit(module)
    except _Left:
        return 0
    raise InputError(f"{ENOUGH} steps were too few for the window")


class _Left(Exception):
    """The window is behind every member."""


class _Counter(Callback):
    """Counts the steps of training under Lightning, as a member of a window.

    It does not wait for the device: the upload of the next steps' tables does. So its marks are off by at most one pass
    through Lightning, at the begin of the window as at its end.
    """

    def __init__(self, member: Member) -> None:
        self.member = member

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule, *_: Any) -> None:
        """Wait for the window after the first steps; then note how many were taken."""
        step = int(pl_module.step)  # type: ignore[arg-type]
        if not self.member.marks:
            if step <= EAGER_STEPS:
                return
            self.member.wait()
        if self.member.mark([step]):
            self.member.leave(peak_memory_mb(), free_memory_mb())
            if self.member.is_last_gone():
                raise _Left
