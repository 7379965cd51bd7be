"""What the report rests on: others' results, every run, departures from the paper, what was not attempted."""

from __future__ import annotations

import re
from collections.abc import Hashable, Sequence
from typing import Any

import pandas as pd

from reports.judging.claims import UNDECIDED
from reports.judging.evidence import Evidence
from reports.judging.plan import plan
from reports.paper import numbers as paper
from reports.paper.numbers import Rerun
from reports.tables.formats import NONE, anchor, short
from reports.tables.table import Link, Table, TableCell, Target
from study.departures import DEPARTURES

PEER_DEPTHS = {"cifar10": (20, 32, 44, 56, 110, 1202), "imagenet": (18, 34, 50, 101, 152)}
PEER_CAPTIONS = {
    "cifar10": "Test error in percent by depth, the training error in brackets where it is published. ",
    "imagenet": "Top-1 and top-5 error in percent by depth; 18 and 34 layers with option B. ",
}
PEER_CAPTION = (
    "One run each unless stated otherwise. A row is one protocol: compare only within a row. "
    "Rows that are left out of the column of public re-runs say why."
)
RUN_COLUMNS = ("run", "test errors", "device", "precision", "devices", "commit", "plan", "data", "weights")


def peer_table(e: Evidence) -> Table:
    """Public re-runs by others: a row per protocol and kind of network, with what differs from the paper in each."""
    dataset = e.comparison.dataset
    depths = PEER_DEPTHS[dataset]
    columns = ("source", "networks", *(f"{depth}" for depth in depths), "images", "length", "reported", "differs")
    reruns = [rerun for rerun in paper.reruns() if rerun.dataset == dataset]
    keys = sorted(dict.fromkeys(_peer_key(rerun) for rerun in reruns), key=lambda key: key[:2])
    rows = [_peer_row([r for r in reruns if _peer_key(r) == key], depths) for key in keys]
    right = frozenset(range(2, 2 + len(depths)))
    return Table("Others' results", columns, rows, PEER_CAPTIONS[dataset] + PEER_CAPTION, right, f"peers-{dataset}")


def _peer_key(rerun: Rerun) -> tuple[str, bool, str, str]:
    """What a row of the table holds; rows of residual nets come first, and of either kind those that count."""
    return "plain" if rerun.net.startswith("plain") else "ResNet", bool(rerun.excluded), rerun.block, rerun.source


def _peer_row(reruns: Sequence[Rerun], depths: Sequence[int]) -> tuple[TableCell, ...]:
    by_depth = {rerun.depth: rerun.shown for rerun in reruns}
    first = reruns[0]
    return (
        _linked(first.source),
        first.net.split("-")[0],
        *(by_depth.get(depth, NONE) for depth in depths),
        first.trained_on or NONE,
        _length(first) or NONE,
        first.reported or NONE,
        _differs(reruns),
    )


def _linked(source: str) -> TableCell:
    """A source with its address, where it names a repository: ``owner/name`` or ``owner/name (issue 28)``."""
    match = re.match(r"([\w-]+/[\w.-]+)(?: \((?:issue|pull request) (\d+)\))?", source)
    if match is None:
        return source
    return Link(source, f"https://github.com/{match[1]}" + (f"/issues/{match[2]}" if match[2] else ""))


def _length(rerun: Rerun) -> str:
    """Steps, or epochs where the source counts in these."""
    if rerun.steps:
        return f"{rerun.steps} steps"
    return f"{rerun.epochs} epochs" if rerun.epochs else ""


def _differs(reruns: Sequence[Rerun]) -> str:
    """Why the row is left out, its warm-ups, and what else differs."""
    first = reruns[0]
    named = [f"warm-up of {r.net}: {r.warmup}" for r in reruns if r.warmup]
    warmups = [f"warm-up: {first.warmup}"] if len({r.warmup for r in reruns}) == 1 and first.warmup else named
    left_out = f"left out: {first.excluded}" if first.excluded else ""
    return "; ".join(filter(None, [left_out, *warmups, first.differs])) or NONE


def run_table(runs: pd.DataFrame) -> Table:
    """A row per run that counts: what its numbers rest on."""
    ordered = runs.sort_values(["dataset", "recipe", "shortcut", "depth", "seed"])
    rows = [_run_row(run) for run in ordered.to_dict("records")]
    caption = "Plan, data and weights: the first ten digits of their SHA-256."
    return Table("Runs that count", RUN_COLUMNS, rows, caption, name="run-records")


def _run_row(run: dict[Hashable, Any]) -> tuple[TableCell, ...]:
    url = str(run["url"]) if str(run["url"]).startswith(("https://", "http://")) else ""
    return (
        Target(run["run"], anchor(run["run"]), url),
        f"{run['test/wrong']:.0f} of {run['test/seen']:.0f}",
        str(run["device"]),
        _precision(run),
        f"{run['world_size']:.0f}",
        _commit(run),
        short(run["plan"]) if isinstance(run["plan"], str) else NONE,
        short(run["data_fingerprint"]),
        short(run["weights_sha256"]),
    )


def _precision(run: dict[Hashable, Any]) -> str:
    """The precision, with what changed between the sessions of the run, if anything did."""
    changed = run.get("changed")
    return f"{run['precision']} ({changed})" if isinstance(changed, str) else str(run["precision"])


def _commit(run: dict[Hashable, Any]) -> str:
    if pd.isna(run["commit"]):
        return "unknown"
    if pd.isna(run["dirty"]):
        return f"{short(run['commit'])} (not checked)"
    return f"{short(run['commit'])} (modified)" if run["dirty"] else short(run["commit"])


def excluded_table(runs: pd.DataFrame) -> Table:
    """A row per run that does not count, with the reason."""
    rows = [(run["run"], run["reason"]) for run in runs.to_dict("records")]
    return Table("Runs that do not count", ("run", "reason"), rows, name="excluded")


def plan_table(runs: pd.DataFrame) -> Table:
    """The plan of the verdicts: when it was written, whether before the first run that counts, and its amendments.

    Args:
        runs: The runs that count.
    """
    written, started = plan().written, runs["started"].dropna().astype(str)
    first = started.min()[:10] if len(started) else ""
    rows = [
        ("written", written.isoformat()),
        ("SHA-256 of `reports/plan.toml`", short(plan().digest)),
        ("first run that counts", first or "none"),
        ("is the plan older?", _is_older(written.isoformat(), first)),
        *(
            (f"amended {amendment.date}", f"{amendment.what}; runs then: {amendment.runs}")
            for amendment in plan().amendments
        ),
    ]
    return Table("The plan of the verdicts", ("what", "is"), rows, name="plan")


def _is_older(written: str, first: str) -> str:
    """Whether the plan was written before the first run; a run of the same day may have been seen."""
    if not first or written < first:
        return "yes"
    return "no: runs that count had been started by then, so their claims were not planned ahead"


def departure_table() -> Table:
    """Where the study differs from the paper."""
    columns = ("what", "the paper", "this study", "public re-runs", "may matter for")
    rows = [(d.what, d.paper, d.ours, d.others or NONE, ", ".join(d.claims) or NONE) for d in DEPARTURES]
    caption = "May matter for: the claims that it may touch; `all` is every claim on trained networks."
    return Table("Departures from the paper", columns, rows, caption, name="departures")


def not_attempted_table() -> Table:
    """What of the paper is left out, and why."""
    rows = [*paper.NOT_ATTEMPTED, *UNDECIDED]
    return Table("Not attempted", ("what", "content", "because"), rows, name="not-attempted")
