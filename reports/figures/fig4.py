"""Fig. 4: ImageNet, plain and residual nets of 18 and 34 layers; validation error of centre crops."""

from __future__ import annotations

import pandas as pd

from reports.figures.fig6 import LINES, NO_RUN, WIDE_LINES, error_panel
from reports.figures.series import error_series, paper_error_series
from reports.figures.style import NARROW, Drawing
from reports.figures.words import degradation, ends
from reports.judging.comparison import Net
from reports.judging.evidence import Evidence
from reports.paper import numbers as paper

KINDS: dict[str, tuple[Net, ...]] = {
    "plain nets": ((18, "none"), (34, "none")),
    "residual nets": ((18, "A"), (34, "A")),
}
SPLITS = {"validation error (%)": "test", "training error (%)": "train"}
BOTTOM, TOP = 20.0, 60.0  # percent, as in the paper


def fig4(history: pd.DataFrame, e: Evidence) -> Drawing:
    """Fig. 4 on the paper's curves, or these alone before one of its networks has a run."""
    panels = []
    for error, split in SPLITS.items():
        for title, nets in KINDS.items():
            theirs = paper_error_series(paper.FIG4_PANELS.values(), nets, split)
            series = [*theirs, *error_series(history, e, nets, split)]
            panels.append(error_panel(e, f"{title}: {error}", series, split, TOP, BOTTOM))
    title = degradation(e, *KINDS.values()) or "ImageNet: error through the training, validation beside training"
    said = ends(e, [net for nets in KINDS.values() for net in nets], "validation")
    alternative = f"{title}. Final errors in percent: {said}" if said else NO_RUN
    caption = f"Fig. 4. ImageNet, residual nets of option A; validation error of the centre crop. {LINES}{WIDE_LINES}"
    return Drawing("fig4", title, caption, alternative, tuple(panels), 4, NARROW)
