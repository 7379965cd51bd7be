"""Table 6's column of replication, against intervals by hand."""

from __future__ import annotations

import math
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from reports.gathering import snapshot
from reports.judging.comparison import CIFAR
from reports.judging.evidence import Evidence
from reports.judging.plan import plan
from reports.judging.replication import replication
from reports.paper import numbers as paper
from reports.tables import cifar
from reports.tables.table import text
from tests.support import SNAPSHOT

BY_DEPTH = {(r.depth, r.shortcut): r for r in paper.CIFAR10}
FIFTY_SIX, DEEP = BY_DEPTH[56, "A"], BY_DEPTH[110, "A"]
ERRORS = st.lists(st.floats(5, 9), min_size=2, max_size=6)


def test_a_single_run_of_the_papers_is_one_more_of_ours() -> None:
    """The t interval of a difference of two means of one spread, one of them of a single run."""
    errors = [6.95, 7.05, 7.1, 6.9, 7.0]
    found = replication(errors, FIFTY_SIX)
    half = stats.t.ppf(0.975, 4) * np.std(errors, ddof=1) * math.sqrt(1 / 5 + 1)
    assert found[:3] == pytest.approx((7.0 - 6.97, 0.03 - half, 0.03 + half)) and found.outcome == "within"


def test_five_runs_of_the_papers_are_compared_by_welch() -> None:
    errors = [6.5, 6.6, 6.7, 6.8]
    found = replication(errors, DEEP)
    ours = stats.ttest_ind_from_stats(6.65, np.std(errors, ddof=1), 4, 6.61, 0.16, 5, equal_var=False)
    assert found.difference == pytest.approx(0.04) and found.outcome == "within"
    assert ours.pvalue > 0.05 and found.low < 0 < found.high


@pytest.mark.parametrize(
    ("errors", "outcome"),
    [
        ([7.0], "open"),
        ([6.0, 8.0], "open"),
        ([7.97, 7.98, 7.99], "beyond"),
        ([5.97, 5.98, 5.99], "beyond"),
        ([7.47, 7.47], "open"),
        ([7.27, 7.27], "within"),
    ],
)
def test_outcomes(errors: list[float], outcome: str) -> None:
    """Two equal seeds have the spread of the measure's resolution, so an error at the margin is open."""
    assert replication(errors, FIFTY_SIX).outcome == outcome


@given(ERRORS)
def test_an_error_replicates_only_where_all_of_the_interval_does(errors: list[float]) -> None:
    """And a mirror of our errors at the paper's is as far from it, with the same outcome."""
    found = replication(errors, FIFTY_SIX)
    mirrored = replication([2 * FIFTY_SIX.test_error - error for error in errors], FIFTY_SIX)
    assert mirrored.outcome == found.outcome and mirrored.difference == pytest.approx(-found.difference, abs=1e-9)
    inside = abs(found.difference) + (found.high - found.low) / 2 < plan().replication_margin
    assert (found.outcome == "within") == inside or math.isclose(abs(found.high), plan().replication_margin)


def test_the_column_says_it_in_words() -> None:
    whole = snapshot.read(SNAPSHOT)
    column = cifar.TABLE6_COLUMNS.index("test error %: ours minus the paper")
    cells = {text(row[0]): text(row[column]) for row in cifar.table6(Evidence.of(whole, CIFAR)).rows}
    assert re.fullmatch(r"[+-]0\.0\d \(-0\.\d\d to \+0\.\d\d\): within 0\.5 points", cells["ResNet-20"])
    assert cells["plain-110"] == "–", "the paper has no error of it"
    one = cifar.table6(Evidence(whole.results[whole.results["seed"] == 0], CIFAR))
    assert all(text(row[column]).endswith(": one seed") for row in one.rows if text(row[0]) == "ResNet-56")
