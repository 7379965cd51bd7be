"""What the figures show, before anything is drawn: the lines of each panel as numbers.

A `Series` is one line, of one run. Figures draw series, and tests look at them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import pandas as pd

from reports.judging.comparison import Net
from reports.judging.evidence import Evidence, values_of
from reports.paper import numbers as paper
from reports.tables.probes import of_comparison, of_net
from study.spec import Family

MOST_SEEDS = 10  # lines of one network, of its first seeds: more would hide each other, and tables have them all
Source = Literal["ours", "paper", "public"]
Mark = Literal["line", "dashes", "dots", "hollow", "grey"]

FINAL = {"train": "train_error", "test": "test_error"}  # the column of `Snapshot.results` that says how a run ends
# What figures show of a comparison that the paper has no exhibit of, by the family of its networks.
PLAIN_NETS: dict[Family, tuple[Net, ...]] = {
    "cifar": ((20, "none"), (32, "none"), (44, "none"), (56, "none"), (110, "none")),
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
        net: Depth and shortcut; the line has the network's colour.
        label: What it is of: ``plain-56, seed 0``; ``plain-56, the paper``.
        x: Steps, or places in the network from 0 to 1.
        y: The value at each x; the line has a gap where it is undefined.
        source: Whose runs it is of: ours, the paper's own (digitised), or networks that others published.
        mark: A line; one of dashes; dots alone; hollow dots on a dashed line; grey dots.
    """

    net: Net
    label: str
    x: tuple[float, ...]
    y: tuple[float, ...]
    source: Source = "ours"
    mark: Mark = "line"


@dataclass(frozen=True)
class Label:
    """A text right of a panel, joined to the ends of the lowest and the highest of its lines.

    Attributes:
        text: What it says.
        net: Whose colour the joints have.
        y: Where it stands: the mean of its lines' ends.
        x: Where its lines end.
        ends: The lowest and the highest value there.
    """

    text: str
    net: Net
    y: float
    x: float
    ends: tuple[float, float]


@dataclass(frozen=True)
class Level:
    """A horizontal line: the error of guessing, or of a network as it is.

    Attributes:
        y: Its height.
        text: What stands on it; empty for none.
        net: Whose colour it has; grey for none.
    """

    y: float
    text: str = ""
    net: Net | None = None


@dataclass(frozen=True)
class Panel:
    """One panel of a figure: everything that is in it.

    Attributes:
        title: What it shows, and its unit.
        series: Its lines, in the order in which they are drawn.
        xlabel: What x is.
        xticks: The marked values of x and their texts.
        xlim: The first and the last x.
        ylim: The lowest and the highest y.
        labels: Texts at the lines' ends.
        levels: Horizontal lines.
        borders: Vertical lines: where the learning rate drops, or a stage begins.
        is_log: Whether y is logarithmic.
    """

    title: str
    series: tuple[Series, ...]
    xlabel: str
    xticks: tuple[tuple[float, str], ...]
    xlim: tuple[float, float]
    ylim: tuple[float, float]
    labels: tuple[Label, ...] = ()
    levels: tuple[Level, ...] = ()
    borders: tuple[float, ...] = ()
    is_log: bool = False

    def of(self, source: Source) -> tuple[Series, ...]:
        """The lines of one source."""
        return tuple(series for series in self.series if series.source == source)


def error_series(history: pd.DataFrame, e: Evidence, nets: Iterable[Net], split: str) -> Iterator[Series]:
    """Error against step, a line for each run of the networks.

    Args:
        history: Evaluations of all runs.
        e: The compared runs.
        nets: The networks that are shown.
        split: `train` or `test`.
    """
    yield from run_series(history, e, nets, "step", f"{split}/top1_error")


def run_series(
    found: pd.DataFrame, e: Evidence, nets: Iterable[Net], x: str, y: str, mark: Mark = "line"
) -> Iterator[Series]:
    """A column of a table against another one, a line for each run of the networks, up to `MOST_SEEDS` of each.

    Args:
        found: The rows of all runs.
        e: The compared runs.
        nets: The networks that are shown.
        x: A column: step, layer or block. Layers and blocks are divided by the network's number of them.
        y: A column; undefined values are gaps.
        mark: How the lines are drawn.
    """
    rows = of_comparison(found[["run", x, y]], e)
    for net in nets:
        mine = of_net(rows, net).sort_values(x, kind="stable")
        total = {"layer": net[0], "block": mine["block"].max() if x == "block" and len(mine) else 1}.get(x, 1)
        at, values, places = mine[x].to_numpy() / total, mine[y].to_numpy(float), mine.groupby("run").indices
        runs = e.net(net)[["run", "seed"]].sort_values("seed").head(MOST_SEEDS)
        for run, seed in runs.itertuples(index=False, name=None):
            mask = places.get(run, [])
            if any(value == value for value in values[mask]):
                yield Series(net, f"{e.title(net)}, seed {seed}", tuple(at[mask]), tuple(values[mask]), mark=mark)


def paper_error_series(panels: Iterable[paper.CurvePanel], nets: Iterable[Net], split: str) -> Iterator[Series]:
    """The paper's own curves of networks, each from the first of its panels that has it.

    Args:
        panels: Panels of a figure, such as the values of `paper.FIG6_PANELS`.
        nets: The networks that are shown.
        split: `train` or `test`.
    """
    for net in nets:
        mine = paper.error_curve(panels, *net, split)
        if len(mine):
            label = f"{mine['net'].iloc[0]}, the paper"
            yield Series(net, label, tuple(mine["step"]), tuple(mine["error"]), "paper")


def public_error_series(e: Evidence, nets: Iterable[Net], split: str) -> Iterator[Series]:
    """The errors of public networks right of the end of training: a point for each repository.

    Args:
        e: `public_evidence`.
        nets: The networks of a panel.
        split: `train` or `test`.
    """
    for net in nets:
        errors = tuple(values_of(e, net, FINAL[split]))
        if errors:
            x = (paper.CIFAR10_STEPS * 1.02,) * len(errors)
            yield Series(net, f"{e.title(net)}, public", x, errors, "public")


def paper_response_series(e: Evidence, net: Net) -> Iterator[Series]:
    """The paper's standard deviation of each layer's response (Fig. 7), against layer / depth."""
    theirs = paper.responses()
    mine = theirs[theirs["net"] == e.title(net)]
    if len(mine):
        yield Series(net, f"{e.title(net)}, the paper", tuple(mine["layer"] / net[0]), tuple(mine["std"]), "paper")


def public_response_series(responses: pd.DataFrame, e: Evidence, net: Net) -> Iterator[Series]:
    """The same of public networks: the mean over repositories.

    Args:
        responses: Of public networks.
        e: `public_evidence`.
        net: The network.
    """
    found = of_net(of_comparison(responses, e), net)
    mean = found.groupby("layer")["std"].mean()
    if len(mean):
        label = f"{e.title(net)}, public (n = {found['run'].nunique()})"
        yield Series(net, label, tuple(mean.index / net[0]), tuple(mean), "public")


def end_labels(series: Sequence[Series], texts: dict[Net, str], ends: dict[Net, float]) -> tuple[Label, ...]:
    """A label for each network at the mean of its lines' ends: of ours, or where there are none of the paper's.

    Args:
        series: The lines of a panel.
        texts: What the labels say.
        ends: The value at the end by network, where it is not the lines' last one.
    """
    labels = []
    for net, text in texts.items():
        mine = [one for one in series if one.net == net]
        lines = [one for one in mine if one.source == "ours"] or [one for one in mine if one.source == "paper"]
        if lines:
            last = [_last(one) for one in lines]
            heights = [y for _, y in last]
            y = ends.get(net, sum(heights) / len(heights)) if lines[0].source == "ours" else heights[0]
            labels.append(Label(text, net, y, max(x for x, _ in last), (min(heights), max(heights))))
    return tuple(labels)


def _last(series: Series) -> tuple[float, float]:
    """The last point that is defined."""
    return [(x, y) for x, y in zip(series.x, series.y, strict=True) if y == y][-1]
