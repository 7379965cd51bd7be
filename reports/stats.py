"""Tests and intervals, by scipy. Numbers in, numbers out: no frames, no figures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy import stats

ALPHA = 0.05


class Difference(NamedTuple):
    """Mean of `a` minus mean of `b`: with a 95 % interval and the chance of so large a difference under no effect."""

    effect: float
    low: float
    high: float
    p_greater: float
    p_less: float


def difference(a: Sequence[float], b: Sequence[float]) -> Difference:
    """Compare two sets of seeds: Welch's interval, and an exact permutation test to either side.

    One seed on a side leaves the interval and the chances undefined (nan), never narrow.
    """
    effect = float(np.mean(a) - np.mean(b))
    if min(len(a), len(b)) < 2:
        return Difference(effect, np.nan, np.nan, np.nan, np.nan)
    low, high = _welch(a, b)
    return Difference(effect, low, high, _permutation(a, b, "greater"), _permutation(a, b, "less"))


def _welch(a: Sequence[float], b: Sequence[float]) -> tuple[float, float]:
    if np.ptp(a) == 0 and np.ptp(b) == 0:  # all runs of a side alike, as when every net fits perfectly
        effect = float(np.mean(a) - np.mean(b))
        return effect, effect
    interval = stats.ttest_ind(a, b, equal_var=False).confidence_interval(1 - ALPHA)
    return float(interval.low), float(interval.high)


def _permutation(a: Sequence[float], b: Sequence[float], alternative: str) -> float:
    def statistic(x: np.ndarray, y: np.ndarray, axis: int) -> np.ndarray:
        return np.mean(x, axis=axis) - np.mean(y, axis=axis)

    test = stats.permutation_test(
        (a, b), statistic, vectorized=True, n_resamples=np.inf, alternative=alternative
    )  # n_resamples=inf enumerates every split: the test is exact
    return float(test.pvalue)


def mean_std(values: Sequence[float]) -> tuple[float, float]:
    """Mean and sample standard deviation; the latter nan for one value."""
    return float(np.mean(values)), float(np.std(values, ddof=1)) if len(values) > 1 else np.nan
