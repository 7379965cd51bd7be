"""Statistical tests and intervals on plain numbers.

Every test has two tails of equal size: the chance of results so extreme if the statement were false (`p_for`), and if
it were true (`p_against`). One seed on a side leaves both undefined (nan), never small. Seeds that are equal are not a
variance of zero: the standard deviation is at least the resolution of the measure.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations
from math import comb, nan, sqrt
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import stats

COVERAGE = 0.95  # of every interval
EXACT = 100  # values; up to here the trend test is exact
Seeds = Sequence[float]
Counts = NDArray[np.float64]


class TestResult(NamedTuple):
    """An effect with its 95 % interval, the two chances, and its standard error."""

    effect: float
    low: float = nan
    high: float = nan
    p_for: float = nan
    p_against: float = nan
    error: float = nan


class Sample(NamedTuple):
    """What a t test needs of one network: the mean, the variance of one run, its degrees of freedom, and n."""

    mean: float
    variance: float
    freedom: int
    n: int


def sample(values: Seeds, resolution: float = 0.0, family: Sequence[Seeds] = ()) -> Sample:
    """Summarise a network's seeds.

    Args:
        values: One value per seed.
        resolution: The least standard deviation that is believed.
        family: The seeds of other networks that share the standard deviation, which is then pooled.
    """
    groups = [values, *family]
    freedom = sum(len(group) - 1 for group in groups)
    squares = sum(float(np.sum((np.asarray(group) - np.mean(group)) ** 2)) for group in groups)
    pooled = squares / freedom if freedom else 0.0
    return Sample(float(np.mean(values)), max(pooled, resolution**2), freedom, len(values))


def greater(a: Sample, b: Sample, margin: float = 0.0) -> TestResult:
    """Test whether the mean of `a` is more than `margin` above that of `b` (Welch's t)."""
    effect, error, freedom = _difference(a, b)
    if min(a.n, b.n) < 2:
        return TestResult(effect, error=error)
    above = _upper_tail(effect - margin, error, freedom)
    return TestResult(effect, *_interval(effect, error, freedom), above, 1 - above, error)


def not_greater(a: Sample, b: Sample, margin: float) -> TestResult:
    """Test whether the mean of `a` is less than `margin` above that of `b`."""
    found = greater(a, b, margin)
    return found._replace(p_for=found.p_against, p_against=found.p_for)


def equal(a: Sample, b: Sample, margin: float) -> TestResult:
    """Test whether the means are within `margin` of each other: two one-sided tests (equivalence)."""
    one, other = not_greater(a, b, margin), not_greater(b, a, margin)
    if min(a.n, b.n) < 2:
        return one
    p_against = min(1.0, 2 * min(one.p_against, other.p_against))
    return one._replace(p_for=max(one.p_for, other.p_for), p_against=p_against)


def beyond(a: Sample, limit: float, side: Literal["greater", "less"]) -> TestResult:
    """Test whether the mean of `a` is above (or below) a limit: a one-sample t test."""
    exact = Sample(limit, 0.0, 1, 2)
    return greater(a, exact) if side == "greater" else not_greater(a, exact, 0.0)


def rises(groups: Sequence[Seeds], resolution: float = 0.0) -> TestResult:
    """Test whether values rise from group to group: Jonckheere's trend test over all values.

    The effect is the last group's mean minus the first's; its standard error is scaled from that of the slope of a
    straight line through all values. Equal values count for neither side.
    """
    found = greater(sample(groups[-1], resolution), sample(groups[0], resolution))
    effect, error = found.effect, _slope_error(groups, resolution)
    if min(len(group) for group in groups) < 2:
        return TestResult(effect, error=error)
    sizes = tuple(len(group) for group in groups)
    up, down = (_as_many(sizes, pairs) for pairs in _pairs(groups))
    return TestResult(effect, found.low, found.high, up, down, error)


def slope(groups: Sequence[Seeds]) -> float:
    """The slope of a straight line through all values, times the number of steps: last minus first on that line."""
    x, y = _points(groups)
    return float(np.sum(x * y) / np.sum(x**2)) * (len(groups) - 1)


def count(holds: Sequence[bool], least: int) -> bool | None:
    """Whether all of at least `least` runs hold (True) or none does (False); None in between, and for fewer runs."""
    if len(holds) < least:
        return None
    if all(holds):
        return True
    return None if any(holds) else False


def at_least_one(p: Sequence[float]) -> float:
    """The chance that any of several statements holds, if none did: Simes' test; undefined chances are left out."""
    known = [value for value in p if not np.isnan(value)]
    return float(np.min(stats.false_discovery_control(known))) if known else nan


def prediction_interval(a: Seeds, resolution: float = 0.0) -> tuple[float, float]:
    """The 95 % prediction interval for one more run; undefined for one run."""
    if len(a) < 2:
        return nan, nan
    deviation = max(float(np.std(a, ddof=1)), resolution)
    half = float(stats.t.ppf((1 + COVERAGE) / 2, len(a) - 1) * deviation * np.sqrt(1 + 1 / len(a)))
    return float(np.mean(a)) - half, float(np.mean(a)) + half


def holm(p: Sequence[float]) -> list[float]:
    """Holm's adjustment over a family; undefined chances are left out."""
    members = sorted((value, i) for i, value in enumerate(p) if not np.isnan(value))
    adjusted, worst = [nan] * len(p), 0.0
    for rank, (value, i) in enumerate(members):
        worst = max(worst, min(1.0, value * (len(members) - rank)))
        adjusted[i] = worst
    return adjusted


def benjamini_hochberg(p: Sequence[float]) -> list[float]:
    """Benjamini and Hochberg's adjustment over a family; undefined chances are left out."""
    known = [i for i, value in enumerate(p) if not np.isnan(value)]
    adjusted = [nan] * len(p)
    if known:
        values = stats.false_discovery_control([p[i] for i in known])
        for i, value in zip(known, values, strict=True):
            adjusted[i] = float(value)
    return adjusted


def mean_std(values: Seeds) -> tuple[float, float]:
    """Mean and sample standard deviation; the latter nan for one value."""
    return float(np.mean(values)), float(np.std(values, ddof=1)) if len(values) > 1 else nan


def _difference(a: Sample, b: Sample) -> tuple[float, float, float]:
    """Mean difference, its standard error, and Welch's degrees of freedom."""
    shares = [(side.variance / side.n, side.freedom) for side in (a, b)]
    variance = sum(share for share, _ in shares)
    below = sum(share**2 / freedom for share, freedom in shares if freedom)
    return a.mean - b.mean, sqrt(variance), variance**2 / below if below else 1.0


def _upper_tail(effect: float, error: float, freedom: float) -> float:
    if error == 0:
        return 0.5 if effect == 0 else float(effect < 0)
    return float(stats.t.sf(effect / error, freedom))


def _interval(effect: float, error: float, freedom: float) -> tuple[float, float]:
    half = float(stats.t.ppf((1 + COVERAGE) / 2, freedom)) * error
    return effect - half, effect + half


def _points(groups: Sequence[Seeds]) -> tuple[Counts, Counts]:
    """All values, against the numbers of their groups, centred."""
    x = np.repeat(np.arange(len(groups), dtype=float), [len(group) for group in groups])
    return x - x.mean(), np.concatenate([np.asarray(group, dtype=float) for group in groups])


def _slope_error(groups: Sequence[Seeds], resolution: float) -> float:
    """The standard error of `slope`."""
    x, y = _points(groups)
    left = y - y.mean() - x * np.sum(x * y) / np.sum(x**2)
    variance = float(np.sum(left**2)) / (len(y) - 2) if len(y) > 2 else 0.0
    return sqrt(max(variance, resolution**2) / float(np.sum(x**2))) * (len(groups) - 1)


def _pairs(groups: Sequence[Seeds]) -> tuple[int, int]:
    """The pairs of values of two groups that rise, and that fall."""
    differences = [np.subtract.outer(np.asarray(b), np.asarray(a)) for a, b in combinations(groups, 2)]
    return sum(int((d > 0).sum()) for d in differences), sum(int((d < 0).sum()) for d in differences)


def _as_many(sizes: tuple[int, ...], pairs: int) -> float:
    """The chance of at least so many rising pairs where no group differs; beyond `EXACT` values by the normal curve."""
    if sum(sizes) <= EXACT:
        return min(1.0, float(_trend_null(sizes)[pairs:].sum()))  # rounding may take the sum of all beyond 1
    total, squares = sum(sizes), sum(size**2 for size in sizes)
    variance = (total**2 * (2 * total + 3) - sum(size**2 * (2 * size + 3) for size in sizes)) / 72
    return float(stats.norm.sf((pairs - 0.5 - (total**2 - squares) / 4) / sqrt(variance)))


def _trend_null(sizes: tuple[int, ...]) -> Counts:
    """The chance of each number of rising pairs where no group differs from another.

    Every order of the values is then equally likely, and the number of orders with k rising pairs is the coefficient
    of q^k in the q-multinomial coefficient, a product of q-binomials: one for each group joined to those before it.
    """
    null = np.ones(1)
    for before, size in _joined(sizes):
        null = np.convolve(null, _rank_sum_null(before, size))
    return null


def _joined(sizes: tuple[int, ...]) -> Iterator[tuple[int, int]]:
    before = sizes[0]
    for size in sizes[1:]:
        yield before, size
        before += size


def _rank_sum_null(m: int, n: int) -> Counts:
    """The chance of each number of rising pairs between m and n exchangeable values (Mann and Whitney's U)."""
    ways = np.zeros((n + 1, m * n + 1))
    ways[0, 0] = 1
    for height in range(m + 1):  # of `height` values before it, each of the n has all or some below it
        for used in range(1, n + 1):
            ways[used, height:] += ways[used - 1, : m * n + 1 - height]
    return np.asarray(ways[n] / comb(m + n, n))
