"""``--signals``: every layer is measured at every evaluation, which adds nothing to a step and changes no weight."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Callback

from study.probes.layers import Measured, Signals, main_layers, norms, watch
from study.recording.along import SignalFile
from study.recording.record import Record
from study.training.callbacks import training_module


class LayerSignals(Callback):
    """Writes signals.jsonl on rank 0: norms after the last step, signals of the first test images.

    Gradients are those of the last training batch, over all ranks. Signals are those of evaluation, where batch norm
    uses its running averages.
    """

    def __init__(self, record: Record) -> None:
        self._file = SignalFile(record.folder)
        self._watching = ExitStack()
        self._norms: Measured | None = None
        self._signals = Signals()

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule, *_: Any) -> None:
        """Measure weights and gradients now, as Lightning frees the gradients before an evaluation."""
        module = training_module(pl_module)
        if trainer.is_global_zero and module.at_evaluation:
            self._norms = norms(module.net)

    def on_validation_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Watch the first part of the test images."""
        if self._norms is not None:
            self._signals = self._watching.enter_context(watch(training_module(pl_module).net))

    def on_validation_batch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule, *_: Any) -> None:
        """Watch no other."""
        self._watching.close()

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Add a line, unless no step was taken since the last evaluation."""
        if self._norms is not None:
            module = training_module(pl_module)
            moment = {"step": module.step, "lr": module.schedule.rate(module.step - 1)}
            layers = {"layers": list(main_layers(module.net))}
            self._file.append(moment | layers | self._norms | self._signals.measured())
        self._norms = None
