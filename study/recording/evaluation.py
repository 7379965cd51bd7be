"""Evaluations and summaries: what a run measures, and the only place where a metric's name is spelled.

An `Evaluation` is one line of ``metrics.jsonl`` and one row of the W&B history. A `Summary` is ``summary.json``. The
lists of columns that the reports need are derived from them, so a new measurement is added here and nowhere else.
Standard library only.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

Row = dict[str, Any]  # a JSON object

TRAIN_ERROR = "train/top1_error"
TEST_ERROR = "test/top1_error"


@dataclass(frozen=True)
class Errors:
    """Top-1 errors as two integers, and the mean cross-entropy.

    Attributes:
        wrong: Number of errors.
        seen: Number of images.
        loss: Mean cross-entropy over the images.
    """

    wrong: int
    seen: int
    loss: float

    @property
    def percent(self) -> float:
        """The top-1 error in percent."""
        return 100.0 * self.wrong / self.seen


@dataclass(frozen=True)
class Evaluation:
    """What is measured each time that the test set is evaluated.

    Attributes:
        step: Number of updates so far.
        epoch: Passes over the training images so far.
        samples: Number of training images so far, repetitions included.
        lr: Learning rate of the last update.
        train: Running training errors since the evaluation before.
        test: Errors on the whole test set.
        images_per_second: Training speed since the evaluation before; 0 until the clock has filled it in.
        hours: Training and evaluation of all sessions so far; 0 until the clock has filled it in.
        notes: Further columns from the data set, such as files that could not be read.

    Example:
        >>> evaluation = Evaluation(336, 14.96, 21504, 0.0, Errors(0, 384, 0.01), Errors(9, 360, 0.12))
        >>> evaluation.row()["test/top1_error"]
        2.5
        >>> Evaluation.from_row(evaluation.row()) == evaluation
        True
    """

    step: int
    epoch: float
    samples: int
    lr: float
    train: Errors
    test: Errors
    images_per_second: float = 0.0
    hours: float = 0.0
    notes: Mapping[str, Any] = field(default_factory=dict)

    def row(self) -> Row:
        """The evaluation under the names that the record and W&B use, in the order in which a line has them."""
        return {
            "step": self.step,
            "epoch": self.epoch,
            "samples": self.samples,
            "lr": self.lr,
            TRAIN_ERROR: self.train.percent,
            "train/wrong": self.train.wrong,
            "train/seen": self.train.seen,
            "train/loss": self.train.loss,
            TEST_ERROR: self.test.percent,
            "test/wrong": self.test.wrong,
            "test/seen": self.test.seen,
            "test/loss": self.test.loss,
            **self.notes,
            "images_per_second": self.images_per_second,
            "hours": self.hours,
        }

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> Evaluation:
        """Read an evaluation back; columns of other names become notes.

        Raises:
            KeyError: a column is missing.
        """
        return cls(
            step=row["step"],
            epoch=row["epoch"],
            samples=row["samples"],
            lr=row["lr"],
            train=Errors(row["train/wrong"], row["train/seen"], _loss(row["train/loss"])),
            test=Errors(row["test/wrong"], row["test/seen"], _loss(row["test/loss"])),
            images_per_second=row["images_per_second"],
            hours=row["hours"],
            notes={name: value for name, value in row.items() if name not in COLUMNS},
        )


@dataclass(frozen=True)
class Summary:
    """What a finished run leaves: its last evaluation, what it cost, and which weights it ended with.

    Attributes:
        last: The last evaluation; its hours and images per second are those of the whole run.
        warm_until: The step at which the warm-up ended; 0 without one.
        train_hours: Training alone, without evaluation.
        peak_memory_mb: The most memory that the process has held, on the GPU if there is one.
        parameters: Number of trainable parameters.
        weights_sha256: SHA-256 of the weights.
        ended: The time of the end, in UTC.
        diverged: The step, the rate and the gradients' norm at which the loss was first seen not to be a number.
    """

    last: Evaluation
    warm_until: int | None
    train_hours: float
    peak_memory_mb: float
    parameters: int
    weights_sha256: str
    ended: str
    diverged: Row | None = None

    def row(self) -> Row:
        """The summary under the names that the record and W&B use."""
        return {
            **self.last.row(),
            "warm_until": self.warm_until,
            "train_hours": self.train_hours,
            "peak_memory_mb": self.peak_memory_mb,
            "parameters": self.parameters,
            "weights_sha256": self.weights_sha256,
            "ended": self.ended,
            **({"diverged": self.diverged} if self.diverged else {}),
        }


def _loss(value: float | None) -> float:
    """A loss; JSON has none that is not a number."""
    return math.nan if value is None else value


def is_evaluation(row: Mapping[str, Any]) -> bool:
    """Whether a row of a W&B history is an evaluation; others hold pictures."""
    return "test/wrong" in row


def describe(evaluation: Evaluation) -> str:
    """One line about the end of a run.

    Args:
        evaluation: The last one, with the hours of the whole run.
    """
    test = evaluation.test
    return (
        f"train {evaluation.train.percent:.2f} %, test {test.percent:.2f} % ({test.wrong} of {test.seen} wrong), "
        f"{60 * evaluation.hours:.1f} minutes"
    )


_ANY = Errors(0, 1, 0.0)
COLUMNS = tuple(Evaluation(0, 0.0, 0, 0.0, _ANY, _ANY).row())  # of an evaluation without notes, as a line orders them
ERROR_COLUMNS = tuple(name for name in COLUMNS if "/" in name)

# The columns of the snapshot's tables, in their order.
HISTORY_COLUMNS = ("step", "epoch", "samples", "lr", "images_per_second", "hours", *ERROR_COLUMNS)
SUMMARY_COLUMNS = (
    "step",
    "epoch",
    "samples",
    *ERROR_COLUMNS,
    "warm_until",
    "hours",
    "train_hours",
    "images_per_second",
    "peak_memory_mb",
    "parameters",
    "weights_sha256",
    "ended",
)
# The columns that are whole numbers or words. All others are floats, even if JSON turned 0.0 into 0 on the way.
COUNT_COLUMNS = (
    "train/wrong",
    "train/seen",
    "test/wrong",
    "test/seen",
    "step",
    "samples",
    "warm_until",
    "parameters",
    "weights_sha256",
    "ended",
)
