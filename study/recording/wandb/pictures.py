"""The pictures of a run in the W&B dashboard: what its record has beside its curves."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from study.recording.along import read_signals
from study.recording.evaluation import Row
from study.recording.record import PROBES, Record
from study.recording.signal_maps import draw
from study.spec import Spec

MOST_CLASSES = 20  # a confusion matrix of more classes cannot be read


def figures(record: Record) -> dict[str, Figure]:
    """Draw what was measured of a run.

    Returns:
        The figures by name of the measurement; those of measurements that there are, and no confusion matrix if there
        are more than `MOST_CLASSES` classes.
    """
    spec, probed = record.spec, record.measurement(PROBES) or {}
    drawn = {}
    if responses := record.measurement("responses"):
        drawn["responses"] = _responses(spec, responses["std"])
    if (confusion := record.measurement("confusion")) and len(confusion["classes"]) <= MOST_CLASSES:
        drawn["confusion"] = _confusion(spec, confusion["classes"], confusion["counts"])
    if lines := read_signals(record.folder):
        drawn["signals"] = draw({spec: lines})
    return drawn | {f"{PROBES}/{part}": show(spec, probed[part]) for part, show in PARTS.items() if probed.get(part)}


def _responses(spec: Spec, std: list[float | None]) -> Figure:
    figure, axes = _plot("layer", "standard deviation", f"{spec.title}: responses (Fig. 7)")
    axes.plot(range(1, len(std) + 1), _numbers(std))
    return figure


def _confusion(spec: Spec, classes: list[str], counts: list[list[int]]) -> Figure:
    figure = Figure(figsize=(7, 6), layout="constrained")
    axes = figure.add_subplot()
    sns.heatmap(
        counts, annot=True, fmt="d", square=True, cmap="Blues", xticklabels=classes, yticklabels=classes, ax=axes
    )
    axes.set(xlabel="predicted", ylabel="true", title=f"{spec.title}: test images")
    return figure


def _gradients(spec: Spec, rows: list[Row]) -> Figure:
    """The gradients of all layers, a line for each moment at which they were measured."""
    figure, axes = _plot("layer", "norm of the gradient", f"{spec.title}: gradients")
    for moment in dict.fromkeys(row["moment"] for row in rows):
        norms = _numbers([row["gradient"] for row in rows if row["moment"] == moment])
        axes.plot(range(1, len(norms) + 1), norms, label=moment)
    axes.set_yscale("log")
    axes.legend()
    return figure


def _blocks(spec: Spec, rows: list[Row]) -> Figure:
    """What a linear classifier gets from behind each block, and the network without that block."""
    figure, axes = _plot("block", "test error, %", f"{spec.title}: blocks")
    for measure, label in {"linear": "linear classifier behind it", "without": "network without it"}.items():
        axes.plot(_numbers([row[measure] for row in rows]), marker=".", label=label)
    axes.legend()
    return figure


def _landscape(spec: Spec, found: Row) -> Figure:
    """The loss around the network, with the network in the middle."""
    figure = Figure(figsize=(6, 5), layout="constrained")
    axes = figure.add_subplot(title=f"{spec.title}: loss around the network, log10")
    with np.errstate(divide="ignore", invalid="ignore"):
        loss = np.log10(np.array([_numbers(row) for row in found["loss"]]))
    reach = found["reach"]
    image = axes.imshow(loss, extent=(-reach, reach, -reach, reach), origin="lower", cmap="viridis")
    figure.colorbar(image)
    return figure


def _plot(xlabel: str, ylabel: str, title: str) -> tuple[Figure, Axes]:
    """An empty plot over whole numbers."""
    figure = Figure(figsize=(6, 4), layout="constrained")
    axes = figure.add_subplot(xlabel=xlabel, ylabel=ylabel, title=title)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    return figure, axes


def _numbers(values: list[float | None]) -> list[float]:
    return [float("nan") if value is None else value for value in values]


PARTS: dict[str, Callable[[Spec, Any], Figure]] = {"signals": _gradients, "blocks": _blocks, "landscape": _landscape}
