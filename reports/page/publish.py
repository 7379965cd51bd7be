"""The report in W&B: a saved workspace over the live runs, and a W&B report that mirrors REPORT.md with live panels.

Written with wandb-workspaces (the extra `publish`). Publishing again updates what was published.
"""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reports.paper.numbers import FIG6_TOP
from study.recording.files import read_json, write_json
from study.recording.wandb.account import check_account, check_project, wandb_call
from study.spec import InputError

if TYPE_CHECKING:
    from wandb_workspaces.reports.v2 import LinePlot, PanelGrid, Report
    from wandb_workspaces.workspaces import Workspace

FIG6 = "fig6-cifar10-paper"  # the drawing that has the paper's axes
TITLE = "Deep residual learning, reproduced"
PUBLISHED = "published.json"  # the addresses of what was published, beside the report
SPLITS = {"train": "Training", "test": "Test"}
KINDS = {"plain nets": "=", "residual nets": "!="}  # by their shortcut, none


def publish(folder: Path, project: str) -> dict[str, str]:
    """Save the workspace and the report; returns their addresses by kind.

    Args:
        folder: Where `reports build` wrote REPORT.md.
        project: ENTITY/PROJECT.

    Raises:
        InputError: nothing was built there, the extra or the account is missing, or W&B cannot be reached.
    """
    if not (folder / "REPORT.md").exists():
        raise InputError(f"{folder} has no REPORT.md; run: python -m reports build --out={folder}")
    check_project(project)
    if importlib.util.find_spec("wandb_workspaces") is None:
        raise InputError("publishing needs wandb-workspaces; run: pip install 'resnet-study[publish]'")
    check_account()
    before = read_json(folder / PUBLISHED) or {}
    with wandb_call("W&B rejected the report", "try again later"):
        made = {"workspace": _workspace(project, before), "report": _report(project, folder, before)}
        addresses = {kind: view.save().url for kind, view in made.items()}
    write_json(folder / PUBLISHED, addresses)
    return addresses


def _workspace(project: str, before: dict[str, str]) -> Workspace:
    """Fig. 6's panels over all runs, runs grouped over their seeds, plain nets beside residual ones; speed; rate."""
    from wandb_workspaces import workspaces as ws
    from wandb_workspaces.expr import Config, Metric
    from wandb_workspaces.reports import v2 as wr

    entity, name = project.split("/")
    speed = wr.LinePlot(title="Images per second", x="step", y=["images_per_second"])
    rate = wr.LinePlot(title="Learning rate", x="step", y=["lr"], log_y=True)
    pictures = wr.MediaBrowser(title="Responses (Fig. 7) and confusion", media_keys=["responses", "confusion"])
    sections = [
        ws.Section("Fig. 6: error against step", panels=_error_panels(), is_open=True),
        ws.Section("Throughput and learning rate", panels=[speed, rate], is_open=True),
        ws.Section("Final figures", panels=[pictures], is_open=True),
    ]
    view = ws.Workspace.from_url(before["workspace"]) if "workspace" in before else ws.Workspace(entity, name)
    view.name, view.sections = TITLE, sections
    view.settings = ws.WorkspaceSettings(x_axis="step", max_runs=100)
    columns = ["summary:test/top1_error", "summary:train/top1_error", "summary:step", "config:seed"]
    groups = [Config("shortcut"), Metric("Group")]
    view.runset_settings = ws.RunsetSettings(groupby=groups, pinned_columns=["run:displayName", *columns])
    return view


def _error_panels(top: float | None = FIG6_TOP) -> list[LinePlot]:
    """Training error beside test error, which Fig. 6 has in one panel and cuts off at 20 %."""
    from wandb_workspaces.reports import v2 as wr

    return [
        wr.LinePlot(title=f"{SPLITS[split]} error (%)", x="step", y=[f"{split}/top1_error"], range_y=(0, top))
        for split in SPLITS
    ]


def _report(project: str, folder: Path, before: dict[str, str]) -> Report:
    from wandb_workspaces.reports import v2 as wr

    entity, name = project.split("/")
    report = wr.Report.from_url(before["report"]) if "report" in before else wr.Report(name, entity)
    report.title, report.width = TITLE, "fluid"
    text = (folder / "REPORT.md").read_text()
    report.blocks = [wr.TableOfContents(), *_blocks(text, project)]
    return report


def _blocks(text: str, project: str) -> Iterator[Any]:
    """REPORT.md as blocks: headings, text, and live panels where it has a drawing of curves."""
    from wandb_workspaces.reports import v2 as wr

    for part in re.split(r"\n(?=#)|\n(?=!\[)|(?<=\.svg\))\n", text.split("\n", 1)[1]):
        heading, drawing = re.match(r"(##+) (.*)", part), re.match(r"!\[.*\]\(figures/(.*)\.svg\)", part)
        if drawing:
            yield from _live(drawing[1], project)
            continue
        if heading:
            yield (wr.H2 if heading[1] == "##" else wr.H3)(heading[2])
        if body := part[heading.end() if heading else 0 :].strip():
            yield wr.MarkdownBlock(body)


def _live(figure: str, project: str) -> Iterator[PanelGrid]:
    """The live counterpart of a drawing: error against step, first of plain nets and then of residual ones."""
    from wandb_workspaces.reports import v2 as wr

    match = re.fullmatch(r"fig6-(\w+)-(\w+)", figure)
    if not match:
        return
    entity, name = project.split("/")
    filters = f"Config('dataset') = '{match[1]}' and Config('recipe') = '{match[2]}'"
    for kind, sign in KINDS.items():
        chosen = f"{filters} and Config('shortcut') {sign} 'none'"
        runs = wr.Runset(entity, name, f"{kind}: {match[1]}, {match[2]}", filters=chosen, groupby=["group"])
        yield wr.PanelGrid(runsets=[runs], panels=_error_panels(FIG6_TOP if match[0] == FIG6 else None))
