"""Fig. 4: ImageNet, plain and residual nets of 18 and 34 layers; validation error of centre crops."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure

from reports.figures.series import Panel, ends, paper_panels
from reports.figures.style import (
    THIN,
    Drawing,
    draw_panel,
    net_legend,
    panels_of,
    split_legend,
    tens_of_thousands,
)
from reports.judging.evidence import Evidence, Net
from reports.paper import numbers as paper

TITLES = {"plain": "plain nets", "residual": "residual nets, option A"}


def fig4(history: pd.DataFrame, e: Evidence) -> Drawing:
    """Fig. 4 with the paper's curves behind ours."""
    panels, labels = paper_panels(history, e, paper.FIG4_PANELS, TITLES)
    caption = "Fig. 4. ImageNet, training error dashed and validation error of the centre crop solid." + THIN
    return Drawing("fig4", caption, ends(panels), lambda: _draw(panels, labels))


def _draw(panels: list[Panel], labels: list[list[tuple[Net, str]]]) -> Figure:
    figure, axes = panels_of(1, 2, (8.4, 3.9))
    for axis, panel, entries in zip(axes, panels, labels, strict=True):
        draw_panel(axis, panel)
        axis.set(xlim=(0, 5.5e5), ylim=(20, 60), yticks=[20, 30, 40, 50, 60], ylabel="error (%)", title=panel.title)
        tens_of_thousands(axis, 1e5)
        net_legend(axis, entries)
    split_legend(figure, is_paper_shown=True)
    return figure
