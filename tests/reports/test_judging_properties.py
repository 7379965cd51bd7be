"""What holds of any runs: a verdict rests on its own networks, mirrored data give mirrored verdicts, and so on."""

from __future__ import annotations

import math
from dataclasses import replace

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reports.gathering import snapshot
from reports.judging.claim import Claim, Finding
from reports.judging.claims import CLAIMS, judge_all
from reports.judging.comparison import CIFAR
from reports.judging.evidence import METRICS, Evidence
from reports.judging.plan import plan
from tests.support import SNAPSHOT

WHOLE = snapshot.read(SNAPSHOT)
BY_ID = {claim.id: claim for claim in CLAIMS}
TRENDS = ("C01", "C02", "C21", "C22b", "C23b", "C31")
ORDERS = (*TRENDS, "C06", "C23", "C30")  # claims of signs alone, on CIFAR-10 under the paper's recipe
RUNS = CIFAR.of(WHOLE.results)
ANY_CLAIM = st.sampled_from(CLAIMS)
MIRRORED = {"supported": "contradicted", "contradicted": "supported"}


def judge(claim: Claim, results: pd.DataFrame) -> Finding:
    evidence = replace(Evidence.of(WHOLE, claim.comparison), results=results)
    ((_, finding),) = judge_all(evidence, among=[claim])
    return finding


def is_named(claim: Claim, runs: pd.DataFrame) -> pd.Series:
    """Whether the plan names the network of a run for the claim."""
    nets = {(net.depth, net.shortcut, net.recipe or "paper") for net in claim.planned.nets}
    cells = zip(runs["depth"], runs["shortcut"], runs["recipe"], strict=True)
    named = pd.Series([cell in nets for cell in cells], index=runs.index)
    return named & runs["dataset"].eq(claim.planned.dataset)


def same(one: Finding, other: Finding) -> bool:
    """Alike to the last bit, but for the corrections and for what is undefined."""
    chances = [(one.p_for, other.p_for), (one.p_against, other.p_against), (one.effect, other.effect)]
    words = (one.verdict, one.direction, one.n, one.runs, one.sentence) == (
        other.verdict,
        other.direction,
        other.n,
        other.runs,
        other.sentence,
    )
    return words and all(a == b or (math.isnan(a) and math.isnan(b)) for a, b in chances)


@settings(max_examples=60, deadline=None)
@given(ANY_CLAIM, st.integers(0, 2**32 - 1), st.floats(0, 1))
def test_a_verdict_does_not_depend_on_networks_that_the_claim_does_not_name(
    claim: Claim, seed: int, share: float
) -> None:
    unnamed = WHOLE.results[~is_named(claim, WHOLE.results)]
    dropped = unnamed.sample(frac=share, random_state=seed).index
    assert same(judge(claim, WHOLE.results), judge(claim, WHOLE.results.drop(dropped)))


@settings(max_examples=60, deadline=None)
@given(ANY_CLAIM, st.integers(0, 2**32 - 1))
def test_a_verdict_does_not_depend_on_the_order_of_the_runs(claim: Claim, seed: int) -> None:
    assert same(judge(claim, WHOLE.results), judge(claim, WHOLE.results.sample(frac=1, random_state=seed)))


def drawn(claim: Claim, data: st.DataObject, seeds: int) -> pd.DataFrame:
    """Runs of the claim's networks with any errors, far from 0 and 100; near each other, so that verdicts differ."""
    runs = RUNS[is_named(claim, RUNS) & RUNS["seed"].lt(seeds)].copy()
    level = dict(zip(claim.planned.nets, data.draw(st.permutations(range(len(claim.planned.nets)))), strict=True))
    step = data.draw(st.sampled_from([-1.0, 0.0, 0.3, 1.0]))
    in_order = data.draw(st.booleans())
    for metric in set(claim.planned.metrics):
        noise = data.draw(st.lists(st.integers(-20, 20), min_size=len(runs), max_size=len(runs)))
        base = []
        for depth, shortcut in zip(runs["depth"], runs["shortcut"], strict=True):
            rank = next(i for i, net in enumerate(claim.planned.nets) if (net.depth, net.shortcut) == (depth, shortcut))
            base.append(50 + step * (rank if in_order else level[claim.planned.nets[rank]]))
        runs[metric] = [mean + deviation / 100 for mean, deviation in zip(base, noise, strict=True)]
    return runs


def mirrored(runs: pd.DataFrame) -> pd.DataFrame:
    turned = runs.copy()
    for metric in METRICS:
        turned[metric] = 100 - turned[metric].astype(float)
    return turned


@pytest.mark.parametrize("id", TRENDS)
@settings(max_examples=25, deadline=None)
@given(st.data(), st.integers(2, 5))
def test_mirrored_data_give_the_mirrored_verdict(id: str, data: st.DataObject, seeds: int) -> None:
    runs = drawn(BY_ID[id], data, seeds)
    one, other = judge(BY_ID[id], runs), judge(BY_ID[id], mirrored(runs))
    assert other.verdict == MIRRORED.get(one.verdict, one.verdict)
    assert (one.p_for, one.p_against) == pytest.approx((other.p_against, other.p_for))


@pytest.mark.parametrize("id", ORDERS)
@settings(max_examples=25, deadline=None)
@given(st.data(), st.integers(2, 5))
def test_what_supports_an_order_contradicts_it_when_mirrored(id: str, data: st.DataObject, seeds: int) -> None:
    """Of several statements one that fails contradicts all, so that here the reverse need not hold."""
    runs = drawn(BY_ID[id], data, seeds)
    one, other = judge(BY_ID[id], runs), judge(BY_ID[id], mirrored(runs))
    assert one.verdict != "supported" or other.verdict == "contradicted"
    assert not (one.verdict == other.verdict == "supported")


@pytest.mark.parametrize("id", ORDERS)
@settings(max_examples=25, deadline=None)
@given(st.data(), st.integers(2, 4), st.integers(0, 20))
def test_a_seed_at_the_mean_never_turns_supported_into_contradicted(
    id: str, data: st.DataObject, seeds: int, which: int
) -> None:
    claim = BY_ID[id]
    runs = drawn(claim, data, seeds)
    net = claim.planned.nets[which % len(claim.planned.nets)]
    mine = runs[runs["depth"].eq(net.depth) & runs["shortcut"].eq(net.shortcut)]
    means = mine[list(METRICS)].astype(float).mean()
    more = mine.head(1).assign(seed=seeds, run=f"{mine['run'].iloc[0]}0", **means.to_dict())
    before, after = judge(claim, runs), judge(claim, pd.concat([runs, more]))
    assert (before.verdict, after.verdict) != ("supported", "contradicted")


def test_the_draws_reach_every_verdict() -> None:
    """The synthetic runs and their mirror: so that the properties above are not empty."""
    for id in ORDERS:
        assert judge(BY_ID[id], WHOLE.results).verdict == "supported"
        assert judge(BY_ID[id], mirrored(WHOLE.results)).verdict == "contradicted"
    assert plan().claims["C21"].alpha == 0.01
