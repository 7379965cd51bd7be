"""What happens around the training loop: the clock, the record, the checkpoint, a signal, the progress display.

Their order matters and is fixed in `callbacks`: a row is recorded before the checkpoint that makes it final.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterable
from dataclasses import replace
from time import perf_counter
from types import FrameType
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback
from rich.console import Console, RenderableType
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, TextColumn, TimeRemainingColumn

from study.recording.evaluation import Evaluation
from study.recording.record import Record
from study.training.module import TrainingModule


class Interrupted(Exception):
    """Training was stopped by a signal, after a checkpoint."""

    def __init__(self, signum: int) -> None:
        super().__init__(f"stopped by {signal.Signals(signum).name} after a checkpoint")
        self.status = 128 + signum


class Clock(Callback):
    """Seconds spent training and evaluating, over all segments of a run; the device is waited for twice a stretch."""

    def __init__(self) -> None:
        self.seconds = {"train": 0.0, "evaluation": 0.0}
        self._running, self._since, self._step = "", 0.0, 0

    def _switch(self, module: TrainingModule, to: str) -> float:
        """Stop what runs, start `to`, and return the seconds of what ran."""
        if module.device.type == "cuda":
            torch.cuda.synchronize(module.device)
        now = perf_counter()
        elapsed = now - self._since
        if self._running:
            self.seconds[self._running] += elapsed
        self._running, self._since = to, now
        return elapsed

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """A stretch of training begins."""
        self._switch(_training_module(pl_module), "train")
        self._step = _training_module(pl_module).step

    def on_validation_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """It ends; its speed is known."""
        module = _training_module(pl_module)
        images = (module.step - self._step) * module.recipe.batch
        self._speed = images / self._switch(module, "evaluation")

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """The evaluation ends."""
        module = _training_module(pl_module)
        self._switch(module, "")
        hours = sum(self.seconds.values()) / 3600
        module.evaluation = replace(_evaluation(module), images_per_second=self._speed, hours=hours)

    def state_dict(self) -> dict[str, float]:
        """The seconds up to now, for the checkpoint."""
        running = {self._running: perf_counter() - self._since} if self._running else {}
        return {name: seconds + running.get(name, 0.0) for name, seconds in self.seconds.items()}

    def load_state_dict(self, state_dict: dict[str, float]) -> None:
        """Go on from the checkpoint's seconds."""
        self.seconds = dict(state_dict)


class Recorder(Callback):
    """Writes each evaluation to the record and, with the same keys, to the logger; on rank 0."""

    def __init__(self, record: Record) -> None:
        self.record = record

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Add one row, unless a resumed run only repeats it."""
        row = _evaluation(pl_module).row()
        if trainer.is_global_zero and self.record.append(row):
            for logger in trainer.loggers:
                logger.log_metrics(row)


class Checkpoint(Callback):
    """Writes last.ckpt after each evaluation, under a temporary name that is then renamed."""

    def __init__(self, record: Record) -> None:
        self.path = record.checkpoint

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Save after an evaluation."""
        self.save(trainer)

    def save(self, trainer: pl.Trainer) -> None:
        """Save now; every rank must call it."""
        temporary = self.path.with_suffix(".tmp")
        trainer.save_checkpoint(temporary)
        if trainer.is_global_zero:
            os.replace(temporary, self.path)
        trainer.strategy.barrier("checkpoint")


class SignalStop(Callback):
    """On SIGTERM, SIGUSR1 or Ctrl-C to any rank: end the step, checkpoint, raise `Interrupted` on every rank."""

    def __init__(self, checkpoint: Checkpoint) -> None:
        self.checkpoint = checkpoint
        self.signum = 0

    def _note(self, signum: int, _: FrameType | None) -> None:
        self.signum, self.module.stop_requested = signum, True
        signal.signal(signal.SIGINT, signal.default_int_handler)  # a second Ctrl-C ends it at once

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Take the place of Lightning's handler, which talks to other ranks inside the handler and can hang."""
        self.module = _training_module(pl_module)
        for signum in (signal.SIGTERM, signal.SIGUSR1, signal.SIGINT):
            signal.signal(signum, self._note)

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule, *_: Any) -> None:
        """Stop after this step, unless its evaluation is still to come."""
        if not _training_module(pl_module).at_evaluation and self._agreed(trainer):
            self.checkpoint.save(trainer)
            raise Interrupted(self.signum or signal.SIGTERM)

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Stop after the evaluation, whose checkpoint is written."""
        if self._agreed(trainer) and not trainer.should_stop:
            raise Interrupted(self.signum or signal.SIGTERM)

    def _agreed(self, trainer: pl.Trainer) -> bool:
        """Whether any rank was signalled: all ranks ask together and so stop together."""
        return trainer.strategy.reduce_boolean_decision(self.signum > 0, all=False)


class _Bar(Progress):
    """Asks the module for its step whenever it is drawn: many steps may pass between two of Lightning's hooks."""

    def __init__(self, module: TrainingModule, *columns: ProgressColumn, console: Console, disable: bool) -> None:
        self.module = module
        super().__init__(*columns, console=console, disable=disable)

    def get_renderables(self) -> Iterable[RenderableType]:
        """The bar as it is now."""
        for task in self.task_ids:
            self.update(task, completed=self.module.step)
        return super().get_renderables()


class ProgressBar(Callback):
    """One line with step, errors, speed and time left; silent where standard error is no terminal."""

    def __init__(self) -> None:
        self._last = "[dim]training"

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Show the bar on rank 0."""
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        quiet = not (trainer.is_global_zero and sys.stderr.isatty())
        module = _training_module(pl_module)
        self.progress = _Bar(module, *columns, console=Console(stderr=True), disable=quiet)
        self.task = self.progress.add_task(module.spec.title, total=module.recipe.steps, completed=module.step)
        self.progress.start()

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Show the errors."""
        last = _evaluation(pl_module)
        errors = f"train {last.train.percent:.2f}%  test {last.test.percent:.2f}%"
        text = f"{_training_module(pl_module).spec.title}  {errors}  {last.images_per_second:,.0f} images/s"
        self.progress.update(self.task, description=text)

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Leave the bar as it is."""
        self.progress.stop()

    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        """Leave the bar as it is."""
        if hasattr(self, "progress"):
            self.progress.stop()


def callbacks(record: Record) -> list[Callback]:
    """All of them, in the order in which they act after an evaluation."""
    checkpoint = Checkpoint(record)
    return [Clock(), Recorder(record), checkpoint, SignalStop(checkpoint), ProgressBar()]


def _training_module(module: pl.LightningModule) -> TrainingModule:
    assert isinstance(module, TrainingModule)
    return module


def _evaluation(module: pl.LightningModule) -> Evaluation:
    """The evaluation that has just ended."""
    evaluation = _training_module(module).evaluation
    assert evaluation is not None
    return evaluation
