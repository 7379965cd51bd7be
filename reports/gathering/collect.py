"""From records to the snapshot's tables: a row for each run, evaluation, layer and probe, and which runs count."""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Mapping
from typing import Any

import pandas as pd

from reports.gathering.probes import tables_of_runs
from reports.gathering.public import Public
from reports.gathering.snapshot import DIVERGED, STUCK, Snapshot
from reports.gathering.tables import (
    HISTORY_COLUMNS,
    MEMBERS,
    PROTOCOLS,
    RESPONSE_COLUMNS,
    RUN_COLUMNS,
    frame,
)
from study.recipes import RECIPES, recipe_for
from study.recording.evaluation import COUNT_COLUMNS, SUMMARY_COLUMNS, Row
from study.recording.run import Run
from study.recording.soundness import contradictions, is_finite


def collect(runs: Mapping[str, Run], excluded: Mapping[str, str]) -> Snapshot:
    """The tables of runs; a run that does not count has a row, too.

    Args:
        runs: By their names in the tables: the cell's name for the run that counts.
        excluded: Why a run does not count, by its name; names that are not among the runs could not be read.
    """
    rows = [_run_row(name, run, excluded.get(name) or exclusion_reason(run)) for name, run in runs.items()]
    unreadable = {name: why for name, why in excluded.items() if name not in runs}
    rows += [
        {"run": visible(name), "state": "unreadable", "counts": False, "reason": visible(why)}
        for name, why in unreadable.items()
    ]
    history = [{"run": name, **row} for name, run in runs.items() for row in run.history]
    found = frame(rows, RUN_COLUMNS, [name for name in SUMMARY_COLUMNS if name not in COUNT_COLUMNS] + PROTOCOLS)
    measures = [name for name in HISTORY_COLUMNS if name not in ("run", *COUNT_COLUMNS)]
    curves = frame(history, HISTORY_COLUMNS, measures)
    responses = response_table({name: run.responses for name, run in runs.items() if run.responses})
    return Snapshot(exclude_copies(found, curves), curves, responses, public=Public(), **tables_of_runs(runs))


def response_table(responses: Mapping[str, Row]) -> pd.DataFrame:
    """A row per run and layer, numbered from 1, of what `responses.json` has."""
    rows = [
        {"run": name, "layer": i, "name": layer, "std": std}
        for name, found in responses.items()
        for i, (layer, std) in enumerate(zip(found["layers"], found["std"], strict=True), start=1)
    ]
    return frame(rows, RESPONSE_COLUMNS, ["std"])


def _run_row(name: str, run: Run, reason: str) -> dict[str, Any]:
    summary = run.summary or (run.history[-1] if run.history else {})
    url = run.url if run.url and re.fullmatch(r"https?://[^\s]+", run.url) else None
    row = {
        "run": name,
        **run.spec.factors,
        **{"state": run.state, "counts": not reason, "reason": reason, "source": "recorded", "url": url},
        **{key: summary.get(key) for key in (*SUMMARY_COLUMNS, *PROTOCOLS)},
        **{key: json.dumps(summary[key]) for key in MEMBERS if key in summary},
        **run.covariates,
        "argv": json.dumps(run.covariates["argv"] or []),
    }
    return {key: visible(value) if isinstance(value, str) else value for key, value in row.items()}


def visible(text: str) -> str:
    """A text without characters that are not seen but change how others are, as those that turn its direction."""
    hidden = {"Cc", "Cf"}
    return "".join("\N{REPLACEMENT CHARACTER}" if unicodedata.category(c) in hidden else c for c in text)


def exclusion_reason(run: Run) -> str:
    """Why a run does not count; empty when it does."""
    if run.spec.recipe not in RECIPES[run.spec.dataset]:
        return f"there is no recipe {run.spec.recipe!r}"
    steps = recipe_for(run.spec).steps
    if run.summary is None:
        return f"{run.state} at step {run.history[-1]['step'] if run.history else 0:,} of {steps:,}"
    if lost := next((row["step"] for row in run.history if not is_finite(row)), None):
        return f"{DIVERGED}: its loss is not a number at step {lost:,}"
    if run.summary["step"] < steps and run.summary.get("warm_until", 0) is None:
        return f"{STUCK}: it ended at step {run.summary['step']:,} of {steps:,}"
    if run.summary["step"] != steps or not run.history or run.history[-1]["step"] != steps:
        return f"no evaluation after its last step, {steps:,}"
    return next(contradictions(recipe_for(run.spec), run.history, run.summary, run.confusion), "")


def exclude_copies(runs: pd.DataFrame, history: pd.DataFrame) -> pd.DataFrame:
    """Two runs cannot end with identical weights, or have identical losses, by chance: the later does not count.

    Args:
        runs: Rows of `RUN_COLUMNS`, in the order of their names.
        history: Rows of `HISTORY_COLUMNS`.
    """
    for what, values in (("weights are", runs["weights_sha256"]), ("losses are", runs["run"].map(_curves(history)))):
        counting = runs[runs["counts"].astype(bool) & values.notna()]
        first = counting.groupby(values.loc[counting.index])["run"].transform("first")
        copies = first[first != counting["run"]]
        reasons = {row: f"a copy: its {what} identical to those of {run}" for row, run in copies.items()}
        runs = runs.assign(
            counts=runs["counts"].astype(bool) & ~runs.index.isin(copies.index),
            reason=runs["reason"].where(~runs.index.isin(copies.index), runs.index.to_series().map(reasons)),
        )
    return runs


def _curves(history: pd.DataFrame) -> dict[str, int]:
    """A digest of each run's training losses."""
    return {str(run): hash(tuple(losses)) for run, losses in history.groupby("run")["train/loss"]}
