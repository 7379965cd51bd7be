"""What `study probe` found of trained nets, on questions that the paper leaves open: tables and figures."""

from __future__ import annotations

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from reports.figures.curves import STYLE, Drawing, saved, style
from reports.judging.kinds import Evidence, Net
from reports.tables.table import Table, linked

EXTREMES = (20, 56, 110)  # the depths that figures show
TEXT = (
    "Asked of trained nets by `python -m study probe`. The paper says that plain nets' gradients have healthy norms "
    "(C07) and gives no number; that a deeper net could copy a shallower one is the argument of its Sec. 1."
)


def of_comparison(frame: pd.DataFrame, e: Evidence) -> pd.DataFrame:
    """The rows of the compared runs that count, with their depth and shortcut."""
    return frame.merge(e.comparison.of(e.results)[["run", "depth", "shortcut"]], on="run", suffixes=("_found", ""))


def gradient_table(signals: pd.DataFrame, e: Evidence) -> Table:
    """How far the layers' gradients are apart, at each moment."""
    found, rows = of_comparison(signals, e), []
    for net in _nets(found):
        for moment, mine in _of(found, net).groupby("moment", sort=False):
            ends = mine.groupby("run")["gradient"].agg(["first", "last"]).mean()
            values = (f"{ends['first']:.2g}", f"{ends['last']:.2g}", f"{_spread(mine):,.0f}")
            rows.append((linked(e.title(net), e.net(net)), str(moment), *values))
    columns = ("network", "moment", "first layer", "last layer", "largest / smallest")
    caption = (
        "Norm of the loss's gradient with regard to a layer's weights, in training mode, on one batch. Start: the "
        "initial weights. One step: after the run's first update. Now: at its end. Mean over seeds."
    )
    name = f"gradients-{e.comparison.slug}"
    return Table("Are the gradients healthy?", columns, rows, caption, frozenset({2, 3, 4}), name)


def deeper_table(deeper: pd.DataFrame, e: Evidence) -> Table:
    """Nets with twice the blocks, built to compute what the trained ones do."""
    found, rows = of_comparison(deeper, e), []
    for net in _nets(found):
        mine = _of(found, net)
        mean = mine.mean(numeric_only=True)
        values = (
            *(f"{mean['depth_found']:.0f} layers", f"{mean['error']:.2f}", f"{mean['copy_error']:.2f}"),
            f"{mine['difference'].max():.1g} of {mean['largest_score']:.0f}",
            *(f"{mean['training_loss']:.3g}", f"{mean['copy_training_loss']:.3g}"),
        )
        rows.append((linked(e.title(net), e.net(net)), *values))
    columns = ("network", "its copy", "test error %", "the copy's", "scores differ by", "loss", "the copy's")
    caption = (
        "Each new block hands on what it gets: in a residual net its branch is silent, in a plain net its "
        "convolutions copy and its batch norms give back what they take away. Test errors on up to 2,000 images in "
        "evaluation mode, the loss on one batch in training mode."
    )
    name = f"deeper-{e.comparison.slug}"
    return Table("Could a deeper net copy this one?", columns, rows, caption, frozenset(range(1, 7)), name)


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
        said = ", ".join(f"{e.title(net)} {_spread(_of(start, net)):,.0f}" for net in _nets(start))
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
        said = ", ".join(f"{e.title(net)} {_of(found, net)['without'].median():.0f} %" for net in _nets(found))
        name = f"blocks-{e.comparison.slug}"
        return saved(figure, name, caption, f"Median test error without a block: {said}.")


def _nets(found: pd.DataFrame) -> list[Net]:
    """Plain nets first, shallow ones first."""
    nets = set(zip(found["depth"].astype(int), found["shortcut"], strict=True))
    return sorted(nets, key=lambda net: (net[1] != "none", net[1], net[0]))


def _of(found: pd.DataFrame, net: Net) -> pd.DataFrame:
    return found[(found["depth"] == net[0]) & (found["shortcut"] == net[1])]


def _spread(signals: pd.DataFrame) -> float:
    """The largest gradient of a net's layers over the smallest, mean over seeds."""
    gradients = signals.groupby("run")["gradient"]
    return float((gradients.max() / gradients.min()).mean())


def _shown(found: pd.DataFrame) -> list[Net]:
    return [net for net in _nets(found) if net[0] in EXTREMES]


def _lines(axis: Axes, found: pd.DataFrame, x: str, y: str) -> None:
    """A line per net, dashed where it is plain: the mean over seeds."""
    for net in _shown(found):
        mine = _of(found, net).groupby(x)[y].mean()
        axis.plot(mine.index, mine, linewidth=1.3, **style(net))  # type: ignore[arg-type]


def _legend(figure: Figure, found: pd.DataFrame, e: Evidence) -> None:
    handles = [Line2D([], [], label=e.title(net), linewidth=1.3, **style(net)) for net in _shown(found)]  # type: ignore[arg-type]
    figure.legend(handles=handles, loc="lower center", ncol=len(handles) or 1)
