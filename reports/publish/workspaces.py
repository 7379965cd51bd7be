"""Saved workspaces: a view of all runs, and one for each protocol with only its runs and the paper's."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from reports.figures.palette import MIDDLE, colour
from reports.gathering.remote import REFERENCE
from reports.judging.comparison import Comparison
from reports.publish.panels import TRAINED, Live, chosen, error_panels, paler
from reports.publish.references import papers_group
from study.recording.evaluation import TEST_ERROR, TRAIN_ERROR
from study.spec import FACTORS, SHORTCUTS

if TYPE_CHECKING:
    from wandb_workspaces.workspaces import RunsetSettings, Section

SHOWN = f"Metric('JobType') in ['{TRAINED}', '{REFERENCE}']"
COLUMNS = ("config:depth.value", "config:shortcut.value", "config:recipe.value", "config:seed.value", "summary:step")


def save_workspace(live: Live, shown: Sequence[Comparison], name: str, address: str | None) -> str:
    """Save a workspace; returns its address.

    Args:
        live: The runs.
        shown: The comparisons that it shows: one, or all of them.
        name: What it is called.
        address: The workspace that is updated; without one, a new one is made.
    """
    from wandb_workspaces import workspaces as ws

    project = live.project
    view = ws.Workspace.from_url(address) if address else ws.Workspace(project.entity, project.name)
    view.name, view.sections = name, list(_sections(live, shown))
    view.settings = ws.WorkspaceSettings(x_axis="step", max_runs=100)
    view.runset_settings = _runs(live, shown)
    return str(view.save().url)


def _only(shown: Sequence[Comparison]) -> Comparison | None:
    """The comparison that a workspace shows, None if it shows them all."""
    return shown[0] if len(shown) == 1 else None


def _runs(live: Live, shown: Sequence[Comparison]) -> RunsetSettings:
    """Which runs are shown, grouped over their seeds, plain nets beside residual ones, and in which colours."""
    from wandb_workspaces import workspaces as ws
    from wandb_workspaces.expr import Config, Metric

    only = _only(shown)
    return ws.RunsetSettings(
        filters=f"{chosen(only)} and {SHOWN}" if only else SHOWN,
        groupby=[Config("shortcut"), Metric("Group")],
        group_colors=dict(_colours(live, shown)),
        pinned_columns=["run:displayName", f"summary:{TEST_ERROR}", f"summary:{TRAIN_ERROR}", *COLUMNS],
    )


def _colours(live: Live, shown: Sequence[Comparison]) -> Iterator[tuple[Any, str]]:
    """The colour of each shortcut, and below it of each network: of ours, and paler of the paper's."""
    from wandb_workspaces.workspaces import GroupPath

    yield from ((shortcut, colour((MIDDLE, shortcut))) for shortcut in SHORTCUTS)
    for each in shown:
        for depth, shortcut in live.networks(each):
            group = f"{each.dataset}-{depth}-{shortcut}-{each.recipe}"
            yield GroupPath(shortcut, group), colour((depth, shortcut))
    for of, net in live.papers:
        if of in shown:
            yield GroupPath(net[1], papers_group(of, net)), paler(net)


def _sections(live: Live, shown: Sequence[Comparison]) -> Iterator[Section]:
    from wandb_workspaces.reports import v2 as wr
    from wandb_workspaces.workspaces import Section

    only = _only(shown)
    dashed = [run for (of, _), run in live.papers.items() if of in shown]
    figure = {"cifar": "Fig. 6", "imagenet": "Fig. 4"}[only.family] if only else "Figs. 6 and 4"
    yield Section(f"{figure}: error against step", panels=error_panels(live.limits(only), dashed), is_open=True)
    yield Section("Error at the end", panels=_ends(), is_open=True)
    speed = wr.LinePlot(title="Images per second", x="step", y=["images_per_second"])
    rate = wr.LinePlot(title="Learning rate", x="step", y=["lr"], log_y=True)
    yield Section("Throughput and learning rate", panels=[speed, rate], is_open=True)
    pictures = wr.MediaBrowser(title="Responses (Fig. 7) and confusion", media_keys=["responses", "confusion"])
    yield Section("Of each run", panels=[pictures], is_open=True)


def _ends() -> list[Any]:
    """The errors of the last step: against depth, by network, and against all five factors."""
    from wandb_workspaces.reports import v2 as wr

    depth, test, train = wr.Config("depth"), wr.SummaryMetric(TEST_ERROR), wr.SummaryMetric(TRAIN_ERROR)
    factors = [wr.ParallelCoordinatesPlotColumn(wr.Config(name), name) for name in FACTORS]
    return [
        wr.ScatterPlot(title="Test error (%) against depth", x=depth, y=test),
        wr.ScatterPlot(title="Training error (%) against depth", x=depth, y=train),
        wr.BarPlot(
            title="Test error (%), mean over seeds", metrics=[TEST_ERROR], groupby="Group", max_bars_to_show=100
        ),
        wr.ParallelCoordinatesPlot(
            title="The five factors and the test error",
            columns=[*factors, wr.ParallelCoordinatesPlotColumn(test, "test error (%)")],
        ),
    ]
