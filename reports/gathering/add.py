"""Add gathered runs to a snapshot that is there, such as the committed one."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import PurePath

import pandas as pd

from reports.gathering.collect import exclude_copies
from reports.gathering.snapshot import PACKED, Snapshot

TABLES = ("runs", *PACKED)


def add(before: Snapshot, given: Snapshot) -> tuple[Snapshot, list[str]]:
    """Join a snapshot with runs that were gathered since.

    Runs that only one of them has are taken as they are. Of a run that both have, one is kept, by the rule for two runs
    of a cell: one that counts before one that doesn't, then the one that was started first. Where both were started at
    the same time they are the same run, and what was gathered last is kept, table by table: probes that only the
    snapshot has stay there.

    Args:
        before: The snapshot; its rows are not changed.
        given: The runs to add. Paths of the machine in their command lines are shortened to their last part.

    Returns:
        The joined snapshot, in the order of the runs' names, and a line for each run that stands in both with
        different content.
    """
    given = replace(given, runs=given.runs.assign(argv=given.runs["argv"].map(shorten)))
    shared = sorted(set(before.runs["run"]) & set(given.runs["run"]))
    differing = [run for run in shared if not _is_same(before, given, run)]
    stays = {run for run in shared if run not in differing or _rank(before, run) < _rank(given, run)}
    tables = {table: _joined(getattr(before, table), getattr(given, table), stays) for table in TABLES}
    joined = Snapshot(**tables, public=before.public)
    lines = [_difference(run, run in stays) for run in differing]
    return replace(joined, runs=exclude_copies(joined.runs, joined.history)), lines


def shorten(argv: str) -> str:
    """A command line without the machine's paths.

    >>> shorten('["train", "--depth=20", "--runs=/home/me/runs"]')
    '["train", "--depth=20", "--runs=runs"]'
    """
    return json.dumps([_shorten(word) for word in json.loads(argv)]) if isinstance(argv, str) else argv


def _shorten(word: str) -> str:
    flag, equals, value = word.rpartition("=")
    return f"{flag}{equals}{PurePath(value).name}" if PurePath(value).is_absolute() else word


def _rank(snapshot: Snapshot, name: str) -> tuple[bool, str]:
    """What decides between two runs of one name; the lower is kept."""
    run = snapshot.runs[snapshot.runs["run"] == name].iloc[0]
    return not run["counts"], run["started"] if isinstance(run["started"], str) else "9"


def _is_same(before: Snapshot, given: Snapshot, run: str) -> bool:
    """Whether every table that was gathered of a run has the same rows as in the snapshot."""
    rows = [[_rows(getattr(snapshot, table), run) for snapshot in (before, given)] for table in TABLES]
    return all(new.empty or old.equals(new) for old, new in rows)


def _rows(table: pd.DataFrame, run: str) -> pd.DataFrame:
    """A run's rows as plain objects, so that 1 equals 1.0, with empty cells alike."""
    rows = table[table["run"] == run].astype(object).reset_index(drop=True)
    return rows.where(rows.notna() & (rows != ""), None)


def _joined(before: pd.DataFrame, given: pd.DataFrame, stays: set[str]) -> pd.DataFrame:
    """One table: the given rows, and those before of runs without given rows. Columns keep numbers as they are."""
    new = given[~given["run"].isin(stays)]
    old = before[~before["run"].isin(new["run"])]
    both = pd.concat([old.astype(object), new.astype(object)], ignore_index=True)
    return both.sort_values("run", kind="stable", ignore_index=True)


def _difference(run: str, stays: bool) -> str:
    kept = "the snapshot's is kept" if stays else "the gathered one is kept"
    return f"{run} is in the snapshot with different content; {kept}"
