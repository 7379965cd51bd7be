"""Fig. 1: training error (left) and test error (right) of plain nets with 20 and 56 layers."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure

from reports.figures.fig6 import cifar_axes
from reports.figures.series import Panel, ends, error_series, paper_error_series
from reports.figures.style import Drawing, draw_panel, net_legend, panels_of
from reports.judging.evidence import Evidence, Net

NETS: tuple[Net, ...] = ((20, "none"), (56, "none"))
SPLITS = {"training error (%)": "train", "test error (%)": "test"}


def fig1(history: pd.DataFrame, e: Evidence) -> Drawing:
    """Fig. 1 with the paper's curves behind ours; a split a panel, so all lines are solid, as in the paper."""
    panels = [_panel(history, e, title, split) for title, split in SPLITS.items()]
    caption = "Fig. 1. Plain nets of 20 and 56 layers on CIFAR-10. Thin: the paper's own curves, digitised."
    return Drawing("fig1", caption, ends(panels), lambda: _draw(panels, [(net, e.title(net)) for net in NETS]))


def _panel(history: pd.DataFrame, e: Evidence, title: str, split: str) -> Panel:
    theirs = paper_error_series("fig6_plain.csv", NETS, [split])
    return Panel(title, (*theirs, *error_series(history, e, NETS, [split])))


def _draw(panels: list[Panel], labels: list[tuple[Net, str]]) -> Figure:
    figure, axes = panels_of(1, 2, (7.2, 3.4))
    for axis, panel in zip(axes, panels, strict=True):
        draw_panel(axis, panel)
        cifar_axes(axis)
        net_legend(axis, labels)
        axis.set_ylabel(panel.title)
    return figure
