"""The first steps of a cell under Lightning, as `study train` takes them: their losses, and what takes their time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback
from torch.profiler import ProfilerActivity
from torch.profiler import profile as torch_profile

from study.data.datasets import load_in_memory
from study.machine.device import configure_torch, has_cuda
from study.machine.options import MachineOptions, StepMode
from study.recording.bench_lines import Line
from study.recording.record import Record
from study.spec import Spec
from study.training.module import TrainingModule
from study.training.schedule import Schedule
from study.training.train import build_trainer

# At the recipes' own rates training is chaotic: fp32 summed in another order is 0.1 off after 20 steps on CIFAR-10 and
# 0.04 on digits (docs/guides/gpu.md), so that no margin could tell an error from it. At this rate one can.
RATE = 1e-3
BEFORE = 10  # steps that are not profiled: the eager ones before a capture, and the first replays


def losses(spec: Spec, machine: MachineOptions, mode: StepMode, steps: int) -> list[float]:
    """The loss of each of the first steps at the rate `RATE`, one step per call.

    Args:
        spec: The cell.
        machine: The precision, and where the images are.
        mode: How a step is taken.
        steps: Number of steps.

    Raises:
        InputError: The images are missing.
    """
    watch = _Losses()
    _fit(spec, machine, mode, steps, watch, RATE)
    return watch.losses


def profile(spec: Spec, machine: MachineOptions, mode: StepMode, steps: int, shown: int = 12) -> Iterator[Line]:
    """The operations or kernels that take most of the device's time, after some steps that are not counted.

    Yields:
        One line each: name, number of calls and milliseconds per step, from the slowest on.
    """
    watch = _Profile()
    _fit(spec, machine, mode, BEFORE + steps, watch)
    events = sorted(watch.profiler.key_averages(), key=_time, reverse=True)
    for event in events[:shown]:
        yield {"name": event.key[:80], "calls": event.count / steps, "ms": _time(event) / 1e3 / steps}


def _time(event: Any) -> float:
    """Microseconds of an event, on the GPU if there is one."""
    return float(event.self_device_time_total if has_cuda() else event.self_cpu_time_total)


def _fit(
    spec: Spec, machine: MachineOptions, mode: StepMode, steps: int, watch: Callback, rate: float | None = None
) -> None:
    """Take steps one by one under a watch, at a rate or at the recipe's; nothing is evaluated and nothing recorded."""
    configure_torch(machine.precision)
    module = TrainingModule(spec, load_in_memory(spec.dataset, machine.data), mode)
    module.steps_per_call = 1
    recipe = replace(module.recipe, steps=steps, evaluations=1)
    if rate is not None:
        recipe = replace(recipe, lr=rate, ramp=0, decay="drops", drops=(), warmup_error=None)
    module.schedule = Schedule(recipe)
    with TemporaryDirectory() as folder:
        trainer = build_trainer(Record(Path(folder), spec), machine, None)
        trainer.callbacks.append(watch)  # type: ignore[attr-defined]
        trainer.fit_loop.max_epochs, trainer.limit_val_batches = 1, 0
        trainer.fit(module)


class _Losses(Callback):
    """Reads the loss of every step."""

    def __init__(self) -> None:
        self.losses: list[float] = []

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule, *_: Any) -> None:
        """Read the mean loss since the last step."""
        assert isinstance(pl_module, TrainingModule)
        self.losses.append(pl_module.tallies["train"].take(lambda value: value).loss)


class _Profile(Callback):
    """Profiles the steps after `BEFORE`."""

    def __init__(self) -> None:
        activities = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if has_cuda() else [])]
        self.profiler = torch_profile(activities=activities)

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule, *_: Any) -> None:
        """Start the profiler after the uncounted steps."""
        assert isinstance(pl_module, TrainingModule)
        if pl_module.step == BEFORE:
            _wait_for_device()
            self.profiler.start()

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Stop the profiler after the last step."""
        _wait_for_device()
        self.profiler.stop()


def _wait_for_device() -> None:
    if has_cuda():
        torch.cuda.synchronize()
