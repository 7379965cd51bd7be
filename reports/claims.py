"""The paper's statements as functions: from the results of a group of runs to a verdict that can be checked.

A group is one data set under one recipe. A missing run never passes, one seed shows a direction only, and a recipe
that is scaled down never gives more than "toy". Numbers of the claims (C01 ...) follow the paper's order.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, Literal

import pandas as pd

from reports.stats import ALPHA, Difference, difference

Verdict = Literal["supported", "contradicted", "inconclusive", "toy", "missing"]
Direction = Literal["agrees", "disagrees", "unclear", ""]

RISE_MARGIN = 0.5  # points of training error; a residual net that rises by less is said not to rise (set in advance)


@dataclass(frozen=True)
class Finding:
    """What the runs say of one claim."""

    verdict: Verdict
    direction: Direction
    sentence: str
    effect: float = math.nan  # percentage points
    low: float = math.nan
    high: float = math.nan
    p: float = math.nan
    n: tuple[int, ...] = ()
    runs: tuple[str, ...] = ()


@dataclass(frozen=True)
class Claim:
    """One statement of the paper and the function that judges it."""

    id: str
    where: str
    statement: str
    judge: Callable[[pd.DataFrame], Finding]


def cell(results: pd.DataFrame, depth: int, shortcut: str) -> pd.DataFrame:
    """The seeds of one network."""
    return results[(results["depth"] == depth) & (results["shortcut"] == shortcut)]


def higher(results: pd.DataFrame, column: str, upper: tuple[int, str], lower: tuple[int, str]) -> Finding:
    """Judge "the error of `upper` is higher than that of `lower`" over their seeds."""
    return _compare(results, column, upper, lower, margin=None)


def not_higher(results: pd.DataFrame, column: str, upper: tuple[int, str], lower: tuple[int, str]) -> Finding:
    """Judge "the error of `upper` is not higher than that of `lower`" by `RISE_MARGIN` points."""
    return _compare(results, column, upper, lower, margin=RISE_MARGIN)


def _compare(
    results: pd.DataFrame, column: str, upper: tuple[int, str], lower: tuple[int, str], margin: float | None
) -> Finding:
    first, second = cell(results, *upper), cell(results, *lower)
    names = [f"{'plain' if shortcut == 'none' else 'ResNet'}-{depth}" for depth, shortcut in (upper, lower)]
    missing = [name for name, runs in zip(names, (first, second), strict=True) if runs.empty]
    if missing:
        return Finding("missing", "", f"There is no finished run of {' and '.join(missing)}.")
    d = difference(list(first[column]), list(second[column]))
    verdict, direction, p = _order(d) if margin is None else _margin(d, margin)
    n = (len(first), len(second))
    what = "training" if column == "train_error" else "test"
    sentence = (
        f"{names[0]} has {first[column].mean():.2f} % {what} error, {names[1]} {second[column].mean():.2f} %: "
        f"{d.effect:+.2f} points" + ("." if min(n) > 1 else " (direction only: one seed).")
    )
    return Finding(verdict, direction, sentence, d.effect, d.low, d.high, p, n, (*first["run"], *second["run"]))


def _order(d: Difference) -> tuple[Verdict, Direction, float]:
    direction: Direction = "agrees" if d.effect > 0 else "disagrees" if d.effect < 0 else "unclear"
    if d.p_greater < ALPHA:
        return "supported", direction, d.p_greater
    return ("contradicted" if d.p_less < ALPHA else "inconclusive"), direction, d.p_greater


def _margin(d: Difference, margin: float) -> tuple[Verdict, Direction, float]:
    direction: Direction = "agrees" if d.effect < margin else "disagrees"
    if d.high < margin:
        return "supported", direction, math.nan
    return ("contradicted" if d.low > margin else "inconclusive"), direction, math.nan


def not_overfitting(results: pd.DataFrame) -> Finding:
    """Judge that the deeper plain net tests worse and also *trains* worse, which overfitting would not show."""
    train, test = (higher(results, f"{split}_error", (56, "none"), (20, "none")) for split in ("train", "test"))
    if "missing" in (train.verdict, test.verdict):
        return train
    both = {train.verdict, test.verdict}
    verdict: Verdict = (
        "supported" if both == {"supported"} else train.verdict if train.verdict != "supported" else test.verdict
    )
    direction: Direction = "agrees" if train.direction == test.direction == "agrees" else train.direction
    sentence = f"Tested: {test.sentence} Trained: {train.sentence}"
    return Finding(verdict, direction, sentence, train.effect, train.low, train.high, train.p, train.n, train.runs)


CLAIMS: tuple[Claim, ...] = (
    Claim(
        "C01", "Fig. 1 left, Fig. 6 left", "Plain nets: the deeper has the higher training error (degradation).",
        lambda r: higher(r, "train_error", (56, "none"), (20, "none")),
    ),
    Claim(
        "C02", "Fig. 1 right, Fig. 6 left", "Plain nets: the deeper has the higher test error.",
        lambda r: higher(r, "test_error", (56, "none"), (20, "none")),
    ),
    Claim(
        "C06", "Secs. 1 and 4.1", "The degradation is not caused by overfitting: it is in the training error.",
        not_overfitting,
    ),
    Claim(
        "C21", "Table 6, Fig. 6 middle", "Residual nets: the deeper has the lower test error.",
        lambda r: higher(r, "test_error", (20, "A"), (56, "A")),
    ),
    Claim(
        "C22", "Fig. 6 middle", f"Residual nets: training error does not rise with depth (by {RISE_MARGIN} points).",
        lambda r: not_higher(r, "train_error", (56, "A"), (20, "A")),
    ),
    Claim(
        "C23", "Fig. 6 left and middle", "At 56 layers the residual net tests better than the plain one.",
        lambda r: higher(r, "test_error", (56, "none"), (56, "A")),
    ),
)  # fmt: skip


def judge(claim: Claim, results: pd.DataFrame, scale: str) -> Finding:
    """A claim's finding on one group; on a scaled-down recipe it is "toy" unless runs are missing."""
    finding = claim.judge(results)
    if scale == "full" or finding.verdict == "missing":
        return finding
    return Finding(**{**asdict(finding), "verdict": "toy"})


def as_record(claim: Claim, group: str, finding: Finding) -> dict[str, Any]:
    """One entry of claims.json; what is undefined is null."""
    values = {key: None if isinstance(v, float) and math.isnan(v) else v for key, v in asdict(finding).items()}
    return {"id": claim.id, "where": claim.where, "statement": claim.statement, "group": group, **values}
