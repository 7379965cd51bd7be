"""Statistical tests and intervals on plain numbers, by scipy.

Every test gives two chances: of results so extreme if the statement were false (`p_for`), and if it were true
(`p_against`). One seed on a side leaves both undefined (nan), never small.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import comb, nan
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import stats

ALPHA = 0.05
MOST_SPLITS = comb(16, 8)  # 12,870: eight seeds against eight are still tested exactly
Values = NDArray[np.float64]
Seeds = Sequence[float]


class TestResult(NamedTuple):
    """An effect with its 95 % interval and the two chances."""

    effect: float
    low: float = nan
    high: float = nan
    p_for: float = nan
    p_against: float = nan


def greater(a: Seeds, b: Seeds) -> TestResult:
    """Test whether the mean of `a` is above that of `b`, by permutation (exact up to 8 a side); Welch's interval."""
    effect = float(np.mean(a) - np.mean(b))
    if min(len(a), len(b)) < 2:
        return TestResult(effect)
    return TestResult(effect, *_welch(a, b), _permutation(a, b, "greater"), _permutation(a, b, "less"))


def not_greater(a: Seeds, b: Seeds, margin: float) -> TestResult:
    """Test whether the mean of `a` is less than `margin` above that of `b`: Welch's test against the margin."""
    effect = float(np.mean(a) - np.mean(b))
    if min(len(a), len(b)) < 2:
        return TestResult(effect)
    below = _welch_p(a, b, margin)
    return TestResult(effect, *_welch(a, b), below, 1 - below)


def equal(a: Seeds, b: Seeds, margin: float) -> TestResult:
    """Test whether the means are within `margin` of each other: two one-sided Welch tests (equivalence)."""
    one, other = not_greater(a, b, margin), not_greater(b, a, margin)
    p_for = max(one.p_for, other.p_for)
    return one._replace(p_for=p_for, p_against=min(1.0, 2 * min(one.p_against, other.p_against)))


def beyond(a: Seeds, limit: float, side: Literal["greater", "less"]) -> TestResult:
    """Test whether the mean of `a` is above (or below) a limit: a one-sample t test."""
    effect = float(np.mean(a) - limit)
    if len(a) < 2:
        return TestResult(effect)
    if np.ptp(a) == 0:
        p = 0.0 if (effect > 0) == (side == "greater") and effect != 0 else 1.0
        return TestResult(effect, effect, effect, p, 1 - p)
    test = stats.ttest_1samp(a, limit, alternative=side)
    interval = stats.ttest_1samp(a, limit).confidence_interval(1 - ALPHA)
    p = float(test.pvalue)
    return TestResult(effect, float(interval.low) - limit, float(interval.high) - limit, p, 1 - p)


def prediction_interval(a: Seeds) -> tuple[float, float]:
    """The 95 % prediction interval for one more run; undefined for one run."""
    if len(a) < 2:
        return nan, nan
    half = float(stats.t.ppf(1 - ALPHA / 2, len(a) - 1) * np.std(a, ddof=1) * np.sqrt(1 + 1 / len(a)))
    return float(np.mean(a)) - half, float(np.mean(a)) + half


def one_more(a: Seeds, value: float) -> float:
    """The chance that one more run is as far from the mean of `a` as `value` is (two-sided t)."""
    if len(a) < 2 or np.ptp(a) == 0:
        return nan
    t = (value - np.mean(a)) / (np.std(a, ddof=1) * np.sqrt(1 + 1 / len(a)))
    return float(2 * stats.t.sf(abs(t), len(a) - 1))


def holm(p: Sequence[float]) -> list[float]:
    """Holm's adjustment over a family; undefined chances are left out."""
    members = sorted((value, i) for i, value in enumerate(p) if not np.isnan(value))
    adjusted, worst = [nan] * len(p), 0.0
    for rank, (value, i) in enumerate(members):
        worst = max(worst, min(1.0, value * (len(members) - rank)))
        adjusted[i] = worst
    return adjusted


def mean_std(values: Seeds) -> tuple[float, float]:
    """Mean and sample standard deviation; the latter nan for one value."""
    return float(np.mean(values)), float(np.std(values, ddof=1)) if len(values) > 1 else nan


def _welch(a: Seeds, b: Seeds) -> tuple[float, float]:
    if np.ptp(a) == 0 and np.ptp(b) == 0:  # all runs of a side alike, as when every net fits perfectly
        effect = float(np.mean(a) - np.mean(b))
        return effect, effect
    interval = stats.ttest_ind(a, b, equal_var=False).confidence_interval(1 - ALPHA)
    return float(interval.low), float(interval.high)


def _welch_p(a: Seeds, b: Seeds, margin: float) -> float:
    """The chance of means so close if `a` were really `margin` above `b`."""
    if np.ptp(a) == 0 and np.ptp(b) == 0:
        return 0.0 if np.mean(a) - np.mean(b) < margin else 1.0
    return float(stats.ttest_ind(np.asarray(a) - margin, b, equal_var=False, alternative="less").pvalue)


def _permutation(a: Seeds, b: Seeds, alternative: Literal["greater", "less"]) -> float:
    def effect(x: Values, y: Values, axis: int) -> Values:
        return np.asarray(np.mean(x, axis=axis) - np.mean(y, axis=axis))

    # As many resamples as there are splits make scipy enumerate them; beyond 8 seeds a side it draws, always alike.
    splits, rng = min(comb(len(a) + len(b), len(a)), MOST_SPLITS), np.random.default_rng(0)
    arrays, test = [np.asarray(a), np.asarray(b)], effect
    found = stats.permutation_test(
        arrays, test, vectorized=True, n_resamples=splits, batch=1_000, alternative=alternative, rng=rng
    )
    return float(found.pvalue)


Compare = Callable[[Seeds, Seeds], TestResult]
