"""The verb ``signals``: a heat map of each measure, layer by step, for runs that were trained with ``--signals``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from study.recording.along import APART, FILE, read_signals
from study.recording.evaluation import Row
from study.recording.record import Record
from study.recording.signal_maps import draw
from study.spec import InputError

FORMATS = (".svg", ".png", ".pdf")


def show_signals(folders: Sequence[Path], out: Path) -> int:
    """Draw runs side by side, and print how far apart their layers' gradients are along the training.

    Args:
        folders: Run folders.
        out: The file of the figure.

    Returns:
        The exit status.

    Raises:
        InputError: A folder holds no run with signals, or the file cannot be written.
    """
    if out.suffix not in FORMATS:
        raise InputError(f"{out} is not a name of a figure; its ending must be one of: {', '.join(FORMATS)}")
    runs = {record.spec: _lines(record) for record in map(Record.at, folders)}
    figure = draw(runs)
    try:
        figure.savefig(out)
    except OSError as error:
        raise InputError(f"{out} cannot be written ({error.strerror}); give another file with --out=FILE") from None
    for spec, lines in runs.items():
        print(f"{spec.name}: {describe(lines)}")
    print(f"drawn in {out}")
    return 0


def _lines(record: Record) -> list[Row]:
    lines = read_signals(record.folder)
    if not lines:
        raise InputError(f"{record.folder} has no {FILE}; train it with: python -m study train ... --signals")
    return lines


def describe(lines: Sequence[Row]) -> str:
    """How far apart the gradients of the layers are, at the first and the last evaluation and at most."""
    ratios = {row["step"]: spread(row["gradient"]) for row in lines}
    worst = max(ratios, key=lambda step: ratios[step])
    first, last = min(ratios), max(ratios)
    ends = f"{ratios[first]:,.0f}-fold at step {first:,}, {ratios[last]:,.0f}-fold at step {last:,}"
    said = f"gradients of the layers differ {ends}"
    far = [step for step, ratio in ratios.items() if ratio > APART]
    if not far:
        return f"{said}; at most {ratios[worst]:,.0f}, at step {worst:,}"
    return f"{said}; more than {APART:,.0f}-fold at {len(far)} of {len(ratios)} evaluations, up to step {max(far):,}"


def spread(values: Sequence[float | None]) -> float:
    """The largest of some norms over the smallest; infinite if one is zero or no number.

    >>> spread([0.5, 2.0, 1.0])
    4.0
    """
    numbers = [float("nan") if value is None else value for value in values]
    return max(numbers) / min(numbers) if all(number > 0 for number in numbers) else float("inf")
