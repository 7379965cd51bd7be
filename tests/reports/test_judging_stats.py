"""The tests of judging/stats.py against scipy, against their own permutations, by hand, and by simulation."""

from __future__ import annotations

import math
from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats as scipy_stats

from reports.judging import stats
from reports.judging.stats import Seeds, sample

ALPHA = 0.05
GROUPS = st.lists(st.lists(st.integers(0, 8), min_size=2, max_size=2), min_size=2, max_size=3)
VALUES = st.lists(st.integers(0, 100), min_size=2, max_size=6)


def rising_pairs(groups: list[list[float]]) -> int:
    return sum(b > a for i, low in enumerate(groups) for high in groups[i + 1 :] for a in low for b in high)


@pytest.mark.parametrize("groups", [[[1, 5], [2, 6], [3, 7]], [[4], [1, 2], [3, 5, 6]], [[1, 2, 3], [4, 5]]])
def test_the_trend_test_is_its_own_permutation(groups: list[list[float]]) -> None:
    """The share of all orders of the values that rise as much, counted one by one."""
    values = [value for group in groups for value in group]
    sizes = [len(group) for group in groups]
    found = rising_pairs(groups)
    counts = []
    for order in permutations(values):
        rest = list(order)
        counts.append(rising_pairs([[rest.pop() for _ in range(size)] for size in sizes]))
    null = stats._trend_null(tuple(sizes))
    assert float(null[found:].sum()) == pytest.approx(np.mean([count >= found for count in counts]))
    assert null.sum() == pytest.approx(1)


@pytest.mark.parametrize("sizes", [(2, 4), (4, 1, 2), (1, 1, 4, 4), (5, 5, 5, 5), (5, 5, 5)])
def test_a_chance_is_1_at_most(sizes: tuple[int, ...]) -> None:
    """The sum of all chances is 1 + 2e-16 for some of these, for which of them depends on the processor."""
    assert stats._as_many(sizes, 0) == pytest.approx(1) and stats._as_many(sizes, 0) <= 1


@pytest.mark.parametrize("pairs", [1_800, 2_000, 2_200, 2_400, 2_500])
def test_many_values_are_tested_by_the_normal_curve_which_is_close(pairs: int, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = (20, 20, 20, 20, 20)
    exact = stats._as_many(sizes, pairs)
    monkeypatch.setattr(stats, "EXACT", 99)
    assert stats._as_many(sizes, pairs) == pytest.approx(exact, abs=0.002)


def test_a_thousand_runs_can_be_judged() -> None:
    groups = [list(np.random.default_rng(i).normal(i / 10, 1, 200)) for i in range(5)]
    assert stats.rises(groups).p_for < 0.001 < 0.999 < stats.rises(groups).p_against


@given(GROUPS)
def test_a_trend_that_is_mirrored_has_its_chances_exchanged(groups: list[list[float]]) -> None:
    found, mirrored = stats.rises(groups), stats.rises([[-value for value in group] for group in groups])
    assert (found.p_for, found.p_against) == (mirrored.p_against, mirrored.p_for)
    assert found.p_for + found.p_against >= 1 - 1e-12
    assert stats.slope(groups) == pytest.approx(-stats.slope([[-value for value in group] for group in groups]))


@given(VALUES, VALUES)
def test_two_means_are_compared_as_scipy_does(a: list[float], b: list[float]) -> None:
    if np.ptp(a) and np.ptp(b):
        found = stats.greater(sample(a), sample(b), margin=1.5)
        theirs = scipy_stats.ttest_ind(np.asarray(a) - 1.5, b, equal_var=False, alternative="greater")
        assert found.p_for == pytest.approx(float(theirs.pvalue), abs=1e-9)
        interval = scipy_stats.ttest_ind(a, b, equal_var=False).confidence_interval(0.95)
        assert (found.low, found.high) == pytest.approx((interval.low, interval.high))


@given(VALUES)
def test_a_mean_is_held_against_a_limit_as_scipy_does(a: list[float]) -> None:
    if np.ptp(a):
        found = stats.beyond(sample(a), 50, "less")
        assert found.p_for == pytest.approx(float(scipy_stats.ttest_1samp(a, 50, alternative="less").pvalue), abs=1e-9)
        assert found.p_for + found.p_against == pytest.approx(1)


def test_a_pooled_standard_deviation_has_the_degrees_of_freedom_of_its_family() -> None:
    a, b = sample([1, 3], family=[[5, 9], [2, 2, 2]]), sample([4, 4, 4])
    assert (a.freedom, a.variance, b.freedom, b.variance) == (4, (2 + 8) / 4, 2, 0)


def test_equal_values_are_not_a_variance_of_zero() -> None:
    """Two runs with the same 900 wrong of 10,000 say little of a difference of one image, much of one of a hundred."""
    same, one_image, hundred = ([9.0, 9.0], [9.01, 9.01], [10.0, 10.0])
    assert stats.greater(sample(one_image, 0.01), sample(same, 0.01)).p_for > 0.1
    assert stats.greater(sample(hundred, 0.01), sample(same, 0.01)).p_for < 0.001
    assert stats.beyond(sample(same, 0.01), 9.0, "less").p_for == pytest.approx(0.5)


def test_one_seed_has_no_chances() -> None:
    one, two = sample([1.0], 0.1), sample([2.0, 3.0], 0.1)
    results = [stats.greater(two, one), stats.not_greater(one, two, 1), stats.equal(one, two, 1)]
    results += [stats.beyond(one, 5, "less"), stats.rises([[1.0], [2.0, 3.0]], 0.1)]
    assert all(math.isnan(result.p_for) and math.isnan(result.p_against) for result in results)
    assert not any(math.isnan(result.effect) or math.isnan(result.error) for result in results)


def test_a_count_needs_enough_runs_that_agree() -> None:
    holds = [[True] * 3, [False] * 3, [True, False, True], [True] * 2]
    assert [stats.count(each, 3) for each in holds] == [True, False, None, None]


def test_holm_and_benjamini_hochberg_by_hand() -> None:
    assert stats.holm([0.01, 0.04, math.nan, 0.03]) == pytest.approx([0.03, 0.06, math.nan, 0.06], nan_ok=True)
    assert stats.holm([0.6, 0.9]) == [1.0, 1.0]
    found = stats.benjamini_hochberg([0.01, 0.04, math.nan, 0.03])
    assert found == pytest.approx([0.03, 0.04, math.nan, 0.04], nan_ok=True)
    assert stats.at_least_one([0.02, 0.02, math.nan]) == pytest.approx(0.02)
    assert stats.at_least_one([0.01, 0.9]) == pytest.approx(0.02) and math.isnan(stats.at_least_one([math.nan]))


def test_mean_and_spread_by_hand() -> None:
    assert stats.mean_std([1, 3]) == (2, pytest.approx(math.sqrt(2))) and math.isnan(stats.mean_std([1])[1])


def test_a_prediction_interval_holds_one_more_run_as_often_as_it_says() -> None:
    rng = np.random.default_rng(1)
    runs = rng.normal(size=(2_000, 6))
    inside = [low <= run[5] <= high for run in runs for low, high in [stats.prediction_interval(list(run[:5]))]]
    assert np.mean(inside) == pytest.approx(0.95, abs=0.015)


RNG = np.random.default_rng(0)


def draw(mean: float, std: float) -> Seeds:
    return list(RNG.normal(mean, std, 5))


TESTS = {  # each under the hardest case in which the statement is false
    "greater": lambda: stats.greater(sample(draw(0, 1)), sample(draw(0, 1))),
    "greater, spreads unequal": lambda: stats.greater(sample(draw(0, 1)), sample(draw(0, 0.1))),
    "not_greater": lambda: stats.not_greater(sample(draw(0.5, 0.2)), sample(draw(0, 0.2)), 0.5),
    "equal": lambda: stats.equal(sample(draw(0.5, 0.2)), sample(draw(0, 0.2)), 0.5),
    "beyond": lambda: stats.beyond(sample(draw(60, 1)), 60, "greater"),
    "rises": lambda: stats.rises([draw(0, 1) for _ in range(4)]),
}
TIMES = 600


@pytest.mark.parametrize("name", TESTS)
def test_false_alarms_are_as_rare_as_stated(name: str) -> None:
    """By simulation, to three standard errors above 5 %."""
    alarms = np.mean([TESTS[name]().p_for < ALPHA for _ in range(TIMES)])
    assert alarms <= ALPHA + 3 * math.sqrt(0.05 * 0.95 / TIMES)


def test_a_family_raises_a_false_alarm_as_rarely_as_one_test() -> None:
    families = [stats.holm([TESTS["beyond"]().p_for for _ in range(10)]) for _ in range(TIMES)]
    alarms = np.mean([min(family) < ALPHA for family in families])
    assert alarms <= ALPHA + 3 * math.sqrt(0.05 * 0.95 / TIMES)
