"""signals.jsonl: what each layer did at every evaluation of a run that was trained with ``--signals``.

A line is an object: the step, the learning rate, the names of the layers, and a list with a number for each of them by
name of what was measured. No torch.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import Field, model_validator

from study.recording.evaluation import Row
from study.recording.files import to_json
from study.recording.schema import Checked, Count, Measure, Text, read_history

FILE = "signals.jsonl"
APART = 1_000.0  # gradients of a network whose layers differ by more are called far apart
MEASURES = ("weight", "gradient", "signal", "off")
DIGITS = 4  # of a number that is written: a figure shows fewer
Numbers = list[Measure | None]


class Layers(Checked):
    """A line."""

    step: Count
    lr: Measure
    layers: Annotated[list[Text], Field(min_length=1)]
    weight: Numbers
    gradient: Numbers
    signal: Numbers
    off: Numbers

    @model_validator(mode="after")
    def _check_lengths(self) -> Self:
        for name in MEASURES:
            if len(getattr(self, name)) != len(self.layers):
                raise ValueError(f"{len(self.layers)} layers, but {len(getattr(self, name))} numbers of {name}")
        return self


class SignalFile:
    """The file of one run while it is trained; lines are added to it and never changed.

    A run that is killed and resumed repeats some evaluations exactly. Those that are in the file are not added again.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / FILE
        self._last: int | None = None

    def append(self, row: Mapping[str, Any]) -> None:
        """Add a line and wait until it is on the disk, unless its step is there.

        Raises:
            OSError: The disk is full or the folder is gone; what was written of the line is cut off by the next one.
        """
        if self._last is None:
            self._last = self._repair()
        if row["step"] <= self._last:
            return
        numbers = {name: [_rounded(value) for value in row[name]] for name in MEASURES}
        with self._path.open("a") as file:
            file.write(to_json({**row, **numbers}) + "\n")
            file.flush()
            os.fsync(file.fileno())
        self._last = row["step"]

    def _repair(self) -> int:
        """Cut off a line that a kill left incomplete; returns the step of the last line, -1 without one."""
        if not self._path.exists():
            return -1
        content = self._path.read_bytes()
        os.truncate(self._path, content.rfind(b"\n") + 1)
        return max((row["step"] for row in read_signals(self._path.parent)), default=-1)


def read_signals(folder: Path) -> list[Row]:
    """The lines of a run; none if it was trained without ``--signals``.

    Raises:
        Unreadable: A line is not what the study writes, or does not follow the one before it.
    """
    return list(read_history(folder / FILE, Layers))


def _rounded(value: float) -> float:
    return float(f"{value:.{DIGITS}g}")
