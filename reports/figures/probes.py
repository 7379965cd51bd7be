"""Figures of what `study probe` found in trained nets, on questions that the paper leaves open."""

from __future__ import annotations

from collections.abc import Iterable
from statistics import median

import pandas as pd

from reports.figures.fig7 import PLACES
from reports.figures.series import EXTREMES, Label, Level, Mark, Panel, Series, end_labels, run_series
from reports.figures.style import Drawing
from reports.judging.comparison import Net
from reports.judging.evidence import Evidence
from reports.tables.probes import gradient_ratio, nets_of, of_comparison, of_net

MOMENTS = {"start": "before training", "one step": "after one step", "now": "after training"}
BLOCK_PANELS = {
    "change": "change of the input, |y - x| / |x|",
    "without": "test error without the block (%)",
    "linear": "error of a linear classifier (%)",
}


def gradients(signals: pd.DataFrame, e: Evidence) -> Drawing:
    """The norm of each layer's gradient on one axis, a panel for each moment of the training."""
    found = of_comparison(signals, e)
    lines = {
        f"{title}: norm of the gradient": list(_series(signals[signals["moment"] == moment], e, "layer", "gradient"))
        for moment, title in MOMENTS.items()
    }
    norms = [y for series in lines.values() for one in series for y in one.y if y > 0]
    ylim = (min(norms, default=0.1) / 1.3, max(norms, default=1.0) * 1.3)
    panels = [
        Panel(title, tuple(series), "layer / depth", PLACES, (0, 1), ylim, _labels(e, series), is_log=True)
        for title, series in lines.items()
    ]
    ratios = {title: _ratios(found[found["moment"] == moment], e) for moment, title in MOMENTS.items()}
    caption = f"Norm of the gradient of each layer's weights, on one batch. One line per run; {e.said}."
    title = _most_apart(e, ratios["before training"])
    said = [
        f"Largest over smallest {moment}: {', '.join(f'{e.title(net)} {ratio:,.0f}' for net, ratio in found.items())}."
        for moment, found in ratios.items()
        if found
    ]
    alternative = " ".join([f"{title}.", *said])
    return Drawing(f"gradients-{e.slug}", title, caption, alternative, tuple(panels), len(panels))


def _ratios(found: pd.DataFrame, e: Evidence) -> dict[Net, float]:
    """The largest gradient of each network's layers over the smallest, at one moment."""
    return {net: gradient_ratio(of_net(found, net)) for net in _shown(e, found)}


def _most_apart(e: Evidence, ratios: dict[Net, float]) -> str:
    """How far the gradients of the deepest networks' layers are apart before training."""
    if not ratios:
        return "Gradients of each layer's weights"
    deepest = max(net[0] for net in ratios)
    apart = [f"{ratio:,.0f}-fold in {e.title(net)}" for net, ratio in ratios.items() if net[0] == deepest]
    return f"Before training the gradients of the layers differ {' and '.join(apart)}"


def blocks(found: pd.DataFrame, e: Evidence, deeper: pd.DataFrame) -> Drawing:
    """What each block contributes: its change of the input, the error without it, a linear classifier on its output.

    Args:
        found: What `study probe` found of the blocks.
        e: The compared runs.
        deeper: What it found of a deeper copy, with the error of the network as it is on the same images.
    """
    mine, whole = of_comparison(found, e), of_comparison(deeper, e)
    as_is = {net: float(of_net(whole, net)["error"].mean()) for net in _shown(e, whole)}
    lines = {column: list(_series(found, e, "block", column, "dots")) for column in BLOCK_PANELS}
    panels = [
        _block_panel(e, title, lines[column], mine, as_is if column == "without" else {})
        for column, title in BLOCK_PANELS.items()
    ]
    without = {net: median(of_net(mine, net)["without"].dropna()) for net in _shown(e, mine.dropna(subset=["without"]))}
    said = [f"{e.title(net)} {error:.0f} %{_as_is(as_is, net)}" for net, error in without.items()]
    caption = (
        f"What each block contributes; {e.said}. A dot per block and run, none where it can't be measured; "
        "dotted lines: a stage begins. Middle: the block is replaced by its shortcut, in a plain net by the identity; "
        "dashed: the network as it is. Right: logistic regression on the block's output, averaged over positions."
    )
    deepest = [f"{e.title(net)} {error:.0f} %" for net, error in without.items() if net[0] == max(without)[0]]
    title = f"Median test error without one of the blocks: {', '.join(deepest) or 'not measured'}"
    alternative = f"Median test error without one of the blocks: {', '.join(said) or 'not measured'}."
    return Drawing(f"blocks-{e.slug}", title, caption, alternative, tuple(panels), len(panels))


def _as_is(as_is: dict[Net, float], net: Net) -> str:
    return f" (with all {as_is[net]:.0f} %)" if net in as_is else ""


def _block_panel(e: Evidence, title: str, series: list[Series], mine: pd.DataFrame, as_is: dict[Net, float]) -> Panel:
    levels = tuple(Level(error, e.title(net), net) for net, error in as_is.items())
    top = 1.05 * max([y for one in series for y in one.y if y == y] + [*as_is.values()], default=1.0)
    labels = _labels(e, series)
    return Panel(title, tuple(series), "block / blocks", PLACES, (0, 1), (0, top), labels, levels, _borders(mine))


def _borders(mine: pd.DataFrame) -> tuple[float, ...]:
    """Where stages begin, halfway between two blocks; of the deepest network, for all have them at like places."""
    if mine.empty:
        return ()
    one = mine[mine["run"] == mine.sort_values("block")["run"].iloc[-1]]
    first = one[one["name"].str.endswith(".0") & (one["block"] > 1)]["block"]
    return tuple((first - 0.5) / one["block"].max())


def _series(found: pd.DataFrame, e: Evidence, x: str, y: str, mark: Mark = "line") -> Iterable[Series]:
    return run_series(found, e, EXTREMES[e.comparison.family], x, y, mark)


def _shown(e: Evidence, found: pd.DataFrame) -> list[Net]:
    return [net for net in nets_of(found) if net in EXTREMES[e.comparison.family]]


def _labels(e: Evidence, series: list[Series]) -> tuple[Label, ...]:
    return end_labels(series, {one.net: e.title(one.net) for one in series}, {})
