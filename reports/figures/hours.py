"""Test error against hours of training and evaluation, a panel per comparison and a point per run."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter

from reports.figures.style import COLOURS, Drawing, panels_of


def hours(results: pd.DataFrame) -> Drawing:
    """The figure of costs; its text names the run of lowest error in each panel."""
    panels = {f"{dataset}, {recipe}": runs for (dataset, recipe), runs in results.groupby(["dataset", "recipe"])}
    best = [runs.nsmallest(1, "test_error").iloc[0] for runs in panels.values()]
    said = [f"{run['run']} is lowest, {run['test_error']:.2f} % in {run['hours']:.2g} hours." for run in best]
    caption = "Test error against hours of training and evaluation, one point per run."
    return Drawing("hours", caption, " ".join(said), lambda: _draw(panels))


def _draw(panels: dict[str, pd.DataFrame]) -> Figure:
    columns = max(1, len(panels))
    figure, axes = panels_of(1, columns, (3.8 * columns, 3.2))
    for axis, (title, runs) in zip(axes, panels.items(), strict=False):
        _scatter(axis, runs)
        axis.set(title=title, xlabel="hours per run", ylabel="test error (%)")
    return figure


def _scatter(axis: Axes, runs: pd.DataFrame) -> None:
    """A point per run over hours, in its depth's colour, grey where the paper has no such net; crosses are plain."""
    import seaborn as sns  # takes a second, and only drawing needs it

    kind = runs["shortcut"].map(lambda s: "plain" if s == "none" else "residual")
    colours = dict.fromkeys(runs["depth"], "grey") | COLOURS
    markers = {"residual": "o", "plain": "X"}
    points = {"hue": "depth", "palette": colours, "style": kind, "markers": markers, "s": 28}
    sns.scatterplot(runs, x="hours", y="test_error", ax=axis, **points)
    axis.legend(fontsize=6)
    axis.set_xscale("log")
    axis.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.xaxis.set_major_formatter("{x:g}")
    axis.xaxis.set_minor_formatter(NullFormatter())
