"""Fig. 6: error against step of plain nets and of residual nets, test above training."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

import pandas as pd

from reports.figures.series import (
    PLAIN_NETS,
    RESIDUAL_NETS,
    Level,
    Panel,
    Series,
    end_labels,
    error_series,
    paper_error_series,
    public_error_series,
)
from reports.figures.style import NARROW, Drawing
from reports.figures.words import degradation, ends, extremes, finals
from reports.judging.comparison import CIFAR, Net
from reports.judging.evidence import Evidence
from reports.judging.plan import plan
from reports.paper import numbers as paper
from study.recipes import RECIPES

SPLITS = {"test": "test error (%)", "train": "training error (%)"}
# The paper's networks by panel, and the part that the third panel enlarges: from half of the training on.
PLAIN, RESIDUAL = (
    tuple((depth, shortcut) for depth in depths)
    for depths, shortcut, _ in (paper.FIG6_PANELS["plain"], paper.FIG6_PANELS["residual"])
)
DEEPEST: Net = (1202, "A")
ZOOM, ZOOMED = paper.CIFAR10_STEPS / 2, {"test": (5.0, 10.0), "train": (0.0, 2.5)}

LINES = "A line per run, at most ten of a network, the number of layers at its end. Dotted: the learning rate drops."
WIDE_LINES = " Wide and pale: the paper's curves, digitised."
PUBLIC = (
    " Diamonds right of each panel: networks that others published, tested by us, one for each repository; training "
    "error on cropped and flipped images in evaluation mode."
)


def fig6(history: pd.DataFrame, e: Evidence, public: Evidence | None = None) -> Drawing:
    """Fig. 6 on the paper's curves, or for a comparison that the paper lacks the same of ours alone.

    Args:
        history: Evaluations of all runs.
        e: The compared runs.
        public: Public networks, which stand beside the paper's panels.
    """
    return _papers(history, e, public) if e.comparison == CIFAR else _ours(history, e)


def _papers(history: pd.DataFrame, e: Evidence, public: Evidence | None) -> Drawing:
    """A row for each split: plain nets, residual nets, and these enlarged with the deepest."""
    panels = []
    for split, error in SPLITS.items():
        for title, nets in (("plain nets", PLAIN), ("residual nets", RESIDUAL)):
            panels.append(_on_the_papers(history, e, public, f"{title}: {error}", nets, split))
        whole = _on_the_papers(history, e, public, f"residual nets, enlarged: {error}", (*RESIDUAL, DEEPEST), split)
        panels.append(enlarged(whole, ZOOM, ZOOMED[split]))
    caption = f"Fig. 6. {LINES}{WIDE_LINES}{PUBLIC if public else ''}"
    title = _title(e, PLAIN, RESIDUAL)
    said = [f"{title}.", _ends(e, PLAIN, (*RESIDUAL, DEEPEST)), _public_ends(public)]
    return Drawing(_name(e), title, caption, " ".join(filter(None, said)), tuple(panels), 3)


def _on_the_papers(
    history: pd.DataFrame, e: Evidence, public: Evidence | None, title: str, nets: Sequence[Net], split: str
) -> Panel:
    """Our curves on the paper's, cut off above 20 % as in the paper."""
    theirs = paper_error_series(paper.FIG6_PANELS.values(), nets, split)
    others = public_error_series(public, nets, split) if public else ()
    return error_panel(e, title, [*theirs, *error_series(history, e, nets, split), *others], split, paper.FIG6_TOP)


def _ours(history: pd.DataFrame, e: Evidence) -> Drawing:
    """Four panels with one axis of errors: test and training error of plain nets and of residual ones."""
    kinds = {"plain nets": PLAIN_NETS[e.comparison.family], "residual nets": RESIDUAL_NETS[e.comparison.family]}
    lines = {
        (f"{title}: {error}", split): list(error_series(history, e, nets, split))
        for split, error in SPLITS.items()
        for title, nets in kinds.items()
    }
    top = highest(lines.values(), chance(e))
    shown = {panel: series for panel, series in lines.items() if series} or lines
    panels = [error_panel(e, title, series, split, top) for (title, split), series in shown.items()]
    figure = {"cifar": "Fig. 6", "imagenet": "Fig. 4"}[e.comparison.family]
    caption = f"{figure}'s shape, {e.comparison.title}; lines as in Fig. 6."
    title = _title(e, *kinds.values())
    return Drawing(_name(e), title, caption, f"{title}. {_ends(e, *kinds.values())}", tuple(panels), 4, NARROW)


def error_panel(e: Evidence, title: str, series: Sequence[Series], split: str, top: float, bottom: float = 0) -> Panel:
    """A panel of errors against steps.

    Args:
        e: The compared runs.
        title: Of the panel.
        series: Its lines.
        split: `train` or `test`.
        top: The highest error that is shown, in percent.
        bottom: The lowest.
    """
    recipe = RECIPES[e.comparison.dataset][e.comparison.recipe]
    nets = sorted({one.net for one in series}, key=lambda net: (net[1] != "none", *net))
    means = {net: sum(errors) / len(errors) for net in nets if (errors := finals(e, net, split))}
    return Panel(
        title,
        tuple(series),
        "step",
        step_ticks(0, recipe.steps),
        (0, recipe.steps),
        (bottom, top),
        end_labels(series, {net: str(net[0]) for net in nets}, means),
        (Level(chance(e), "chance"),) if chance(e) < top else (),
        tuple(map(float, recipe.drops)),
    )


def step_ticks(first: float, last: float) -> tuple[tuple[float, str], ...]:
    """Five ticks, among which the paper's drops of the rate are: at a half and three quarters of all steps."""
    at = [first + (last - first) * i / 4 for i in range(5)]
    return tuple((step, f"{step / 1000:g}k" if step >= 1000 else f"{step:g}") for step in at)


def chance(e: Evidence) -> float:
    """The error of guessing, in percent."""
    return plan().chance_error[e.comparison.dataset]


def highest(lines: Iterable[Sequence[Series]], chance: float) -> float:
    """The top of an axis of errors that all panels share: 100 where chance is in sight, else above all curves."""
    top = max((max(one.y) for series in lines for one in series), default=0.0)
    return 100.0 if top > chance - 15 else 5 * (top // 5 + 1)


def enlarged(panel: Panel, first: float, ylim: tuple[float, float]) -> Panel:
    """A part of a panel, from one step on and between two errors; lines that it does not show are left out."""
    series = tuple(_cut(one, first, ylim) for one in panel.series if max(one.x) >= first)
    labels = tuple(label for label in panel.labels if label.x >= first)
    last = panel.xlim[1]
    return replace(
        panel, series=series, xlim=(first, last), ylim=ylim, xticks=step_ticks(first, last), labels=labels, levels=()
    )


def _cut(series: Series, first: float, ylim: tuple[float, float]) -> Series:
    """The points from a step on; points of public networks, which nothing clips, only between the two errors."""
    points = [(x, y) for x, y in zip(series.x, series.y, strict=True) if x >= first]
    if series.source == "public":
        points = [(x, y) for x, y in points if ylim[0] <= y <= ylim[1]]
    return replace(series, x=tuple(x for x, _ in points), y=tuple(y for _, y in points))


def _name(e: Evidence) -> str:
    return f"fig6-{e.comparison.slug}"


def _title(e: Evidence, plain: Sequence[Net], residual: Sequence[Net]) -> str:
    return degradation(e, plain, residual) or "Error through the training, test above training"


def _ends(e: Evidence, plain: Sequence[Net], residual: Sequence[Net]) -> str:
    """The alternative text: where the shallowest and the deepest networks of ours end."""
    nets = [*extremes(e, plain), *extremes(e, residual)]
    said = ends(e, nets)
    return f"Final errors in percent: {said}" if said else NO_RUN


NO_RUN = "The paper's curves alone: no run of ours yet."


def _public_ends(public: Evidence | None) -> str:
    """The errors of the public networks that are shallowest and deepest."""
    said = ends(public, [*extremes(public, PLAIN), *extremes(public, RESIDUAL)]) if public else ""
    return f"Public networks: {said}" if said else ""
