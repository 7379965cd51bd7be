"""What the figures show, before anything is drawn: the lines of each panel, and the text that says the same.

A `Series` is one line. Figures draw series, tests look at them, and alternative texts are made of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import pandas as pd

from reports.judging.evidence import Evidence, Net
from reports.paper import numbers as paper
from reports.tables.probes import nets_of, of_comparison, of_net
from study.spec import Family

SPLITS = ("train", "test")
# What figures show of a comparison that the paper has no exhibit of, by the family of its networks.
PLAIN_NETS: dict[Family, tuple[Net, ...]] = {
    "cifar": ((20, "none"), (32, "none"), (44, "none"), (56, "none")),
    "imagenet": ((18, "none"), (34, "none"), (50, "none"), (101, "none")),
}
RESIDUAL_NETS: dict[Family, tuple[Net, ...]] = {
    "cifar": ((20, "A"), (32, "A"), (44, "A"), (56, "A"), (110, "A")),
    "imagenet": ((18, "A"), (34, "A"), (50, "B"), (101, "B"), (152, "B")),
}
EXTREMES: dict[Family, tuple[Net, ...]] = {
    "cifar": paper.FIG7_NETS,
    "imagenet": ((18, "none"), (34, "none"), (18, "A"), (34, "A"), (50, "B")),
}


@dataclass(frozen=True)
class Series:
    """One line of a figure.

    Attributes:
        net: Depth and shortcut; the line has the depth's colour.
        label: The network in the paper's words.
        split: `train` or `test`; empty where the line is of no error.
        x: Steps, layers or blocks.
        mean: The value at each x, over seeds.
        low: The lowest value over seeds at each x; empty for a line without a band.
        high: The highest value over seeds at each x.
        dashed: In curves the training error, elsewhere a plain net.
        is_paper: Whether it is the paper's own line, digitised; such lines are thin.
        is_public: Whether it is of public networks, tested by us; these are points, hollow where lines are dashed.
    """

    net: Net
    label: str
    split: str
    x: tuple[float, ...]
    mean: tuple[float, ...]
    low: tuple[float, ...] = ()
    high: tuple[float, ...] = ()
    dashed: bool = False
    is_paper: bool = False
    is_public: bool = False


@dataclass(frozen=True)
class Panel:
    """One panel of a figure: its title and its lines, in the order in which they are drawn."""

    title: str
    series: tuple[Series, ...]

    @property
    def ours(self) -> tuple[Series, ...]:
        """The lines of our own runs."""
        return tuple(series for series in self.series if not (series.is_paper or series.is_public))

    @property
    def public(self) -> tuple[Series, ...]:
        """The points of public networks."""
        return tuple(series for series in self.series if series.is_public)


def error_series(
    history: pd.DataFrame, e: Evidence, nets: Sequence[Net], splits: Sequence[str] = SPLITS
) -> Iterator[Series]:
    """Error against step for each split and network that has runs; dashed is training where both splits are shown."""
    curves = of_comparison(history, e)
    present = dict.fromkeys(zip(curves["depth"].astype(int), curves["shortcut"], strict=True))
    for split in splits:
        for net in (net for net in present if net in nets):
            seeds = of_net(curves, net).groupby("step")[f"{split}/top1_error"]
            mean = seeds.mean()
            yield Series(
                net,
                e.title(net),
                split,
                tuple(mean.index),
                tuple(mean),
                tuple(seeds.min()),
                tuple(seeds.max()),
                dashed=split == "train" and len(splits) > 1,
            )


def paper_error_series(file: str, nets: Sequence[Net], splits: Sequence[str] = SPLITS) -> Iterator[Series]:
    """The paper's own curves of one file of `reports/paper/curves`."""
    by_depth = {depth: (depth, shortcut) for depth, shortcut in nets}
    for (label, split), curve in paper.curves(file).groupby(["net", "split"]):
        net = by_depth.get(int(str(label).rsplit("-", 1)[1]))
        if net and split in splits:
            dashed = split == "train" and len(splits) > 1
            x, mean = tuple(curve["step"]), tuple(curve["error"])
            yield Series(net, str(label), str(split), x, mean, dashed=dashed, is_paper=True)


def public_error_series(e: Evidence, nets: Sequence[Net]) -> Iterator[Series]:
    """The errors of public networks at the end of their training: a point for each repository.

    Args:
        e: `public_evidence`.
        nets: The networks of a panel.
    """
    for split in SPLITS:
        for net in nets:
            errors = tuple(e.net(net)[f"{split}_error"].astype(float).dropna())
            end = (float(paper.CIFAR10_STEPS),) * len(errors)
            if errors:
                yield Series(net, e.title(net), split, end, errors, dashed=split == "train", is_public=True)


def paper_panels(
    history: pd.DataFrame, e: Evidence, shown: Mapping[str, paper.CurvePanel], titles: Mapping[str, str]
) -> tuple[list[Panel], list[list[tuple[Net, str]]]]:
    """The panels of one of the paper's figures, its curves behind ours, and the legend entries of each.

    Args:
        history: Evaluations of all runs.
        e: The compared runs.
        shown: The figure's panels, as in `paper.FIG6_PANELS`.
        titles: Their titles.
    """
    panels, labels = [], []
    for name, (depths, shortcut, file) in shown.items():
        nets: list[Net] = [(depth, shortcut) for depth in depths]
        panels.append(Panel(titles[name], (*paper_error_series(file, nets), *error_series(history, e, nets))))
        labels.append([(net, e.title(net)) for net in nets])
    return panels, labels


def response_series(
    responses: pd.DataFrame, e: Evidence, net: Net, is_sorted: bool, is_paper: bool
) -> Iterator[Series]:
    """Standard deviation of each layer's response: the paper's line if requested, then ours.

    Args:
        responses: Rows of `of_comparison`.
        e: The compared runs.
        net: The network.
        is_sorted: From the largest down instead of in the layers' order.
        is_paper: Whether the paper's own line is shown as well.
    """
    theirs = paper.responses()
    if is_paper:
        yield from _responses(e, net, theirs[theirs["net"] == e.title(net)]["std"], is_sorted, is_paper=True)
    yield from _responses(e, net, of_net(responses, net).groupby("layer")["std"].mean(), is_sorted, is_paper=False)


def public_response_series(responses: pd.DataFrame, e: Evidence, net: Net, is_sorted: bool) -> Iterator[Series]:
    """The same of public networks: the mean over repositories.

    Args:
        responses: Of public networks.
        e: `public_evidence`.
        net: The network.
        is_sorted: From the largest down instead of in the layers' order.
    """
    found = of_net(of_comparison(responses, e), net)
    for series in _responses(e, net, found.groupby("layer")["std"].mean(), is_sorted, is_paper=False):
        label = f"{series.label}, public (n = {found['run'].nunique()})"
        yield replace(series, label=label, is_public=True)


def _responses(e: Evidence, net: Net, stds: pd.Series[float], is_sorted: bool, is_paper: bool) -> Iterator[Series]:
    values = sorted(stds, reverse=True) if is_sorted else list(stds)
    if values:
        x = tuple(range(1, len(values) + 1))
        yield Series(net, e.title(net), "", x, tuple(values), dashed=net[1] == "none", is_paper=is_paper)


def probe_series(found: pd.DataFrame, e: Evidence, x: str, y: str) -> Iterator[Series]:
    """A column of what `study probe` found against layers or blocks: the mean over seeds of the `EXTREMES`.

    Args:
        found: Rows of `of_comparison`.
        e: The compared runs.
        x: The column of layers or blocks.
        y: The column that is shown; rows without a value are left out.
    """
    rows = found.dropna(subset=[y])
    for net in nets_of(rows):
        if net in EXTREMES[e.comparison.family]:
            mean = of_net(rows, net).groupby(x)[y].mean()
            yield Series(net, e.title(net), "", tuple(mean.index), tuple(mean), dashed=net[1] == "none")


def ends(panels: Sequence[Panel]) -> str:
    """The alternative text of curves: where each of our lines ends; lines that stand in two panels are said once."""
    return " ".join(filter(None, [_our_ends(panels), _public_ends(panels)]))


def _public_ends(panels: Sequence[Panel]) -> str:
    """The mean of each network's points."""
    points = {(s.net[1], s.net[0], s.split): s for panel in panels for s in panel.public}
    means = [f"{s.label} {s.split} {sum(s.mean) / len(s.mean):.1f} %" for _, s in sorted(points.items())]
    return f"Public networks: {', '.join(means)}." if means else ""


def _our_ends(panels: Sequence[Panel]) -> str:
    ours = {(s.net[1], s.net[0], s.split): s for panel in panels for s in panel.ours}
    if not ours and any(panel.series for panel in panels):
        return "The paper's curves alone: no run of ours yet."
    if not ours:
        return "No curve: none of the networks shown has a run."
    said = [f"{ours[key].label} {ours[key].split} {ours[key].mean[-1]:.1f} %" for key in sorted(ours)]
    return f"Error against steps. At the end: {', '.join(said)}."
