"""Fig. 1: training error (left) and test error (right) of plain nets with 20 and 56 layers."""

from __future__ import annotations

import pandas as pd

from reports.figures.fig6 import LINES, WIDE_LINES, error_panel
from reports.figures.series import error_series, paper_error_series
from reports.figures.style import Drawing
from reports.figures.words import degradation, ends
from reports.judging.comparison import Net
from reports.judging.evidence import Evidence
from reports.paper import numbers as paper

NETS: tuple[Net, ...] = ((20, "none"), (56, "none"))
SPLITS = {"training error (%)": "train", "test error (%)": "test"}


def fig1(history: pd.DataFrame, e: Evidence) -> list[Drawing]:
    """Fig. 1 on the paper's curves, a split a panel; nothing before one of its networks has a run."""
    if not any(len(e.net(net)) for net in NETS):
        return []
    panels = []
    for title, split in SPLITS.items():
        theirs = paper_error_series([paper.FIG6_PANELS["plain"]], NETS, split)
        series = [*theirs, *error_series(history, e, NETS, split)]
        panels.append(error_panel(e, f"plain nets: {title}", series, split, paper.FIG6_TOP))
    title = degradation(e, NETS, ()) or "Plain nets of 20 and 56 layers through the training"
    caption = f"Fig. 1. Plain nets of 20 and 56 layers on CIFAR-10. {LINES}{WIDE_LINES}"
    return [Drawing("fig1", title, caption, f"{title}. Final errors in percent: {ends(e, NETS)}", tuple(panels), 2)]
