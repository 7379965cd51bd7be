"""Gather run records into a snapshot: from disk, from W&B, or both; a run that is in both is one run."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from reports.gathering.collect import collect
from reports.gathering.snapshot import Snapshot
from study.recording.folders import read_runs
from study.recording.run import Run


def gather(folder: Path | None, wandb: str | None = None) -> Snapshot:
    """Read every run under a folder, every run of a W&B project, or both.

    Args:
        folder: Where the records lie; None reads W&B alone.
        wandb: ENTITY/PROJECT.

    Raises:
        InputError: there is no such folder or project, or W&B cannot be reached.
    """
    here, excluded = read_runs(folder) if folder else ([], {})
    there: list[Run] = []
    if wandb:
        from reports.gathering.remote import read_wandb

        there, unreadable = read_wandb(wandb)
        known = {run.wandb_id for run in here}
        excluded |= {name: why for name, why in unreadable.items() if name not in known}
    return tabulate(_unite(here, there), excluded)


def tabulate(read: Sequence[Run], unreadable: Mapping[str, str]) -> Snapshot:
    """The snapshot of runs that have been read.

    Args:
        read: The runs, in any order.
        unreadable: Why a folder or a run of W&B could not be read, by its name.
    """
    runs, duplicates = _name(read)
    broken = {f"{name} (its folder)" if name in runs else name: why for name, why in unreadable.items()}
    return collect(runs, broken | duplicates)


def _unite(here: Sequence[Run], there: Sequence[Run]) -> list[Run]:
    """One run for each id: the record on disk, unless W&B has more of it, with its address in W&B."""
    by_id = {run.wandb_id: run for run in there}
    united = []
    for run in here:
        twin = by_id.pop(run.wandb_id, None)
        if twin is not None:
            run = replace(_fuller(run, twin), wandb_id=twin.wandb_id, url=twin.url, probes=run.probes or twin.probes)
        united.append(run)
    return [*united, *by_id.values()]


def _fuller(here: Run, there: Run) -> Run:
    """The copy of a run that has more of it."""
    return max(here, there, key=lambda run: (run.summary is not None, len(run.history)))  # the first of equals


def _name(runs: Sequence[Run]) -> tuple[dict[str, Run], dict[str, str]]:
    """Each run under a name of its own, and the reasons why second runs of a cell do not count.

    Of several runs of a cell the one that was started first counts, finished ones before others, so that nobody chooses
    the better one.
    """
    same = defaultdict(list)
    for run in runs:
        same[run.spec.name].append(run)
    named, duplicates = {}, {}
    for name in sorted(same):
        first, *others = sorted(same[name], key=lambda r: (r.summary is None, r.covariates["started"] or "9"))
        named[name] = first
        for run in others:
            again = f"{name}@{run.wandb_id}"
            named[again] = run
            duplicates[again] = f"a duplicate: the cell was trained before, as run {first.wandb_id}"
            if not run.history:
                duplicates[again] = "handed out by W&B but never started: another run has trained the cell"
    return named, duplicates
