"""Count the messages between the ranks of a run, as torch's process group counts them; under torchrun.

    torchrun --nproc-per-node=2 -m tests.collectives FOLDER

Prints one JSON object on rank 0: the steps of the run, and all messages from its first step to its last evaluation.
Those of the gradients are among them: one a step here, as a net of 8 layers fits into one bucket.
"""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback

from study.data.digits import load_digits
from study.machine.options import MachineOptions
from study.recording.record import Record
from study.training import ranks
from study.training.module import TrainingModule
from study.training.schedule import Schedule
from study.training.train import build_trainer
from tests.support import SPEC

STEPS, EVALUATIONS = 400, 1
ranks.AGREE_SECONDS = 600.0  # or a busy machine, whose steps take long, asks more often


def messages() -> int:
    """The number of messages of this process so far."""
    return int(torch.distributed.group.WORLD._get_sequence_number_for_group())  # type: ignore[union-attr]


class Counter(Callback):
    """Counts from the first step to the end."""

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Begin to count."""
        self.before = messages()

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Print what was counted."""
        if trainer.is_global_zero:
            print(json.dumps({"steps": STEPS, "messages": messages() - self.before}))


def main() -> None:
    """Train on two ranks."""
    module = TrainingModule(SPEC, load_digits())
    module.schedule = Schedule(replace(module.recipe, steps=STEPS, evaluations=EVALUATIONS))
    record = Record(Path(sys.argv[1]), SPEC)
    record.checkpoint.parent.mkdir(parents=True, exist_ok=True)
    trainer = build_trainer(record, MachineOptions(precision="32"), None)
    trainer.callbacks.append(Counter())  # type: ignore[attr-defined]
    trainer.fit(module)


if __name__ == "__main__":
    main()
