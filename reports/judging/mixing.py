"""Runs that were not computed alike: what they differ in, said in the finding, and how far its verdict may then go.

Precision, the batch that batch norm sees, the step path and the images are no factors of a cell, so runs of one
comparison can differ in them. Where two networks of a claim have no value in common, what separates them may be that;
otherwise the difference is spread over them. `[mixing]` in the plan says which differences then decide nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from itertools import combinations

import pandas as pd

from reports.judging.claim import Finding
from reports.judging.evidence import Evidence
from reports.judging.plan import Cap, plan

NAMES = {
    "precision": "precision",
    "per_device_batch": "images per batch norm",
    "step_path": "step path",
    "data_fingerprint": "images",
}


def cap_mixed(finding: Finding, e: Evidence) -> Finding:
    """Name in the sentence what the finding's runs differ in, and set the finding's cap."""
    if finding.missing or not finding.runs:
        return finding
    runs = _rows(e, finding.runs)
    by_column = {column: _by_network(runs, e, column) for column in NAMES if column in runs}
    mixed = {column: values for column, values in by_column.items() if len(set().union(*values.values())) > 1}
    if not mixed:
        return finding
    caps = {_cap(column, values) for column, values in mixed.items()}
    said = "; ".join(_words(column, values) for column, values in mixed.items())
    sentence = f"{finding.sentence} These runs differ in {said}."
    return replace(finding, sentence=sentence, cap="inconclusive" if "inconclusive" in caps else "interim")


def _rows(e: Evidence, names: tuple[str, ...]) -> pd.DataFrame:
    """The rows of runs, whether they count or failed, with the precision that was computed in."""
    frames = [frame.loc[frame["run"].isin(names), _known(frame)] for frame in (e.results, e.failed) if len(frame)]
    runs = pd.concat([frame.astype(object) for frame in frames]) if frames else pd.DataFrame()
    if "precision" in runs and "tf32" in runs:
        is_tf32 = runs["precision"].eq("32") & runs["tf32"].eq(True)  # in records from before it was a precision
        runs = runs.assign(precision=runs["precision"].mask(is_tf32, "tf32"))
    return runs


def _known(runs: pd.DataFrame) -> list[str]:
    """The columns that are compared, and those of a run's network, of which a table has them."""
    return [column for column in ("depth", "shortcut", "recipe", "tf32", *NAMES) if column in runs]


def _by_network(runs: pd.DataFrame, e: Evidence, column: str) -> dict[str, set[str]]:
    """The values of a column in the runs of each network; what is not known is left out."""
    found: dict[str, set[str]] = {}
    known = runs[runs[column].notna()]
    rows = {*zip(known["shortcut"], known["depth"], known["recipe"], map(_value, known[column]), strict=True)}
    for shortcut, depth, recipe, value in sorted(rows):
        name = e.title((int(depth), shortcut))
        name += "" if recipe == e.comparison.recipe else f" ({recipe})"
        found.setdefault(name, set()).add(value)
    return found


def _value(value: object) -> str:
    """A value as it is printed; counts without decimals, digests short."""
    return f"{value:.0f}" if isinstance(value, int | float) else str(value)[:10]


def _cap(column: str, values: Mapping[str, set[str]]) -> Cap:
    is_separated = any(one.isdisjoint(other) for one, other in combinations(values.values(), 2))
    return plan().mixing[column] if is_separated else "interim"


def _words(column: str, values: Mapping[str, set[str]]) -> str:
    """``precision: 32 (plain-20), bf16 (plain-20, plain-56)``."""
    words = [
        f"{value} ({', '.join(net for net in values if value in values[net])})"
        for value in sorted(set().union(*values.values()))
    ]
    return f"{NAMES[column]}: {', '.join(words)}"
