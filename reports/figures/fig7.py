"""Fig. 7: standard deviation of layer responses, plain on residual nets, a panel for each depth."""

from __future__ import annotations

from statistics import mean

import pandas as pd

from reports.figures.palette import kind
from reports.figures.series import (
    EXTREMES,
    Panel,
    Series,
    end_labels,
    paper_response_series,
    public_response_series,
    run_series,
)
from reports.figures.style import Drawing
from reports.gathering.public import Public
from reports.judging.comparison import CIFAR, Net
from reports.judging.evidence import Evidence
from reports.judging.public import public_evidence
from reports.tables.probes import nets_of, of_comparison

PUBLIC = " Diamonds: networks that others published, tested by us, mean over repositories."
PLACES = tuple((i / 4, f"{i / 4:g}") for i in range(5))


def fig7(responses: pd.DataFrame, e: Evidence, public: Public | None = None) -> list[Drawing]:
    """Fig. 7, for CIFAR-10 on the paper's lines; nothing where none of its networks was measured.

    Args:
        responses: Of all runs.
        e: The compared runs.
        public: Public networks, whose points stand beside the paper's lines.
    """
    measured, is_papers = nets_of(of_comparison(responses, e)), e.comparison == CIFAR
    nets = [net for net in EXTREMES[e.comparison.family] if is_papers or net in measured]
    if not nets:
        return []
    others = public if public and is_papers and len(public.networks) else None
    by_depth = {
        depth: [one for net in nets if net[0] == depth for one in _lines(responses, e, net, others)]
        for depth in dict.fromkeys(net[0] for net in nets)
    }
    top = 1.05 * max(max(one.y) for series in by_depth.values() for one in series)
    panels = [_panel(depth, series, top) for depth, series in by_depth.items()]
    shown = f"{' Wide pale lines: the paper, digitised.' if is_papers else ''}{PUBLIC if others else ''}"
    caption = (
        "Fig. 7. Standard deviation of each layer's response, after batch norm and before ReLU or addition. One line "
        f"per run; {e.comparison.title}.{shown}"
    )
    means = {net: value for net in nets if (value := e.net(net)["response"].dropna().tolist())}
    title = _title(e, means)
    return [
        Drawing(f"fig7-{e.comparison.slug}", title, caption, _said(title, e, means, panels), tuple(panels), len(panels))
    ]


def _lines(responses: pd.DataFrame, e: Evidence, net: Net, public: Public | None) -> list[Series]:
    theirs = paper_response_series(e, net) if e.comparison == CIFAR else ()
    others = public_response_series(public.responses, public_evidence(public), net) if public else ()
    return [*theirs, *run_series(responses, e, [net], "layer", "std"), *others]


def _panel(depth: int, series: list[Series], top: float) -> Panel:
    labels = end_labels(series, {one.net: kind(one.net) for one in series}, {})
    return Panel(f"{depth} layers: std of responses", tuple(series), "layer / depth", PLACES, (0, 1), (0, top), labels)


def _title(e: Evidence, means: dict[Net, list[float]]) -> str:
    """Whether residual responses are smaller than plain ones, at the largest depth that has both."""
    pairs = [((depth, "none"), (depth, other)) for depth, other in sorted(means) if other != "none"]
    for plain, residual in reversed([pair for pair in pairs if pair[0] in means]):
        small, large = mean(means[residual]), mean(means[plain])
        how = "smaller" if small < large else "larger"
        return (
            f"The responses of {e.title(residual)} are {how} than those of {e.title(plain)}: "
            f"{small:.2f} against {large:.2f} on average"
        )
    return "Standard deviation of layer responses, plain and residual nets"


def _said(title: str, e: Evidence, means: dict[Net, list[float]], panels: list[Panel]) -> str:
    """The alternative text: the mean over the layers of each network of ours, and of each public one."""
    ours = [f"{e.title(net)} {', '.join(f'{each:.2f}' for each in found)}" for net, found in means.items()]
    public = [f"{one.label} {mean(one.y):.2f}" for panel in panels for one in panel.of("public")]
    return f"{title}. Mean over layers: {'; '.join([*ours, *public]) or 'no run yet'}."
