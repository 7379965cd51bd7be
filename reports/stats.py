"""Tests and intervals, by scipy. Numbers in, numbers out: no frames, no figures."""

from __future__ import annotations

from collections.abc import Sequence
from math import comb
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import stats

ALPHA = 0.05
Values = NDArray[np.float64]


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


def _permutation(a: Sequence[float], b: Sequence[float], alternative: Literal["greater", "less"]) -> float:
    def effect(x: Values, y: Values, axis: int) -> Values:
        return np.asarray(np.mean(x, axis=axis) - np.mean(y, axis=axis))

    every = comb(len(a) + len(b), len(a))  # as many resamples as there are splits: scipy enumerates them, exactly
    arrays = [np.asarray(a), np.asarray(b)]
    test = stats.permutation_test(arrays, effect, vectorized=True, n_resamples=every, alternative=alternative)
    return float(test.pvalue)


def mean_std(values: Sequence[float]) -> tuple[float, float]:
    """Mean and sample standard deviation; the latter nan for one value."""
    return float(np.mean(values)), float(np.std(values, ddof=1)) if len(values) > 1 else np.nan
