"""The bench's JSON lines: writer and reader in one file (rule 6). Imports no torch.

`study bench` writes them and `study sweep --estimate` reads them. `study.sweeps` must not import `study.bench`, which
imports torch and stands above it, so the format stands below both, beside the other formats on disk.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from study.spec import InputError

Line = dict[str, Any]


def say(what: str, **values: Any) -> None:
    """Print one JSON line on standard output, floats to four figures.

    Args:
        what: The kind of line, such as ``step`` or ``memory``.
        values: What was measured.
    """
    print(json.dumps({"what": what} | _shorten(values)), flush=True)


def read(text: str) -> Iterator[Line]:
    """The lines that `say` printed; another line, such as a library's notice, is skipped.

    Example:
        >>> list(read('a notice\\n{"what": "memory", "peak_mb": 2.5}'))
        [{'what': 'memory', 'peak_mb': 2.5}]
    """
    for words in text.splitlines():
        try:
            line = json.loads(words)
        except json.JSONDecodeError:
            continue
        if isinstance(line, dict) and "what" in line:
            yield line


@dataclass(frozen=True)
class Measured:
    """What an estimate needs of a bench of one network.

    Attributes:
        ms_per_step: Milliseconds of one training step.
        evaluation_seconds: Seconds of one evaluation of the whole test set.
        peak_mb: The most memory that the process held, in megabytes.
    """

    ms_per_step: float
    evaluation_seconds: float
    peak_mb: float

    @classmethod
    def read(cls, text: str) -> Measured:
        """Read the output of a bench of one way to train.

        Raises:
            InputError: A line is missing.
        """
        lines = {line["what"]: line for line in read(text)}
        try:
            return cls(
                lines["step"]["ms_per_step"],
                lines["evaluation"]["whole_test_set_seconds"],
                lines["memory"]["peak_mb"],
            )
        except KeyError as missing:
            raise InputError(f"the bench printed no {missing}; see what it prints: python -m study bench") from None


@dataclass(frozen=True)
class SharedRate:
    """What the choice of a number of runs needs of a bench of runs at the same time.

    Attributes:
        images_per_second: Of all of them.
        free_mb: Memory that was free while they ran, in megabytes.
    """

    images_per_second: float
    free_mb: float

    @classmethod
    def read(cls, text: str) -> SharedRate:
        """Read the output of a bench of one number of runs, each in a process of its own.

        Raises:
            InputError: The line is missing.
        """
        for line in read(text):
            if line["what"] == "jobs":
                return cls(line["images_per_second"], line["free_mb"])
        raise InputError("the bench printed no 'jobs'; see what it prints: python -m study bench --jobs=1")


def _shorten(value: Any) -> Any:
    if isinstance(value, float):
        return float(f"{value:.4g}")
    if isinstance(value, dict):
        return {key: _shorten(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_shorten(part) for part in value]
    return value
