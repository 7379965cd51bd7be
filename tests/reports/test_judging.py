from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from reports.gathering import snapshot
from reports.judging import stats
from reports.judging.cifar import RISE_MARGIN
from reports.judging.claim import Claim, Finding
from reports.judging.claims import CLAIMS, UNDECIDED, judge_all
from reports.judging.evidence import CIFAR, IMAGENET, METRICS, Comparison, Evidence
from tests.support import ROOT

SNAPSHOT = ROOT / "tests" / "fixtures" / "snapshot"
COUNTED = ("C19", "C32", "C34")


@pytest.fixture(scope="module")
def results() -> pd.DataFrame:
    """Five seeds of every cell, near the paper's numbers."""
    return snapshot.read(SNAPSHOT).results


def judge(claim: Claim, frame: pd.DataFrame, **more: pd.DataFrame) -> Finding:
    ((_, finding),) = judge_all(Evidence(frame, claim.comparison, **more), among=[claim])
    return finding


def against(results: pd.DataFrame, claim: Claim) -> pd.DataFrame:
    """The same runs with everything turned round: errors mirrored, twins drawn apart, warm-ups long."""
    turned = results.copy()
    for metric in METRICS:
        turned[metric] = 100 - turned[metric].astype(float)
    apart = turned["recipe"].eq("nowarmup") | (turned["dataset"].eq("imagenet") & turned["shortcut"].eq("none"))
    if claim.id in ("C14", "C25"):
        turned.loc[apart, ["test_error", "10crop/top1_error"]] += 9
    turned["warm_until"] = 3_000
    return turned


def test_every_claim_of_the_paper_is_judged_or_said_to_be_left_out() -> None:
    ids = [claim.id for claim in CLAIMS] + [id for id, _, _ in UNDECIDED]
    assert sorted(ids) == [f"C{i:02d}" for i in range(1, 37)]


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: claim.id)
def test_each_claim_is_supported_contradicted_and_missing(claim: Claim, results: pd.DataFrame) -> None:
    supported = judge(claim, results)
    assert (supported.verdict, supported.direction) == ("supported", "agrees"), supported
    if claim.id not in COUNTED:
        contradicted = judge(claim, against(results, claim))
        assert (contradicted.verdict, contradicted.direction) == ("contradicted", "disagrees"), contradicted
        assert judge(claim, results.head(0)).verdict == "missing"
        assert supported.runs and set(supported.runs) <= set(results["run"])


@pytest.mark.parametrize("claim", [claim for claim in CLAIMS if claim.id in COUNTED], ids=lambda claim: claim.id)
def test_what_is_counted_can_be_contradicted(claim: Claim, results: pd.DataFrame) -> None:
    wrong = Evidence(results, CIFAR).complexity.copy()
    wrong.loc[wrong["shortcut"].isin(["none", "B", "C"]), ["parameters", "multiply_adds"]] *= 5
    assert judge(claim, results, complexity=wrong).verdict == "contradicted"


@pytest.mark.parametrize("claim", [c for c in CLAIMS if c.id not in (*COUNTED, "C24")], ids=lambda claim: claim.id)
def test_one_seed_shows_a_direction_only(claim: Claim, results: pd.DataFrame) -> None:
    one = judge(claim, results[results["seed"] == 0])
    assert one.verdict == "inconclusive" and math.isnan(one.p_for)


def test_a_scaled_down_recipe_gives_at_most_toy(results: pd.DataFrame) -> None:
    mini = results[results["dataset"] == "cifar10"].assign(recipe="mini")
    mini = mini[~mini["run"].str.contains("long|nowarmup")]
    findings = judge_all(Evidence(mini, Comparison("cifar10", "mini")))
    assert {finding.verdict for _, finding in findings} == {"toy"}
    assert {claim.id for claim, _ in findings} == {claim.id for claim in CLAIMS if claim.in_miniature}
    empty = judge_all(Evidence(mini.head(0), Comparison("cifar10", "mini")))
    assert {finding.verdict for _, finding in empty} == {"missing"}


@pytest.mark.parametrize(("id", "metric"), [("C21", "test_error"), ("C22", "train_error"), ("C31", "response")])
def test_a_scaled_down_group_is_judged_at_110_layers_where_it_has_them(
    id: str, metric: str, results: pd.DataFrame
) -> None:
    claim = next(claim for claim in CLAIMS if claim.id == id)
    mini = results[results["dataset"] == "cifar10"].assign(recipe="mini")
    high, without = mini.copy(), mini[mini["depth"] < 110]
    high.loc[high["depth"] == 110, metric] = 99.0
    shown = [claim.judge(Evidence(runs, Comparison("cifar10", "mini"))) for runs in (mini, high, without)]
    assert [finding.direction for finding in shown] == ["agrees", "disagrees", "agrees"]
    assert ["ResNet-110" in finding.sentence for finding in shown] == [True, True, False]
    assert (shown[1].effect < 0) == (metric != "train_error")  # the effect shown is one that disagrees


def test_a_residual_rise_within_the_margin_is_none(results: pd.DataFrame) -> None:
    c22, close = next(claim for claim in CLAIMS if claim.id == "C22"), results.copy()
    close.loc[close["depth"] == 110, "train_error"] = 0.65 + RISE_MARGIN / 2
    assert judge(c22, close).verdict == "supported"
    close.loc[close["depth"] == 110, "train_error"] = 0.65 + 2 * RISE_MARGIN
    assert judge(c22, close).verdict == "contradicted"


def test_the_permutation_test_is_exact() -> None:
    """Five against five fully apart: one split of 252 is as extreme."""
    found = stats.greater([6, 7, 8, 9, 10], [1, 2, 3, 4, 5])
    assert found.effect == 5 and found.p_for == pytest.approx(1 / 252) and found.p_against == pytest.approx(1)
    assert found.low < 5 < found.high
    assert math.isnan(stats.greater([1], [2, 3]).p_for) and stats.greater([1, 1], [1, 1]).high == 0
    assert stats.mean_std([1, 3]) == (2, pytest.approx(math.sqrt(2))) and math.isnan(stats.mean_std([1])[1])


def test_holm_by_hand() -> None:
    assert stats.holm([0.01, 0.04, math.nan, 0.03]) == pytest.approx([0.03, 0.06, math.nan, 0.06], nan_ok=True)
    assert stats.holm([0.6, 0.9]) == [1.0, 1.0]


def test_each_claim_gets_its_own_adjusted_chance(results: pd.DataFrame) -> None:
    """Holm's steps by hand over the claims of a data set: the m-th smallest of n times n - m, never falling."""
    findings = [finding for _, finding in judge_all(Evidence(results, CIFAR))]
    for chance, adjusted in (("p_for", "p_holm"), ("p_against", "against_holm")):
        tested = [finding for finding in findings if not math.isnan(getattr(finding, chance))]
        in_order = sorted(tested, key=lambda finding: float(getattr(finding, chance)))
        assert len(tested) > 5 and tested != in_order, "so that a mix-up would show"
        worst = 0.0
        for rank, finding in enumerate(in_order):
            worst = max(worst, min(1.0, getattr(finding, chance) * (len(tested) - rank)))
            assert getattr(finding, adjusted) == pytest.approx(worst)


def test_a_prediction_interval_holds_one_more_run_as_often_as_it_says() -> None:
    rng = np.random.default_rng(1)
    runs = rng.normal(size=(2_000, 6))
    inside = [low <= run[5] <= high for run in runs for low, high in [stats.prediction_interval(list(run[:5]))]]
    assert np.mean(inside) == pytest.approx(0.95, abs=0.015)


RNG = np.random.default_rng(0)
TESTS = {  # each under the hardest case in which the statement is false
    "greater": lambda: stats.greater(RNG.normal(size=5), RNG.normal(size=5)),
    "not_greater": lambda: stats.not_greater(RNG.normal(0.5, 0.2, 5), RNG.normal(0, 0.2, 5), 0.5),
    "equal": lambda: stats.equal(RNG.normal(0.5, 0.2, 5), RNG.normal(0, 0.2, 5), 0.5),
    "beyond": lambda: stats.beyond(RNG.normal(60, 1, 5), 60, "greater"),
}
TIMES = 600


@pytest.mark.parametrize("name", TESTS)
def test_false_alarms_are_as_rare_as_stated(name: str) -> None:
    """By simulation, to three standard errors above 5 %."""
    alarms = np.mean([TESTS[name]().p_for < stats.ALPHA for _ in range(TIMES)])
    assert alarms <= stats.ALPHA + 3 * math.sqrt(0.05 * 0.95 / TIMES)


def test_a_family_raises_a_false_alarm_as_rarely_as_one_test() -> None:
    families = [stats.holm([TESTS["beyond"]().p_for for _ in range(10)]) for _ in range(TIMES)]
    alarms = np.mean([min(family) < stats.ALPHA for family in families])
    assert alarms <= stats.ALPHA + 3 * math.sqrt(0.05 * 0.95 / TIMES)


def test_the_fixture_covers_both_data_sets(results: pd.DataFrame) -> None:
    assert len(CIFAR.of(results)) == 55 and len(IMAGENET.of(results)) == 55
