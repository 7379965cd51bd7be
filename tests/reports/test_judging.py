"""Each claim on synthetic runs near the paper's numbers: supported, contradicted, missing, and its failures."""

from __future__ import annotations

import math
from dataclasses import replace

import pandas as pd
import pytest

from reports.gathering import snapshot
from reports.gathering.snapshot import Snapshot
from reports.judging.claim import Claim, Finding
from reports.judging.claims import CLAIMS, UNDECIDED, judge_all
from reports.judging.comparison import CIFAR, IMAGENET, Comparison
from reports.judging.evidence import METRICS, Evidence
from reports.judging.plan import plan
from tests.support import SNAPSHOT

BY_ID = {claim.id: claim for claim in CLAIMS}
COUNTED = ("C19", "C32", "C34")
ELSEWHERE = ("C07", "C20b", "C24b", "C35")  # the synthetic runs have no probes, ensembles, early or slow evaluations
JUDGED = [claim for claim in CLAIMS if claim.id not in ELSEWHERE]


@pytest.fixture(scope="module")
def whole() -> Snapshot:
    """Five seeds of every cell, near the paper's numbers."""
    return snapshot.read(SNAPSHOT)


@pytest.fixture(scope="module")
def results(whole: Snapshot) -> pd.DataFrame:
    return whole.results


def judge(id: str, frame: pd.DataFrame, **more: pd.DataFrame) -> Finding:
    claim = BY_ID[id]
    ((_, finding),) = judge_all(Evidence(frame, claim.comparison, **more), among=[claim])
    return finding


def against(results: pd.DataFrame, claim: Claim) -> pd.DataFrame:
    """The same runs with everything turned round: errors mirrored, twins drawn apart, warm-ups long."""
    turned = results.copy()
    for metric in METRICS:
        turned[metric] = 100 - turned[metric].astype(float)
    apart = turned["recipe"].eq("nowarmup") | turned["dataset"].eq("imagenet") & turned["shortcut"].isin(["none", "C"])
    if claim.id in ("C14", "C17", "C25"):
        turned.loc[apart, ["test_error", "10crop/top1_error"]] += 9
    turned["warm_until"] = 3_000
    return turned


def test_every_claim_of_the_paper_is_judged_or_said_to_be_left_out() -> None:
    ids = [claim.id for claim in CLAIMS] + [id for id, _, _ in UNDECIDED]
    assert sorted({id[:3] for id in ids}) == [f"C{i:02d}" for i in range(1, 37)] and len(ids) == len(set(ids))
    assert {id[:3] for id in ids if len(id) > 3} <= set(ids), "a second half has a first"


@pytest.mark.parametrize("claim", JUDGED, ids=lambda claim: claim.id)
def test_each_claim_is_supported_contradicted_and_missing(claim: Claim, whole: Snapshot) -> None:
    results, history = whole.results, whole.history
    supported = judge(claim.id, results, history=history)
    assert (supported.verdict, supported.direction, supported.interim) == ("supported", "agrees", False), supported
    if claim.id not in COUNTED:
        contradicted = judge(claim.id, against(results, claim), history=history)
        assert (contradicted.verdict, contradicted.direction) == ("contradicted", "disagrees"), contradicted
        assert judge(claim.id, results.head(0)).verdict == "missing"
        assert supported.runs and set(supported.runs) <= set(results["run"])


@pytest.mark.parametrize("id", COUNTED)
def test_what_is_counted_can_be_contradicted(id: str, results: pd.DataFrame) -> None:
    wrong = Evidence(results, CIFAR).complexity.copy()
    wrong.loc[wrong["shortcut"].isin(["none", "B", "C"]), ["parameters", "multiply_adds"]] *= 5
    assert judge(id, results, complexity=wrong).verdict == "contradicted"


def test_parameters_that_agree_must_also_be_as_printed(results: pd.DataFrame) -> None:
    wrong = Evidence(results, CIFAR).complexity.copy()
    wrong.loc[(wrong["dataset"] == "cifar10") & (wrong["depth"] == "44"), "parameters"] = 700_000
    assert judge("C32", results, complexity=wrong).verdict == "contradicted"


@pytest.mark.parametrize("claim", [c for c in JUDGED if c.id not in COUNTED], ids=lambda claim: claim.id)
def test_one_seed_supports_and_contradicts_nothing(claim: Claim, whole: Snapshot) -> None:
    one = whole.results[whole.results["seed"] == 0]
    for runs in (one, against(one, claim)):
        finding = judge(claim.id, runs, history=whole.history)
        assert finding.verdict == "inconclusive" and finding.interim and math.isnan(finding.p_for), finding


def test_before_the_planned_seeds_a_verdict_is_interim(results: pd.DataFrame) -> None:
    seeds = plan().claims["C21"].seeds
    found = [judge("C21", results[results["seed"] < n]) for n in (2, seeds - 1, seeds)]
    assert [(finding.verdict, finding.interim) for finding in found] == [
        ("supported", True),
        ("supported", True),
        ("supported", False),
    ]


def in_miniature(family: str) -> set[str]:
    """The claims that a scaled-down comparison of networks of a family may show."""
    return {claim.id for claim in CLAIMS if claim.in_miniature and claim.comparison.family == family}


def test_claims_on_imagenet_are_judged_in_miniature_on_tiny_imagenet(results: pd.DataFrame) -> None:
    """Its parts apart: runs on a hundred classes are no seeds of those on two hundred."""
    runs = results[results["dataset"] == "imagenet"].assign(dataset="tinyimagenet", recipe="afternoon")
    half = runs.assign(extent="100 of 200 classes", **{"10crop/top1_error": 100 - runs["10crop/top1_error"]})
    both = pd.concat([runs.assign(extent=None), half])
    whole, part = Comparison.among(both)[::-1]
    assert (whole.extent, part.extent, part.slug) == (
        "",
        "100 of 200 classes",
        "tinyimagenet-afternoon-100-of-200-classes",
    )
    assert part.title == "Tiny ImageNet (100 of 200 classes), scaled down (afternoon)"
    wanted = {"C04", "C05", "C11", "C12", "C13", "C14", "C15", "C16", "C17", "C17b", "C18"}
    for comparison, direction in ((whole, "agrees"), (part, "disagrees")):
        findings = {claim.id: finding for claim, finding in judge_all(Evidence(both, comparison))}
        assert set(findings) == in_miniature("imagenet") == wanted
        assert (findings["C04"].verdict, findings["C04"].direction) == ("toy", direction)
        assert findings["C04"].n == (5, 5)
    assert not judge_all(Evidence(runs.assign(recipe="smoke"), Comparison("tinyimagenet", "smoke")))


def test_a_scaled_down_recipe_gives_at_most_toy(results: pd.DataFrame) -> None:
    mini = results[results["dataset"] == "cifar10"].assign(recipe="mini")
    mini = mini[~mini["run"].str.contains("long|warmup")]
    findings = judge_all(Evidence(mini, Comparison("cifar10", "mini")))
    assert {finding.verdict for claim, finding in findings if claim.id not in ELSEWHERE} == {"toy"}
    assert {claim.id for claim, _ in findings} == in_miniature("cifar")
    empty = judge_all(Evidence(mini.head(0), Comparison("cifar10", "mini")))
    assert {finding.verdict for _, finding in empty} == {"missing"}


@pytest.mark.parametrize(("id", "metric"), [("C21", "test_error"), ("C22", "train_error"), ("C31", "response")])
def test_a_scaled_down_group_is_judged_at_110_layers_where_it_has_them(
    id: str, metric: str, results: pd.DataFrame
) -> None:
    claim = BY_ID[id]
    mini = results[results["dataset"] == "cifar10"].assign(recipe="mini")
    high, without = mini.copy(), mini[mini["depth"] < 110]
    high.loc[high["depth"] == 110, metric] = 99.0
    shown = [claim.judge(Evidence(runs, Comparison("cifar10", "mini"))) for runs in (mini, high, without)]
    assert [finding.direction for finding in shown] == ["agrees", "disagrees", "agrees"]
    assert ["ResNet-110" in finding.sentence for finding in shown] == [True, True, False]
    assert (shown[1].effect < 0) == (metric != "train_error")  # the effect shown is one that disagrees


def test_a_trend_within_its_standard_error_is_flat(results: pd.DataFrame) -> None:
    """One seed a depth, the errors of digits' residual nets: up by less than they scatter about a line."""
    one = results[(results["seed"] == 0) & (results["dataset"] == "cifar10") & (results["recipe"] == "paper")]
    for errors, direction in (((2.0, 2.3, 1.9, 2.2, 2.1), "flat"), ((2.0, 2.1, 2.2, 2.3, 2.4), "disagrees")):
        runs = one.copy()
        for depth, error in zip((20, 32, 44, 56, 110), errors, strict=True):
            runs.loc[(runs["depth"] == depth) & (runs["shortcut"] == "A"), "test_error"] = error
        assert judge("C21", runs).direction == direction


def test_a_residual_rise_within_the_margin_is_none(results: pd.DataFrame) -> None:
    margin, close = plan().claims["C22"].margin, results.copy()
    is_110 = close["depth"].eq(110) & close["shortcut"].eq("A") & close["recipe"].eq("paper")
    close.loc[is_110, "train_error"] = 0.10 + margin / 4
    assert judge("C22", close).verdict == "supported"
    close.loc[is_110, "train_error"] = 0.10 + 3 * margin
    assert judge("C22", close).verdict == "contradicted"


@pytest.mark.parametrize("errors", [(0.65, 0.28, 0.40, 0.60, 0.80), (0.06, 0.10, 0.14, 0.18, 0.22)])
def test_degradation_of_residual_nets_is_not_supported(errors: tuple[float, ...], results: pd.DataFrame) -> None:
    """Each depth is held against the best shallower one; rises that add up are caught by the trend."""
    runs = results.copy()
    for depth, error in zip((20, 32, 44, 56, 110), errors, strict=True):
        mine = runs["depth"].eq(depth) & runs["shortcut"].eq("A") & runs["recipe"].eq("paper")
        runs.loc[mine, "train_error"] = error + 0.001 * runs.loc[mine, "seed"]
    assert judge("C22", runs).verdict == "contradicted" and judge("C22b", runs).verdict == "contradicted"


def test_corrections_are_shown_and_decide_nothing(whole: Snapshot) -> None:
    """Holm's steps by hand over the claims of a data set; the verdicts are those of each claim alone."""
    found = judge_all(Evidence.of(whole, CIFAR))
    tested = sorted((f for _, f in found if not math.isnan(f.p_for)), key=lambda f: f.p_for)
    assert len(tested) > 5
    worst = 0.0
    for rank, finding in enumerate(tested):
        worst = max(worst, min(1.0, finding.p_for * (len(tested) - rank)))
        assert finding.p_holm == pytest.approx(worst) and finding.p_for <= finding.p_bh <= finding.p_holm + 1e-12
    for claim, finding in found:
        ((_, alone),) = judge_all(Evidence.of(whole, CIFAR), among=[claim])
        assert (alone.verdict, alone.p_for) == (finding.verdict, finding.p_for) or math.isnan(alone.p_for)


def reversed_depths(runs: pd.DataFrame) -> pd.DataFrame:
    """Residual nets under the paper's recipe with their errors in the opposite order of depths."""
    turned, mine = runs.copy(), runs["shortcut"].eq("A") & runs["recipe"].eq("paper") & runs["dataset"].eq("cifar10")
    for one, other in ((20, 110), (32, 56)):
        first, second = (runs[mine & runs["depth"].eq(depth)].sort_values("seed") for depth in (one, other))
        turned.loc[first.index, "test_error"] = second["test_error"].to_numpy()
        turned.loc[second.index, "test_error"] = first["test_error"].to_numpy()
    return turned


def test_a_reversed_c21_with_five_seeds_is_contradicted(results: pd.DataFrame) -> None:
    finding = judge("C21", reversed_depths(results))
    assert (finding.verdict, finding.direction, finding.n) == ("contradicted", "disagrees", (5, 5, 5, 5, 5))
    assert finding.p_against == pytest.approx(judge("C21", results).p_for, abs=1e-6)


def diverged(whole: Snapshot, depth: int, shortcut: str, recipe: str, seeds: range) -> Snapshot:
    """The snapshot, with some runs of a network diverged."""
    runs = whole.runs.copy()
    mine = runs["dataset"].eq("cifar10") & runs["depth"].eq(depth) & runs["shortcut"].eq(shortcut)
    lost = mine & runs["recipe"].eq(recipe) & runs["seed"].isin(seeds)
    runs.loc[lost, "counts"] = False
    runs.loc[lost, "reason"] = "diverged: its loss is not a number at step 5,000"
    return replace(whole, runs=runs)


def on(whole: Snapshot, id: str) -> Finding:
    ((_, finding),) = judge_all(Evidence.of(whole, BY_ID[id].comparison), among=[BY_ID[id]])
    return finding


def test_five_diverged_plain_110_support_that_it_does_not_train(whole: Snapshot) -> None:
    finding = on(diverged(whole, 110, "none", "paper", range(5)), "C03")
    assert (finding.verdict, finding.n, finding.failed) == ("supported", (5,), 5)


def test_a_plain_110_that_trains_to_20_and_tests_at_71_does_not_support_it(results: pd.DataFrame) -> None:
    runs = results.copy()
    runs.loc[runs["depth"].eq(110) & runs["shortcut"].eq("none"), "train_error"] = 20.0
    assert judge("C03", runs).verdict == "contradicted"


def test_two_of_five_failed_runs_without_warm_up_do_not_support_that_it_ends_alike(whole: Snapshot) -> None:
    finding = on(diverged(whole, 110, "A", "nowarmup", range(2)), "C25")
    assert finding.verdict != "supported" and finding.failed == 2 and finding.n == (5, 5)
    assert "2 of 5 failed" in finding.sentence


def test_a_diverged_1202_does_not_support_that_it_trains(whole: Snapshot) -> None:
    assert on(diverged(whole, 1202, "A", "paper", range(1)), "C28").verdict != "supported"


def test_a_run_that_never_left_its_warm_up_failed(whole: Snapshot) -> None:
    runs = whole.runs.copy()
    mine = runs["depth"].eq(110) & runs["shortcut"].eq("A") & runs["recipe"].eq("paper")
    runs.loc[mine & runs["seed"].eq(3), "warm_until"] = None
    stuck = replace(whole, runs=runs)
    assert on(stuck, "C24").verdict == "inconclusive" and "1 of 5 never left it" in on(stuck, "C24").sentence
    assert on(stuck, "C25").verdict != "supported"
    runs.loc[mine, "warm_until"] = None
    assert on(replace(whole, runs=runs), "C24").verdict == "contradicted"


def test_two_warm_ups_decide_nothing(results: pd.DataFrame) -> None:
    assert judge("C24", results[results["seed"] < 2]).verdict == "inconclusive"


@pytest.mark.parametrize(
    ("errors", "verdict"),
    [((89.0, 50.0), "contradicted"), ((95.0, 91.0, 60.0), "supported"), ((95.0, 80.0), "inconclusive")],
)
def test_a_slow_start_is_read_off_the_first_evaluations(
    errors: tuple[float, ...], verdict: str, results: pd.DataFrame
) -> None:
    """Evaluations every 300 steps; an epoch has 391. Between 300 and 600 steps nothing is known."""
    runs = results.loc[results["recipe"].eq("nowarmup") & results["shortcut"].eq("A"), "run"]
    rows = [
        {"run": run, "step": 300 * i, "train/top1_error": error}
        for run in runs
        for i, error in enumerate(errors, start=1)
    ]
    assert judge("C24b", results, history=pd.DataFrame(rows)).verdict == verdict


def test_throughout_means_most_evaluations_and_every_learning_rate(whole: Snapshot) -> None:
    """Plain-34 worse at a quarter of the evaluations, though worse in the mean and at the end, is not "throughout"."""
    history, is_34 = whole.history.copy(), whole.history["run"].str.startswith("imagenet-34-none")
    dips = is_34 & (history.groupby("run").cumcount() % 4 != 0)
    history.loc[dips, "train/top1_error"] -= 20
    assert judge("C05", whole.results, history=history).verdict == "contradicted"
    assert judge("C05", whole.results, history=whole.history).verdict == "supported"


@pytest.mark.parametrize(("times", "verdict"), [(2.0, "supported"), (2000.0, "contradicted")])
def test_gradients_are_healthy_where_plain_layers_differ_as_little_as_residual_ones(
    times: float, verdict: str, results: pd.DataFrame
) -> None:
    named = results[results["recipe"].eq("paper") & results["depth"].isin([20, 56])]
    rows = [
        {"run": run["run"], "moment": moment, "layer": layer, "gradient": gradient}
        for run in named.to_dict("records")
        for moment in ("start", "one step", "now")
        for layer, gradient in ((1, 1.0), (2, 3.0 * (times if run["shortcut"] == "none" else 1.0)))
    ]
    finding = judge("C07", results, signals=pd.DataFrame(rows))
    assert finding.verdict == verdict and finding.effect == pytest.approx(times)


@pytest.mark.parametrize(
    ("plain", "residual", "verdict"),
    [
        ((5, 20), (4, 4), "supported"),
        ((5, 10), (4, 4), "contradicted"),
        ((5, 20), (4, 9), "contradicted"),
        ((5, None), (4, 4), "supported"),
        ((None, None), (4, 4), "contradicted"),
        ((5, 20), (4, None), "contradicted"),
    ],
)
def test_convergence_is_slow_where_plain_nets_take_twice_the_steps_and_residual_ones_do_not(
    plain: tuple[int | None, int | None], residual: tuple[int | None, int | None], verdict: str, results: pd.DataFrame
) -> None:
    """Evaluations every 1,000 steps; the training error is below 20 % from so many evaluations on, or never."""
    begin = dict(zip([(20, "none"), (56, "none"), (20, "A"), (56, "A")], plain + residual, strict=True))
    named = results[results["recipe"].eq("paper") & results["depth"].isin([20, 56])]
    rows = [
        {"run": run["run"], "step": 1000 * i, "train/top1_error": 10.0 if first and i >= first else 20.0}
        for run in named.to_dict("records")
        for i in range(1, 30)
        for first in [begin[run["depth"], run["shortcut"]]]
    ]
    finding = judge("C35", results, history=pd.DataFrame(rows))
    assert finding.verdict == verdict and finding.theirs == 5.0
    assert judge("C35", results[results["seed"] == 0], history=pd.DataFrame(rows)).verdict == "inconclusive"
    assert judge("C35", results[results["depth"] != 56], history=pd.DataFrame(rows)).missing


def test_no_ensemble_is_recorded_yet(results: pd.DataFrame) -> None:
    assert judge("C20b", results).verdict == "missing"


def test_effects_stand_beside_the_papers_own(whole: Snapshot) -> None:
    """The synthetic runs lie near the paper's numbers, and so do their effects."""
    for comparison in (CIFAR, IMAGENET):
        for claim, finding in judge_all(Evidence.of(whole, comparison)):
            if not math.isnan(finding.theirs) and claim.id not in ELSEWHERE:
                assert finding.effect == pytest.approx(finding.theirs, abs=0.2), claim.id
    assert judge("C21", whole.results).theirs == pytest.approx(8.75 - 6.61)


def test_the_fixture_covers_both_data_sets(results: pd.DataFrame) -> None:
    assert len(CIFAR.of(results)) == 55 and len(IMAGENET.of(results)) == 55


@pytest.mark.parametrize(
    ("dataset", "recipe", "title"),
    [
        ("cifar10", "paper", "CIFAR-10, the paper's recipe"),
        ("cifar10", "eighth", "CIFAR-10, scaled down (eighth)"),
        ("cifar10", "nowarmup", "CIFAR-10, variant nowarmup"),
        ("digits", "mini", "digits, scaled down (mini)"),
        ("imagenet", "paper", "ImageNet, the paper's recipe"),
    ],
)
def test_a_comparison_is_named_for_readers(dataset: str, recipe: str, title: str) -> None:
    assert Comparison(dataset, recipe).title == title
