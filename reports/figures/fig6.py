"""Fig. 6: error against step of plain nets, residual nets, and for CIFAR-10 the two deepest."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from reports.figures.series import (
    PLAIN_NETS,
    RESIDUAL_NETS,
    Panel,
    ends,
    error_series,
    paper_panels,
    public_error_series,
)
from reports.figures.style import (
    THIN,
    Drawing,
    draw_panel,
    draw_strip,
    net_legend,
    panels_of,
    split_legend,
    tens_of_thousands,
)
from reports.judging.evidence import CIFAR, Evidence, Net
from reports.paper import numbers as paper

TITLES = {"plain": "plain nets", "residual": "residual nets", "very deep": "110 and 1202 layers"}
CAPTION = "Training error dashed, test error solid; a band spans the seeds."
PUBLIC = (
    " Diamonds right of each panel: networks that others published, tested by us, one for each repository; training "
    "error on cropped and flipped images in evaluation mode."
)


def fig6(history: pd.DataFrame, e: Evidence, public: Evidence | None = None) -> Drawing:
    """Fig. 6 with the paper's curves behind ours, or its first two panels for a comparison that the paper lacks.

    Args:
        history: Evaluations of all runs.
        e: The compared runs.
        public: Public networks, which stand beside the paper's panels.
    """
    name = f"fig6-{e.comparison.slug}"
    if e.comparison == CIFAR:
        panels, labels = paper_panels(history, e, paper.FIG6_PANELS, TITLES)
        if public:
            nets = [[net for net, _ in entries] for entries in labels]
            panels = [_with_public(panel, public, shown) for panel, shown in zip(panels, nets, strict=True)]
        caption = f"Fig. 6. {CAPTION}{THIN}{PUBLIC if public else ''}"
        return Drawing(name, caption, ends(panels), lambda: _draw_paper(panels, labels))
    shown = {"plain nets": PLAIN_NETS, "residual nets": RESIDUAL_NETS}
    panels = [Panel(title, tuple(error_series(history, e, nets[e.comparison.family]))) for title, nets in shown.items()]
    kind = "scaled down" if e.is_scaled_down else "a variant"
    caption = f"Fig. 6's shape, {kind} ({e.comparison.name}). {CAPTION}"
    return Drawing(name, caption, ends(panels), lambda: _draw(panels))


def _with_public(panel: Panel, public: Evidence, nets: list[Net]) -> Panel:
    return replace(panel, series=(*panel.series, *public_error_series(public, nets)))


def _draw_paper(panels: list[Panel], labels: list[list[tuple[Net, str]]]) -> Figure:
    """The paper's three panels with its axes; as in the paper, the last one starts at 35,000 steps."""
    figure, axes = panels_of(1, 3, (10.8, 3.9))
    for axis, panel, entries in zip(axes, panels, labels, strict=True):
        draw_panel(axis, Panel(panel.title, tuple(series for series in panel.series if not series.is_public)))
        draw_strip(axis, panel.public)
        cifar_axes(axis)
        net_legend(axis, entries, columns=3)
        axis.set_title(panel.title)
    axes[0].set_ylabel("error (%)")
    axes[2].set_xlim(3.5e4, paper.CIFAR10_STEPS)
    split_legend(figure, is_paper_shown=True, is_public_shown=any(panel.public for panel in panels))
    return figure


def _draw(panels: list[Panel]) -> Figure:
    figure, axes = panels_of(1, len(panels), (3.6 * len(panels), 3.9), sharey=True)
    for axis, panel in zip(axes, panels, strict=True):
        draw_panel(axis, panel)
        net_legend(axis, sorted({series.net: series.label for series in panel.series}.items()))
        axis.set(title=panel.title, xlabel="step")
    axes[0].set_ylabel("error (%)")
    split_legend(figure, is_paper_shown=False)
    return figure


def cifar_axes(axis: Axes) -> None:
    """The axes of Figs. 1 and 6: 0 to 64k steps in 1e4, 0 to 20 % with the paper's ticks."""
    axis.set(xlim=(0, paper.CIFAR10_STEPS), ylim=(0, paper.FIG6_TOP), yticks=[0, 5, 10, 20])
    tens_of_thousands(axis, 1e4)
