"""The pictures of a finished run in the W&B dashboard: Fig. 7 of its own layers, and its confusion matrix."""

from __future__ import annotations

import seaborn as sns
from matplotlib.figure import Figure

from study.recording.record import Record
from study.spec import Spec

MOST_CLASSES = 20  # a confusion matrix of more classes cannot be read


def figures(record: Record) -> dict[str, Figure]:
    """Draw the measurements of a finished run.

    Returns:
        The figures by name of the measurement; no confusion matrix if there are more than `MOST_CLASSES` classes.
    """
    responses, confusion = record.measurement("responses") or {}, record.measurement("confusion") or {}
    drawn = {"responses": _responses(record.spec, responses["std"])}
    if len(confusion["classes"]) <= MOST_CLASSES:
        drawn["confusion"] = _confusion(record.spec, confusion["classes"], confusion["counts"])
    return drawn


def _responses(spec: Spec, std: list[float]) -> Figure:
    figure = Figure(figsize=(6, 4), layout="constrained")
    axes = figure.add_subplot(xlabel="layer", ylabel="standard deviation", title=f"{spec.title}: responses (Fig. 7)")
    sns.lineplot(x=range(1, len(std) + 1), y=std, ax=axes)
    return figure


def _confusion(spec: Spec, classes: list[str], counts: list[list[int]]) -> Figure:
    figure = Figure(figsize=(7, 6), layout="constrained")
    axes = figure.add_subplot()
    sns.heatmap(
        counts, annot=True, fmt="d", square=True, cmap="Blues", xticklabels=classes, yticklabels=classes, ax=axes
    )
    axes.set(xlabel="predicted", ylabel="true", title=f"{spec.title}: test images")
    return figure
