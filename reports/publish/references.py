"""The paper's curves as runs of W&B, so that every panel of errors shows ours on theirs.

A run for each network of Figs. 6 and 4 has its two curves as digitised, under the names and over the steps of ours, and
in its summary the paper's own errors.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from reports.figures.series import FINAL, paper_error_series
from reports.gathering.remote import REFERENCE
from reports.judging.comparison import CIFAR, IMAGENET, Comparison, Net
from reports.paper import numbers as paper
from reports.publish.runs import PATIENCE, Project, opened
from reports.publish.uploads import DIGEST
from study.recording.evaluation import Row
from study.spec import title

FIGURES = {CIFAR: ("Fig. 6", paper.FIG6_PANELS), IMAGENET: ("Fig. 4", paper.FIG4_PANELS)}
TAG = "the paper"


@dataclass(frozen=True)
class Reference:
    """One network's curves in the paper.

    Attributes:
        comparison: The paper's protocol on a data set.
        net: Depth and shortcut.
        rows: The errors at each step, by the names of our metrics.
    """

    comparison: Comparison
    net: Net
    rows: tuple[Row, ...]

    @property
    def title(self) -> str:
        """The network in the paper's words."""
        return title(self.comparison.dataset, *self.net)

    @property
    def group(self) -> str:
        """The run's group."""
        return papers_group(self.comparison, self.net)

    @property
    def run_id(self) -> str:
        """Always the same, so that publishing again finds the run."""
        return f"paper-{self.comparison.dataset}-{self.net[0]}-{self.net[1]}"

    @property
    def about(self) -> dict[str, Any]:
        """What W&B shows of the run beside its curves."""
        depth, shortcut = self.net
        factors = {"dataset": self.comparison.dataset, "depth": depth, "shortcut": shortcut, "recipe": "paper"}
        source = f"{FIGURES[self.comparison][0]} of arXiv 1512.03385, digitised"
        return {
            "name": f"{self.title}, the paper",
            "group": self.group,
            "job_type": REFERENCE,
            "tags": [TAG],
            "config": factors | {"source": source},
        }

    @property
    def summary(self) -> Row:
        """The paper's errors at the end, of its tables where these have them."""
        measured = paper.measured(self.comparison.dataset, *self.net)
        return {f"{split}/top1_error": measured[name] for split, name in FINAL.items()}

    @property
    def digest(self) -> str:
        """Of everything that is sent."""
        return hashlib.sha256(json.dumps([self.about, self.summary, self.rows]).encode()).hexdigest()


def papers_group(comparison: Comparison, net: Net) -> str:
    """The group of the paper's run of a network: ``paper/plain-56``."""
    return f"paper/{title(comparison.dataset, *net)}"


def references() -> Iterator[Reference]:
    """Every network whose curves the paper shows."""
    for comparison, (_, panels) in FIGURES.items():
        nets = dict.fromkeys((depth, shortcut) for depths, shortcut, _ in panels.values() for depth in depths)
        for net in nets:
            yield Reference(comparison, net, _rows(panels, net))


def _rows(panels: dict[str, paper.CurvePanel], net: Net) -> tuple[Row, ...]:
    """Training and test error at each step that has one of them."""
    rows: dict[float, Row] = {}
    for split in FINAL:
        for curve in paper_error_series(panels.values(), [net], split):
            for step, error in zip(curve.x, curve.y, strict=True):
                rows.setdefault(step, {"step": int(step)})[f"{split}/top1_error"] = float(error)
    return tuple(rows[step] for step in sorted(rows))


def publish_references(project: Project) -> dict[tuple[Comparison, Net], str]:
    """Send the curves that the project lacks; returns the run of each by its protocol and network."""
    import wandb

    listed = wandb.Api(timeout=PATIENCE).runs(project.path, {"jobType": REFERENCE}, per_page=100, lazy=False)
    there = {run.summary_metrics.get(DIGEST): run.id for run in listed if run.job_type == REFERENCE}
    return {(each.comparison, each.net): there.get(each.digest) or _send(project, each) for each in references()}


def _send(project: Project, reference: Reference) -> str:
    """Send one of them; rows that its run has already are not sent again."""
    with opened(project, reference.run_id, **reference.about) as run:
        run.define_metric("step", hidden=True)
        run.define_metric("*", step_metric="step")
        last = dict(run.summary).get("step", -1)
        for row in reference.rows:
            if row["step"] > last:
                run.log(row)
        run.summary.update(reference.summary | {DIGEST: reference.digest})
        return str(run.id)
