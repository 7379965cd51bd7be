"""What the layers of runs did along their training, drawn: a heat map of each measure, layer by step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from study.recording.evaluation import Row
from study.spec import Spec

# The measures and the titles of their maps; all but a share are drawn as decimal logarithms.
TITLES = {
    "gradient": "norm of the gradient, log10",
    "update": "rate x gradient / weights, log10",
    "signal": "std of the response, log10",
    "off": "share of ReLUs that are off",
}
TICKS = 5  # about as many layers and steps are named
Map = NDArray[np.float64]  # (layers, evaluations)


def maps(lines: Sequence[Row]) -> dict[str, Map]:
    """Each measure as an array of layers by evaluations; not a number where it was not one."""
    arrays = {name: np.array([row[name] for row in lines], dtype=float).T for name in ("weight", "gradient", "signal")}
    rates = np.array([row["lr"] for row in lines])
    with np.errstate(divide="ignore", invalid="ignore"):
        logs = {
            "gradient": np.log10(arrays["gradient"]),
            "update": np.log10(rates * arrays["gradient"] / arrays["weight"]),
            "signal": np.log10(arrays["signal"]),
        }
    return logs | {"off": np.array([row["off"] for row in lines], dtype=float).T}


def draw(runs: Mapping[Spec, Sequence[Row]]) -> Figure:
    """Draw a column for each run and a row for each measure; the colours of a row mean the same in all columns."""
    found = {spec: maps(lines) for spec, lines in runs.items()}
    figure = Figure(figsize=(1 + 3.6 * len(runs), 2.4 * len(TITLES)), layout="constrained")
    grid = figure.subplots(len(TITLES), len(runs), squeeze=False)
    for row, (name, title) in zip(grid, TITLES.items(), strict=True):
        values = np.concatenate([found[spec][name].ravel() for spec in runs])
        values = values[np.isfinite(values)]
        low, high = (float(values.min()), float(values.max())) if len(values) else (0.0, 1.0)
        for axes, (spec, lines) in zip(row, runs.items(), strict=True):
            _draw_map(axes, found[spec][name], [line["step"] for line in lines], (low, high))
            axes.set_title(f"{spec.title}: {title}", fontsize=9, loc="left")
    return figure


def _draw_map(axes: Axes, values: Map, steps: Sequence[int], limits: tuple[float, float]) -> None:
    layers, evaluations = values.shape
    low, high = limits
    sns.heatmap(values, ax=axes, vmin=low, vmax=high, cmap="viridis", rasterized=True, xticklabels=False)
    columns = np.unique(np.linspace(0, evaluations - 1, TICKS, dtype=int))
    rows = np.unique(np.linspace(0, layers - 1, TICKS, dtype=int))
    axes.set_xticks(columns + 0.5, [f"{steps[column]:,}" for column in columns], fontsize=8)
    axes.set_yticks(rows + 0.5, [str(row + 1) for row in rows], fontsize=8, rotation=0)
    axes.set(xlabel="step", ylabel="layer")
