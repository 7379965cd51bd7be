"""Runs that were not computed alike: a claim says so, and its verdict goes no further than the plan allows."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd
import pytest

from reports.gathering import snapshot
from reports.judging.claim import Finding
from reports.judging.claims import CLAIMS, judge_all
from reports.judging.comparison import CIFAR
from reports.judging.evidence import Evidence
from tests.support import SNAPSHOT

WHOLE = snapshot.read(SNAPSHOT)


def judge(id: str, results: pd.DataFrame) -> Finding:
    claim = next(claim for claim in CLAIMS if claim.id == id)
    ((_, finding),) = judge_all(replace(Evidence.of(WHOLE, CIFAR), results=results), among=[claim])
    return finding


def mixed(column: str, value: object, depth: int, seeds: range, shortcut: str = "A") -> pd.DataFrame:
    """The synthetic results, with a value of their own in some seeds of one network."""
    runs = WHOLE.results.astype({column: object})
    mine = runs["depth"].eq(depth) & runs["shortcut"].eq(shortcut) & runs["seed"].isin(seeds)
    runs[column] = runs[column].mask(runs[column].isna(), "plain")
    runs.loc[mine, column] = value
    return runs


def test_runs_computed_alike_are_not_capped() -> None:
    finding = judge("C21", WHOLE.results)
    assert (finding.verdict, finding.interim, finding.cap) == ("supported", False, "")
    assert "differ in" not in finding.sentence


@pytest.mark.parametrize(
    ("column", "value", "seeds", "verdict", "says"),
    [
        ("precision", "bf16", range(5), "inconclusive", "precision: 32 (ResNet-20, "),
        ("per_device_batch", 64, range(5), "inconclusive", "images per batch norm: 128 (ResNet-20, "),
        ("data_fingerprint", "f" * 64, range(5), "inconclusive", "images: 0 (ResNet-20, "),
        ("precision", "bf16", range(1), "supported", "bf16 (ResNet-110)."),
        ("step_path", "graph", range(5), "supported", "step path: graph (ResNet-110), plain (ResNet-20, "),
    ],
)
def test_a_difference_between_networks_is_said_and_caps_the_verdict(
    column: str, value: object, seeds: range, verdict: str, says: str
) -> None:
    """All seeds of ResNet-110 are told apart from the others, or one of them is."""
    finding = judge("C21", mixed(column, value, 110, seeds))
    assert finding.verdict == verdict and finding.interim and says in finding.sentence
    assert finding.p_for == judge("C21", WHOLE.results).p_for, "the chances stay as they are"


def test_a_mix_within_one_network_is_interim() -> None:
    finding = judge("C26", mixed("precision", "bf16", 110, range(2)))
    assert finding.cap == "interim" and "precision: 32 (ResNet-110), bf16 (ResNet-110)." in finding.sentence


def test_another_recipe_of_the_same_network_is_a_network_of_its_own() -> None:
    runs = WHOLE.results.copy()
    runs.loc[runs["recipe"].eq("nowarmup"), "precision"] = "bf16"
    finding = judge("C25", runs)
    assert finding.verdict == "inconclusive" and "bf16 (ResNet-110 (nowarmup))" in finding.sentence


def test_networks_that_a_claim_does_not_name_do_not_cap_it() -> None:
    assert judge("C21", mixed("precision", "bf16", 20, range(5), shortcut="none")).cap == ""
    assert judge("C23", mixed("precision", "bf16", 20, range(5), shortcut="none")).verdict == "inconclusive"


def test_tf32_is_a_precision_whichever_way_it_was_recorded() -> None:
    """Until it had a name of its own it was recorded as 32, with a column of its own."""
    runs = WHOLE.results.astype({"tf32": object})
    is_110 = runs["depth"].eq(110)
    runs["tf32"] = is_110
    assert judge("C21", runs).verdict == "inconclusive" and "tf32 (ResNet-110)" in judge("C21", runs).sentence
    named = runs.assign(precision=runs["precision"].mask(~is_110, "tf32"))
    assert judge("C21", named).cap == ""


def test_what_is_not_known_is_no_difference() -> None:
    runs = WHOLE.results.copy()
    runs.loc[runs["depth"].eq(110), "precision"] = None
    assert judge("C21", runs).cap == ""


def test_a_diverged_run_is_among_the_runs_that_differ() -> None:
    runs = WHOLE.runs.copy()
    one = runs["run"].eq("cifar10-110-none-paper-s0")
    runs.loc[one, ["counts", "reason", "precision"]] = False, "diverged: its loss is not a number at step 5,000", "bf16"
    claim = next(claim for claim in CLAIMS if claim.id == "C03")
    ((_, finding),) = judge_all(Evidence.of(replace(WHOLE, runs=runs), CIFAR), among=[claim])
    assert finding.cap == "interim" and finding.failed == 1 and "bf16 (plain-110)" in finding.sentence
