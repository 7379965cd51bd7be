"""Fig. 7: standard deviation of layer responses, in the layers' order (top) and sorted (bottom)."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd
from matplotlib.figure import Figure

from reports.figures.series import EXTREMES, Panel, Series, public_response_series, response_series
from reports.figures.style import THIN, Drawing, draw_panel, panels_of, style_handles
from reports.gathering.public import Public
from reports.judging.evidence import CIFAR, Evidence, Net
from reports.judging.public import public_evidence
from reports.tables.probes import nets_of, of_comparison

PANELS = {"layer index (original)": False, "layer index (sorted by magnitude)": True}


PUBLIC = " Diamonds: networks that others published, tested by us, mean over n repositories; hollow where plain."


def fig7(responses: pd.DataFrame, e: Evidence, public: Public | None = None) -> list[Drawing]:
    """Fig. 7, for CIFAR-10 with the paper's lines behind ours; nothing where none of its networks was measured.

    Args:
        responses: Of all runs.
        e: The compared runs.
        public: Public networks, whose points stand beside the paper's lines.
    """
    mine, is_papers = of_comparison(responses, e), e.comparison == CIFAR
    nets = [net for net in EXTREMES[e.comparison.family] if is_papers or net in nets_of(mine)]
    if not nets:
        return []
    panels = [
        Panel(
            title,
            (
                *(one for net in nets for one in response_series(mine, e, net, is_sorted, is_papers)),
                *(_public(public, nets, is_sorted) if public and len(public.networks) else ()),
            ),
        )
        for title, is_sorted in PANELS.items()
    ]
    shown = f"{THIN if is_papers else ''}{PUBLIC if panels[0].public else ''}"
    caption = (
        "Fig. 7. Standard deviations of each layer's response, after batch norm and before ReLU or addition: "
        f"mean over seeds ({e.comparison.name}).{shown}"
    )
    return [Drawing(f"fig7-{e.comparison.slug}", caption, _means(panels[0]), lambda: _draw(panels))]


def _public(public: Public, nets: list[Net], is_sorted: bool) -> Iterator[Series]:
    e = public_evidence(public)
    for net in nets:
        yield from public_response_series(public.responses, e, net, is_sorted)


def _means(panel: Panel) -> str:
    """The alternative text: the mean over the layers of each network of ours, and of each public one."""
    lines = [*panel.ours, *panel.public]
    means = [f"{series.label} {sum(series.mean) / len(series.mean):.2f}" for series in lines]
    return f"Mean over layers: {', '.join(means) or 'no run yet'}."


def _draw(panels: list[Panel]) -> Figure:
    figure, axes = panels_of(2, 1, (7.2, 5.6))
    for axis, panel in zip(axes, panels, strict=True):
        draw_panel(axis, panel)
        axis.set(ylabel="std", xlabel=panel.title)
    axes[0].legend(handles=style_handles(panels[0].series), ncol=2, loc="upper right")
    return figure
