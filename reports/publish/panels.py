"""Live panels: which of the project's runs they show, on axes that hold every one, in the report's colours."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pandas as pd
from matplotlib.colors import to_hex, to_rgb

from reports.figures.fig4 import BOTTOM, TOP
from reports.figures.palette import colour
from reports.figures.series import PLAIN_NETS, RESIDUAL_NETS
from reports.gathering.remote import REFERENCE
from reports.gathering.snapshot import Snapshot
from reports.judging.comparison import CIFAR, IMAGENET, Comparison, Net
from reports.paper.numbers import FIG6_TOP
from reports.publish.runs import Project

if TYPE_CHECKING:
    from wandb_workspaces.reports.v2 import LinePlot, PanelGrid, Runset, RunsetGroup

TRAINED = "train"  # the job type of a run that trains a network
SPLITS = {"train": "Training", "test": "Test"}
KINDS = {"plain nets": "=", "residual nets": "!="}  # by their shortcut, none
PAPERS = {CIFAR: (0.0, FIG6_TOP), IMAGENET: (BOTTOM, TOP)}  # the axes of Figs. 6 and 4
STEP = 5.0  # percent, to which an axis is rounded
WIDTH, HEIGHT = 12, 8  # of a panel in a report's grid, which is 24 wide
Range = tuple[float | None, float | None]
Limits = Mapping[str, Range]  # by split


@dataclass(frozen=True)
class Live:
    """What live panels show.

    Attributes:
        project: Where the runs are.
        snapshot: The runs that the axes hold.
        papers: The run of each of the paper's curves, by its protocol and network.
    """

    project: Project
    snapshot: Snapshot
    papers: Mapping[tuple[Comparison, Net], str]

    def limits(self, comparison: Comparison | None = None) -> Limits:
        """The axes of errors: they hold the end of every run, and where the paper has a figure, the figure's axis.

        Args:
            comparison: Whose runs are shown; all without one.
        """
        runs = comparison.of(self.snapshot.runs) if comparison else self.snapshot.runs
        history = self.snapshot.history[self.snapshot.history["run"].isin(runs["run"])]
        papers = PAPERS.get(comparison) if comparison else PAPERS[CIFAR]
        return {split: _limits(history, f"{split}/top1_error", papers) for split in SPLITS}

    def networks(self, comparison: Comparison) -> list[Net]:
        """The networks that have a colour: those of the paper and of the report's figures, and all with runs."""
        runs = comparison.of(self.snapshot.runs)[["depth", "shortcut"]].dropna().itertuples(index=False, name=None)
        usual = [*PLAIN_NETS[comparison.family], *RESIDUAL_NETS[comparison.family], *comparison.networks]
        return sorted({*usual, *((int(depth), shortcut) for depth, shortcut in runs)})

    def grids(self, comparison: Comparison) -> Iterator[PanelGrid]:
        """Error against step, first of plain nets and then of residual ones: a line for each network, and the paper's.

        Args:
            comparison: Whose runs are shown.
        """
        from wandb_workspaces.reports import v2 as wr

        for kind, sign in KINDS.items():
            filters = f"Config('shortcut') {sign} 'none' and {chosen(comparison)}"
            theirs = {net: run for (of, net), run in self.papers.items() if of == comparison and _is(net, kind)}
            ours = wr.Runset(
                self.project.entity,
                self.project.name,
                f"{comparison.title}: {kind}",
                filters=f"{filters} and Metric('JobType') = '{TRAINED}'",
                groupby=["config.depth", "config.shortcut"],
            )
            runsets = [ours, *([self._papers(kind, filters, theirs)] if theirs else [])]
            yield wr.PanelGrid(
                runsets=runsets,
                panels=error_panels(self.limits(comparison), theirs.values()),
                custom_run_colors={
                    _group(ours, net): colour(net) for net in self.networks(comparison) if _is(net, kind)
                },
            )

    def _papers(self, kind: str, filters: str, runs: Mapping[Net, str]) -> Runset:
        from wandb_workspaces.reports import v2 as wr

        return wr.Runset(
            self.project.entity,
            self.project.name,
            f"the paper: {kind}",
            filters=f"{filters} and Metric('JobType') = '{REFERENCE}'",
            run_settings={run: wr.RunSettings(color=paler(net)) for net, run in runs.items()},
        )


def _limits(history: pd.DataFrame, column: str, papers: tuple[float, float] | None) -> Range:
    ends = history.groupby("run")[column].last().dropna()  # of each run the last error that is a number
    if ends.empty:
        return papers or (None, None)
    low, high = papers or (0.0, 0.0)
    return min(low, float(ends.min()) // STEP * STEP), max(high, (float(ends.max()) // STEP + 1) * STEP)


def _is(net: Net, kind: str) -> bool:
    return (net[1] == "none") == (KINDS[kind] == "=")


def _group(runs: Runset, net: Net) -> RunsetGroup:
    """What names the runs of a network in a set that is grouped by depth and shortcut."""
    from wandb_workspaces.reports import v2 as wr

    values = {"depth": str(net[0]), "shortcut": net[1]}
    return wr.RunsetGroup(runs.name, tuple(wr.RunsetGroupKey(wr.Config(key), value) for key, value in values.items()))


def error_panels(axes: Limits, dashed: Iterable[str] = ()) -> list[LinePlot]:
    """Training error beside test error.

    Args:
        axes: The lowest and the highest error of each.
        dashed: The ids of runs whose lines are dashed.
    """
    from wandb_workspaces.reports import v2 as wr

    return [
        wr.LinePlot(
            title=f"{SPLITS[split]} error (%)",
            x="step",
            y=[f"{split}/top1_error"],
            range_y=axes[split],
            line_marks={f"{run}:{split}/top1_error": "dashed" for run in dashed} or None,
            layout=wr.Layout(x=i * WIDTH, w=WIDTH, h=HEIGHT),
        )
        for i, split in enumerate(SPLITS)
    ]


def chosen(comparison: Comparison) -> str:
    """The filter that chooses the runs of a comparison, and those of the paper with them."""
    part = f" and Config('extent') = '{comparison.extent}'" if comparison.extent else ""
    return f"Config('dataset') = '{comparison.dataset}' and Config('recipe') = '{comparison.recipe}'{part}"


def paler(net: Net) -> str:
    """The colour of the paper's line of a network: half as strong as that of ours."""
    red, green, blue = ((1 + part) / 2 for part in to_rgb(colour(net)))
    return str(to_hex((red, green, blue)))
