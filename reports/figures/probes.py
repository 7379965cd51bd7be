"""What `study probe` found of trained nets, on questions that the paper leaves open: figures."""

from __future__ import annotations

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from reports.figures.curves import STYLE, Drawing, saved, style
from reports.judging.kinds import Evidence, Net
from reports.tables.probes import gradient_ratio, nets_of, of_comparison, of_net

EXTREMES = (20, 56, 110)  # the depths that figures show
TEXT = (
    "Asked of trained nets by `python -m study probe`. The paper says that plain nets' gradients have healthy norms "
    "(C07) and gives no number; that a deeper net could copy a shallower one is the argument of its Sec. 1."
)


def gradients(signals: pd.DataFrame, e: Evidence) -> Drawing:
    """The norm of each layer's gradient at the three moments."""
    found = of_comparison(signals, e)
    moments = list(dict.fromkeys(found["moment"]))
    with plt.rc_context(STYLE):  # type: ignore[arg-type]
        figure, axes = plt.subplots(1, len(moments), figsize=(8.4, 3.4), squeeze=False)
        for axis, moment in zip(axes[0], moments, strict=True):
            _lines(axis, found[found["moment"] == moment], "layer", "gradient")
            axis.set(title=moment, xlabel="layer", yscale="log")
        axes[0][0].set_ylabel("norm of the gradient")
        _legend(figure, found, e)
        caption = f"Gradients of each layer's weights, from the first to the last layer ({e.comparison.name})."
        start = found[found["moment"] == "start"]
        said = ", ".join(f"{e.title(net)} {gradient_ratio(of_net(start, net)):,.0f}" for net in nets_of(start))
        name = f"gradients-{e.comparison.slug}"
        return saved(figure, name, caption, f"Largest over smallest at the start: {said}.")


def blocks(found: pd.DataFrame, e: Evidence) -> Drawing:
    """What each block still changes: distance, error without it, error of a linear classifier on its output."""
    found = of_comparison(found, e)
    panels = {
        "change": "change of the input, |y - x| / |x|",
        "without": "test error without the block (%)",
        "linear": "error of a linear classifier (%)",
    }
    with plt.rc_context(STYLE):  # type: ignore[arg-type]
        figure, axes = plt.subplots(1, 3, figsize=(10.2, 3.4))
        for axis, (column, label) in zip(axes, panels.items(), strict=True):
            _lines(axis, found.dropna(subset=[column]), "block", column)
            axis.set(title=label, xlabel="block (0: stem)", ylim=(0, None))
        _legend(figure, found, e)
        caption = (
            f"What each block still does ({e.comparison.name}). Middle: its shortcut alone, or in a plain net the "
            "identity, in its place. Right: logistic regression on the mean of its output over positions."
        )
        said = ", ".join(f"{e.title(net)} {of_net(found, net)['without'].median():.0f} %" for net in nets_of(found))
        name = f"blocks-{e.comparison.slug}"
        return saved(figure, name, caption, f"Median test error without a block: {said}.")


def _shown(found: pd.DataFrame) -> list[Net]:
    return [net for net in nets_of(found) if net[0] in EXTREMES]


def _lines(axis: Axes, found: pd.DataFrame, x: str, y: str) -> None:
    """A line per net, dashed where it is plain: the mean over seeds."""
    for net in _shown(found):
        mine = of_net(found, net).groupby(x)[y].mean()
        axis.plot(mine.index, mine, linewidth=1.3, **style(net))  # type: ignore[arg-type]


def _legend(figure: Figure, found: pd.DataFrame, e: Evidence) -> None:
    handles = [Line2D([], [], label=e.title(net), linewidth=1.3, **style(net)) for net in _shown(found)]  # type: ignore[arg-type]
    figure.legend(handles=handles, loc="lower center", ncol=len(handles) or 1)
