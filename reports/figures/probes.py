"""Figures of what `study probe` found in trained nets, on questions that the paper leaves open."""

from __future__ import annotations

from statistics import median

import pandas as pd
from matplotlib.figure import Figure

from reports.figures.series import Panel, probe_series
from reports.figures.style import Drawing, draw_panel, panels_of, style_handles
from reports.judging.evidence import Evidence
from reports.tables.probes import of_comparison

BLOCK_PANELS = {
    "change": "change of the input, |y - x| / |x|",
    "without": "test error without the block (%)",
    "linear": "error of a linear classifier (%)",
}


def gradients(signals: pd.DataFrame, e: Evidence) -> Drawing:
    """The norm of each layer's gradient, a panel for each moment of the training."""
    found = of_comparison(signals, e)
    panels = [
        Panel(moment, tuple(probe_series(found[found["moment"] == moment], e, "layer", "gradient")))
        for moment in dict.fromkeys(found["moment"])
    ]
    said = ", ".join(f"{line.label} {max(line.mean) / min(line.mean):,.0f}" for line in panels[0].series)
    caption = f"Gradients of each layer's weights, from the first to the last layer ({e.comparison.name})."
    alternative = f"Largest over smallest at the {panels[0].title}: {said}."
    return Drawing(f"gradients-{e.comparison.slug}", caption, alternative, lambda: _draw_gradients(panels))


def _draw_gradients(panels: list[Panel]) -> Figure:
    figure, axes = panels_of(1, len(panels), (8.4, 3.4))
    for axis, panel in zip(axes, panels, strict=True):
        draw_panel(axis, panel)
        axis.set(title=panel.title, xlabel="layer", yscale="log")
    axes[0].set_ylabel("norm of the gradient")
    _legend(figure, panels)
    return figure


def blocks(found: pd.DataFrame, e: Evidence) -> Drawing:
    """What each block contributes: its change of the input, the error without it, a linear classifier on its output."""
    found = of_comparison(found, e)
    panels = [Panel(title, tuple(probe_series(found, e, "block", column))) for column, title in BLOCK_PANELS.items()]
    without = next(panel for panel in panels if panel.title == BLOCK_PANELS["without"])
    said = ", ".join(f"{line.label} {median(line.mean):.0f} %" for line in without.series)
    caption = (
        f"What each block contributes ({e.comparison.name}). Middle: the block is replaced by its shortcut, in a plain "
        "net by the identity. Right: logistic regression on its output, averaged over positions."
    )
    alternative = f"Median test error without a block: {said}."
    return Drawing(f"blocks-{e.comparison.slug}", caption, alternative, lambda: _draw_blocks(panels))


def _draw_blocks(panels: list[Panel]) -> Figure:
    figure, axes = panels_of(1, len(panels), (10.2, 3.4))
    for axis, panel in zip(axes, panels, strict=True):
        draw_panel(axis, panel)
        axis.set(title=panel.title, xlabel="block (0: stem)", ylim=(0, None))
    _legend(figure, panels)
    return figure


def _legend(figure: Figure, panels: list[Panel]) -> None:
    handles = style_handles([series for panel in panels for series in panel.series], linewidth=1.3)
    figure.legend(handles=handles, loc="lower center", ncol=len(handles) or 1)
