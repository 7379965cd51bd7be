"""What the report rests on: others' results, every run, departures from the paper, what was not attempted."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any, cast

import pandas as pd

from reports.judging.claims import UNDECIDED
from reports.judging.evidence import Comparison, Evidence, Net
from reports.judging.plan import plan
from reports.paper import numbers as paper
from reports.tables.formats import anchor, short
from reports.tables.table import Table, TableCell, Target
from study.recipes import DEPARTURES
from study.spec import Dataset, Shortcut, Spec

PEER_COLUMNS = ("network", "error", "reported", "differs from the paper in", "source")
RUN_COLUMNS = ("run", "test errors", "device", "precision", "devices", "commit", "data", "weights")


def peer_table(e: Evidence) -> Table:
    """Public re-runs by others, with what differs from the paper in each."""
    peers = paper.peers()
    peers = peers[peers["dataset"] == e.comparison.dataset]
    rows = [(p["net"], p["error"], p["protocol"], p["differs"], p["source"]) for p in peers.to_dict("records")]
    rows.sort(key=lambda row: (row[0].startswith("ResNet"), int(row[0].split("-")[1].split()[0])))
    caption = "Public re-runs, one run each unless stated otherwise. Compare only rows with the same protocol."
    return Table("Others' results", PEER_COLUMNS, rows, caption, frozenset({1}), f"peers-{e.comparison.dataset}")


def command_table(e: Evidence) -> Table:
    """The networks of the paper that have no run yet, with the command that trains each."""
    rows = [(e.title(net), _command(e.comparison, net)) for net in e.comparison.networks if e.net(net).empty]
    return Table("Networks without a run", ("network", "command that trains it"), rows)


def _command(comparison: Comparison, net: Net) -> str:
    """The command that trains a network.

    Raises:
        InputError: there is no such cell, so `study train` would refuse it.
    """
    depth, shortcut = net
    cell = Spec(cast(Dataset, comparison.dataset), depth, cast(Shortcut, shortcut), comparison.recipe, seed=0)
    flags = [f"--{factor}={value}" for factor, value in cell.factors.items()]
    return f"python -m study train {' '.join(flags)}"


def run_table(runs: pd.DataFrame) -> Table:
    """A row per run that counts: what its numbers rest on."""
    ordered = runs.sort_values(["dataset", "recipe", "shortcut", "depth", "seed"])
    rows = [_run_row(run) for run in ordered.to_dict("records")]
    return Table("Runs that count", RUN_COLUMNS, rows, "Data and weights: the first ten digits of their SHA-256.")


def _run_row(run: dict[Hashable, Any]) -> tuple[TableCell, ...]:
    url = str(run["url"]) if str(run["url"]).startswith(("https://", "http://")) else ""
    return (
        Target(run["run"], anchor(run["run"]), url),
        f"{run['test/wrong']:.0f} of {run['test/seen']:.0f}",
        str(run["device"]),
        str(run["precision"]),
        f"{run['world_size']:.0f}",
        _commit(run),
        short(run["data_fingerprint"]),
        short(run["weights_sha256"]),
    )


def _commit(run: dict[Hashable, Any]) -> str:
    if pd.isna(run["commit"]):
        return "unknown"
    return f"{short(run['commit'])} (modified)" if run["dirty"] else short(run["commit"])


def excluded_table(runs: pd.DataFrame) -> Table:
    """A row per run that does not count, with the reason."""
    rows = [(run["run"], run["reason"]) for run in runs.to_dict("records")]
    return Table("Runs that do not count", ("run", "reason"), rows)


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
    return Table("The plan of the verdicts", ("", ""), rows)


def _is_older(written: str, first: str) -> str:
    """Whether the plan was written before the first run; a run of the same day may have been seen."""
    if not first or written < first:
        return "yes"
    return "no: runs that count had been started by then, so their claims were not planned ahead"


def departure_table() -> Table:
    """Where the study differs from the paper."""
    rows = [(d.what, d.paper, d.ours) for d in DEPARTURES]
    return Table("Departures from the paper", ("what", "the paper", "this study"), rows)


def not_attempted_table() -> Table:
    """What of the paper is left out, and why."""
    return Table("Not attempted", ("what", "content", "because"), [*paper.NOT_ATTEMPTED, *UNDECIDED])
