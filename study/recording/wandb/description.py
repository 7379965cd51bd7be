"""What W&B shows of a run from its start: names, tags, notes and configuration.

The five factors and the covariates stand in the configuration under their own names, as the reports read them. What
else is known stands under prefixes, `recipe.`, `net.` and `machine.`: W&B locks names that a sweep sets, as `recipe`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from study.recipes import RECIPES, exhibits, recipe_for
from study.recording.evaluation import TEST_ERROR, TRAIN_ERROR, Row
from study.recording.record import Record
from study.recording.run import COVARIATES, covariates
from study.recording.wandb.account import PROJECT
from study.recording.wandb.stops import STOPPED
from study.spec import Spec

TRAIN, SKIPPED = "train", "skipped"  # types of W&B's runs: a run of ours, and one that was handed out for nothing
DIVERGED = "diverged"  # the tag of a run whose loss was no longer a number
PAPERS = {"digits": "cifar10", "tinyimagenet": "imagenet"}  # the data set of the paper that one stands for
LEAST = {TRAIN_ERROR: "train/min_top1_error", TEST_ERROR: "test/min_top1_error"}


@dataclass(frozen=True)
class About:
    """What W&B shows of a run and its record does not have.

    Attributes:
        notes: What the run is for, in a sentence.
        parameters: Number of trainable parameters of the network.
        macs: Multiply-adds of the network for one image.
    """

    notes: str
    parameters: int
    macs: int


def description(record: Record, about: About) -> dict[str, Any]:
    """The arguments of ``wandb.init`` for a record that has been started."""
    spec = record.spec
    entity, project = destination(record)
    return {
        "entity": entity,
        "project": project,
        "dir": record.folder.parent,
        "id": record.provenance()["wandb_id"],
        "name": spec.name,
        "group": spec.group,
        "job_type": TRAIN,
        "tags": [*tags(spec), *_outcome(record)],
        "notes": about.notes,
        "config": configuration(record, about),
    }


def _outcome(record: Record) -> list[str]:
    """The tag of a run that did not end as it should have."""
    if record.stopped():
        return [STOPPED]
    return [DIVERGED] if (record.summary() or {}).get("diverged") else []


def destination(record: Record) -> tuple[str | None, str]:
    """Entity and project of a run: those that variables name, else where it is, else the default ones.

    An entity of None is the account's own.
    """
    where = re.search(r"/([^/]+)/([^/]+)/runs/[^/]+$", record.provenance().get("url") or "")
    entity, project = where.groups() if where else (None, PROJECT)
    return os.environ.get("WANDB_ENTITY") or entity, os.environ.get("WANDB_PROJECT") or project


def tags(spec: Spec) -> list[str]:
    """Data set, recipe, plain or residual, and the exhibits that the run belongs to or is a miniature of.

    >>> tags(Spec("digits", 20, "A", "mini"))
    ['digits', 'mini', 'residual', 'scaled down', 'miniature of Table 6', 'miniature of Fig. 6', 'miniature of Fig. 7']
    """
    return [spec.dataset, spec.recipe, _kind(spec), *exhibits(spec), *_miniature(spec)]


def _kind(spec: Spec) -> str:
    return "plain" if spec.shortcut == "none" else "residual"


def _miniature(spec: Spec) -> Iterator[str]:
    """The exhibits that a scaled-down run is a miniature of; a smoke test is none."""
    dataset = PAPERS.get(spec.dataset, spec.dataset)
    if recipe_for(spec).scale == "full" or spec.recipe == "smoke" or "paper" not in RECIPES[dataset]:
        return
    whole = Spec(dataset, spec.depth, spec.shortcut, "paper")  # type: ignore[arg-type]
    yield from (f"miniature of {shown}" for shown in exhibits(whole))


def configuration(record: Record, about: About) -> Row:
    """The factors, the covariates, and all that is known of recipe, network and machine."""
    spec, begun = record.spec, record.provenance()
    net = {"title": spec.title, "kind": _kind(spec), "parameters": about.parameters, "macs": about.macs}
    versions = {name: version for name, version in begun.get("versions", {}).items() if name not in COVARIATES}
    machine = {"slice": begun.get("slice"), "slurm_job": begun.get("slurm_job"), **versions}
    parts = {"recipe": begun.get("recipe", {}), "net": net, "machine": machine}
    flat = {f"{part}.{name}": value for part, values in parts.items() for name, value in values.items()}
    known = {name: value for name, value in covariates(begun).items() if name != "argv"}  # it differs in every run
    return spec.factors | known | flat


def least(record: Record) -> Row:
    """The smallest errors of a run so far; its results are the last ones (rule 5)."""
    rows = record.history()
    return {name: min(row[column] for row in rows) for column, name in LEAST.items()} if rows else {}
