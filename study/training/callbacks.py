"""Lightning callbacks of a run: clock, record, checkpoint, progress bar."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from dataclasses import replace
from time import perf_counter

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback
from rich.console import Console, RenderableType
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from study.recording.evaluation import Evaluation
from study.recording.record import Record
from study.training.module import TrainingModule


class Clock(Callback):
    """Measures the seconds spent on training and on evaluation, over all sessions of a run.

    It waits for the device twice per evaluation interval and never during a step.

    Attributes:
        seconds: Seconds so far by activity, ``train`` and ``evaluation``.

    Args:
        now: Returns the current time in seconds.
    """

    def __init__(self, now: Callable[[], float] = perf_counter) -> None:
        self.seconds = {"train": 0.0, "evaluation": 0.0}
        self._now = now
        self._activity = ""  # what is being timed, "" for neither
        self._since = 0.0  # when it began
        self._step = 0  # the step at which training began
        self._speed = 0.0  # images per second of the last interval

    @property
    def hours(self) -> float:
        """Hours of training and evaluation so far."""
        return sum(self.seconds.values()) / 3600

    def _switch(self, module: TrainingModule, activity: str) -> float:
        """Begin to time another activity, and return the seconds of the one before."""
        if module.device.type == "cuda":
            torch.cuda.synchronize(module.device)
        now = self._now()
        elapsed = now - self._since
        if self._activity:
            self.seconds[self._activity] += elapsed
        self._activity, self._since = activity, now
        return elapsed

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Begin to time training."""
        module = training_module(pl_module)
        self._switch(module, "train")
        self._step = module.step

    def on_validation_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Begin to time evaluation, and note the speed of training."""
        module = training_module(pl_module)
        images = (module.step - self._step) * module.recipe.batch
        self._speed = images / self._switch(module, "evaluation")

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Stop timing, and add speed and hours to the evaluation."""
        module = training_module(pl_module)
        self._switch(module, "")
        module.evaluation = replace(_evaluation(module), images_per_second=self._speed, hours=self.hours)

    def state_dict(self) -> dict[str, float]:
        """The seconds up to now, for the checkpoint."""
        running = {self._activity: self._now() - self._since} if self._activity else {}
        return {name: seconds + running.get(name, 0.0) for name, seconds in self.seconds.items()}

    def load_state_dict(self, state_dict: dict[str, float]) -> None:
        """Continue from the seconds of a checkpoint."""
        self.seconds = dict(state_dict)


class Recorder(Callback):
    """Writes each evaluation to the record and to the loggers, on rank 0."""

    def __init__(self, record: Record) -> None:
        self.record = record

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Add one row, unless a resumed run repeats an evaluation that is on record."""
        row = _evaluation(pl_module).row()
        if trainer.is_global_zero and self.record.append(row):
            for logger in trainer.loggers:
                logger.log_metrics(row)


class Checkpoint(Callback):
    """Writes ``last.ckpt`` after each evaluation, in the way of `study.training.checkpoints`."""

    def __init__(self, record: Record) -> None:
        self.path = record.checkpoint

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Save after each evaluation."""
        self.save(trainer)

    def save(self, trainer: pl.Trainer) -> None:
        """Save now; every rank must call it, and none goes on before the checkpoint is on the disk."""
        trainer.save_checkpoint(self.path)


class ProgressBar(Callback):
    """One line with step, errors, speed and time left; silent unless standard error is a terminal."""

    def __init__(self) -> None:
        self._bar: _Bar | None = None

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Show the bar on rank 0."""
        is_visible = trainer.is_global_zero and sys.stderr.isatty()
        self._bar = _Bar(training_module(pl_module), is_visible)
        self._bar.start()

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Show the errors."""
        if self._bar is not None:
            self._bar.show(_evaluation(pl_module))

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Stop drawing; the bar stays on the screen."""
        if self._bar is not None:
            self._bar.stop()

    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        """Stop drawing; the bar stays on the screen."""
        if self._bar is not None:
            self._bar.stop()


class _Bar(Progress):
    """A bar that reads the module's step each time it is drawn: Lightning's hooks may be many steps apart."""

    def __init__(self, module: TrainingModule, is_visible: bool) -> None:
        self._module = module
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        super().__init__(*columns, console=Console(stderr=True), disable=not is_visible)
        self._task = self.add_task(module.spec.title, total=module.recipe.steps, completed=module.step)

    def show(self, evaluation: Evaluation) -> None:
        """Write an evaluation beside the bar."""
        errors = f"train {evaluation.train.percent:.2f}%  test {evaluation.test.percent:.2f}%"
        text = f"{self._module.spec.title}  {errors}  {evaluation.images_per_second:,.0f} images/s"
        self.update(self._task, description=text)

    def get_renderables(self) -> Iterable[RenderableType]:
        """The bar at the current step."""
        for task in self.task_ids:
            self.update(task, completed=self._module.step)
        return super().get_renderables()


def training_module(module: pl.LightningModule) -> TrainingModule:
    """The module that a callback is given, by its own type."""
    assert isinstance(module, TrainingModule)
    return module


def _evaluation(module: pl.LightningModule) -> Evaluation:
    """The evaluation that has just ended."""
    evaluation = training_module(module).evaluation
    assert evaluation is not None
    return evaluation
