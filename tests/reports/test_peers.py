"""Public re-runs: the figures of an earlier audit are computed again from peers.csv, and fill the report's column."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from scipy import stats

from reports.gathering.gather import gather
from reports.judging.claims import CLAIMS
from reports.judging.comparison import CIFAR, IMAGENET
from reports.judging.evidence import Evidence
from reports.judging.paired import Effect, Peers, above, page_trend, paired, peers_of, rises, within
from reports.judging.peers import BY_CLAIM, PLAIN, RESIDUAL, PublicReruns, public_reruns
from reports.page.render import texts
from reports.page.sections import report
from reports.paper import numbers as paper
from reports.paper.numbers import Rerun, reruns
from reports.tables.sources import peer_table
from reports.tables.table import Link

OF_2026 = ("AmroAbujabal/resnet-cifar-repro", "hhhhuangggg/resnet-cifar10-reproducti")  # found after the audit


def audited(claim: str) -> PublicReruns:
    """What the re-runs say that the audit knew."""
    found = public_reruns(claim, [rerun for rerun in reruns() if rerun.source not in OF_2026])
    assert found is not None
    return found


def shown(effect: Effect | None) -> tuple[float, float, float]:
    assert effect is not None
    return round(effect.value, 2), round(effect.low, 2), round(effect.high, 2)


def test_c21_every_adjacent_step_of_every_source_falls() -> None:
    found = audited("C21")
    assert found.agreeing == (24, 24) and found.outcome == "for"
    assert shown(found.effect) == (1.93, 1.51, 2.35)
    assert found.trend_p == pytest.approx(5e-9, rel=0.05)
    steps = {step.label.split(": ")[1]: step for step in found.steps}
    assert [(step.sources, round(step.value, 2)) for step in steps.values()] == [
        (5, 0.27),
        (6, 0.34),
        (6, 0.39),
        (7, 0.74),
    ]
    assert shown(steps["ResNet-44 - ResNet-56"]) == (0.34, -0.02, 0.71)


def test_c21_is_the_same_with_the_sources_of_2026_which_have_no_adjacent_depths() -> None:
    assert public_reruns("C21") == audited("C21")


def test_c21b_no_step_goes_back_by_the_plans_margin() -> None:
    found = audited("C21b")
    assert (found.outcome, found.agreeing) == ("for", (24, 24)) and shown(found.effect) == (0.34, -0.02, 0.71)
    turned = [replace(r, test_errors=tuple(15 - error for error in r.test_errors)) for r in reruns()]
    reversed_ = public_reruns("C21b", turned)
    assert reversed_ is not None and (reversed_.outcome, reversed_.agreeing) == ("against", (0, 24))


def test_c23_every_gap_is_above_0_but_20_layers_stay_open() -> None:
    found = audited("C23")
    assert found.agreeing == (11, 11) and found.outcome == "open"
    assert [(step.sources, round(step.value, 1)) for step in found.steps] == [(2, 1.1), (3, 2.0), (3, 4.1), (3, 5.3)]
    assert [step.low > 0 for step in found.steps] == [False, True, True, True]
    with_2026 = public_reruns("C23")
    assert with_2026 is not None and with_2026.agreeing == (13, 13)


def test_c23b_the_gap_grows() -> None:
    found = audited("C23b")
    assert (found.outcome, found.sources) == ("for", 3)
    assert found.trend_p == pytest.approx(0.005, abs=0.0005)


@pytest.mark.parametrize(
    ("claim", "differences", "p", "trend_p"),
    [("C01", [2.59, 4.29, 3.15, 5.5], 0.005, 7e-5), ("C02", [3.38, 3.36, 2.12, 5.7], 0.008, 3e-6)],
)
def test_plain_nets_degrade_in_four_sources(claim: str, differences: list[float], p: float, trend_p: float) -> None:
    found = audited(claim)
    assert found.outcome == "for" and found.effect is not None
    assert found.effect.value == pytest.approx(sum(differences) / 4)
    measure = "train_error" if claim == "C01" else "test_error"
    known = [rerun for rerun in reruns() if rerun.source not in OF_2026]
    computed = peers_of("cifar10", known).differences(measure, "plain-56", "plain-20")
    assert computed == pytest.approx(differences)
    assert stats.ttest_1samp(computed, 0, alternative="greater").pvalue == pytest.approx(p, abs=0.0005)
    assert found.trend_p == pytest.approx(trend_p, rel=0.05)


def test_c06_needs_training_and_test() -> None:
    found = audited("C06")
    assert (found.outcome, found.sources, found.agreeing) == ("for", 4, (8, 8))


def test_c22_training_error_of_residual_nets_falls_in_both_sources() -> None:
    found = audited("C22")
    assert (found.outcome, found.sources, found.agreeing) == ("for", 2, (6, 6))
    assert found.trend_p == pytest.approx(0.0017, abs=0.0001)


def test_c25_rests_on_one_pair() -> None:
    found = audited("C25")
    assert found.outcome == "open" and found.effect is not None and round(found.effect.value, 2) == 0.24
    assert math.isnan(found.effect.low)


def test_c26_on_50k_others_are_better_than_the_paper_by_an_uncertain_amount() -> None:
    found = audited("C26")
    assert found.note.startswith("7 runs on 50k: 6.24 ± 0.29")
    assert found.outcome == "open" and found.effect is not None and found.effect.high < 0
    near = ("akamaster/pytorch_resnet_cifar10", "gcr/torch-residual-networks", "junyuseu/ResNet-on-Cifar10")
    protocol = public_reruns("C26", [rerun for rerun in reruns() if rerun.source in near])
    assert protocol is not None and protocol.note.startswith("3 runs on 50k: 6.50 ± 0.21")
    assert protocol.effect is not None and protocol.effect.low < 0 < protocol.effect.high


def test_c26s_interval_is_welchs() -> None:
    ours = [6.32, 6.73, 6.44]
    nets = [net(f"net{i}", "ResNet-110", error) for i, error in enumerate(ours)]
    found = public_reruns("C26", nets)
    assert found is not None and found.effect is not None
    theirs = [6.61 + 0.16 * z for z in (-math.sqrt(2), 0.0, 0.0, 0.0, math.sqrt(2))]  # mean 6.61, std 0.16
    wanted = stats.ttest_ind(ours, theirs, equal_var=False).confidence_interval(0.95)
    assert (found.effect.low, found.effect.high) == pytest.approx((wanted.low, wanted.high))


def test_c27_all_nine_runs_lie_below_highways_best() -> None:
    found = audited("C27")
    assert (found.outcome, found.sources, found.note) == ("for", 8, "9 of 9 runs below")


def test_c29_nobody_found_7_93() -> None:
    found = audited("C29")
    assert found.outcome == "open" and shown(found.effect) == (0.06, -2.48, 2.60)


@pytest.mark.parametrize(("claim", "sources"), [("C11", 5), ("C18", 6)])
def test_imagenet_is_read_from_one_crop_of_independent_sources(claim: str, sources: int) -> None:
    found = audited(claim)
    assert (found.outcome, found.sources) == ("for", sources)
    assert found.agreeing[0] == found.agreeing[1]


def test_c03_says_who_failed_and_decides_nothing() -> None:
    found = audited("C03")
    assert found.outcome == "open" and found.effect is None
    assert found.note.startswith("2 of 2 failed") and "16.44 %" in found.note


@pytest.mark.parametrize("claim", ["C04", "C05", "C09", "C10", "C24", "C28", "C30", "C31", "C99"])
def test_claims_without_public_numbers_have_none(claim: str) -> None:
    assert public_reruns(claim) is None


def test_the_first_half_of_a_split_claim_is_found_under_the_whole() -> None:
    assert public_reruns("C23a") == public_reruns("C23") != public_reruns("C23b")


def test_every_claim_of_the_table_is_one_of_ours() -> None:
    ours = {claim.id for claim in CLAIMS}
    assert all(id in ours or f"{id}a" in ours or id.removesuffix("b") in ours for id in BY_CLAIM)


# Forms of statement, on made-up sources


def net(block: str, name: str, error: float) -> Rerun:
    empty = dict.fromkeys(("runs", "reported", "steps", "epochs", "warmup", "batch", "excluded", "differs"), "")
    return Rerun("cifar10", block, block, name, "", (error,), None, error, False, trained_on="50k", **empty)


def ladder(block: str, *errors: float) -> list[Rerun]:
    return [net(block, name, error) for name, error in zip(RESIDUAL, errors, strict=False)]


FALLING = Peers((*ladder("a", 9, 8, 7.5, 7.2, 7), *ladder("b", 8.8, 8.1, 7.6, 7.1, 6.9), *ladder("c", 9, 8, 7, 6.5, 6)))


def test_an_order_turned_round_is_against_it() -> None:
    falls, turned = (rises(FALLING, "test_error", nets) for nets in (RESIDUAL[::-1], RESIDUAL))
    assert falls is not None and falls.outcome == "for" and falls.agreeing == (12, 12)
    assert turned is not None and turned.outcome == "against" and turned.agreeing == (0, 12)
    assert turned.effect is not None and falls.effect is not None and turned.effect.value == -falls.effect.value


def test_a_net_that_no_source_has_leaves_nothing_to_say() -> None:
    assert above(FALLING, "test_error", [("plain-20", "ResNet-20")]) is None
    assert rises(FALLING, "test_error", PLAIN) is None


def test_one_source_decides_nothing() -> None:
    found = rises(Peers(FALLING.reruns[:5]), "test_error", RESIDUAL[::-1])
    assert found is not None and (found.outcome, found.sources) == ("open", 1) and math.isnan(found.trend_p)


def test_sources_that_differ_in_level_are_compared_within_themselves() -> None:
    far = Peers((*ladder("a", 9, 8), *ladder("b", 30, 29.1), *ladder("c", 50, 48.9)))
    found = above(far, "test_error", [("ResNet-20", "ResNet-32")])
    assert found is not None and found.outcome == "for" and shown(found.effect)[0] == 1.0


def test_excluded_rows_and_other_data_sets_take_no_part() -> None:
    rows = [replace(rerun, excluded="best epoch") for rerun in FALLING.reruns]
    assert peers_of("cifar10", rows).reruns == () and len(peers_of("cifar10", rows).excluded) == 15
    assert peers_of("imagenet", FALLING.reruns) == Peers(())


@pytest.mark.parametrize(
    ("low", "high", "wanted"),
    [(-0.1, 0.3, "for"), (-0.1, 0.6, "open"), (0.6, 0.9, "against"), (-0.9, -0.6, "against"), (math.nan, 0.1, "open")],
)
def test_likeness_needs_the_whole_interval(low: float, high: float, wanted: str) -> None:
    assert within(Effect("", 0.1, low, high, 3, 2), 0.5) == wanted


def test_the_interval_over_sources_is_students() -> None:
    found = paired("", [1.95, 1.56, 2.23, 1.62, 2.29])
    wanted = stats.ttest_1samp([1.95, 1.56, 2.23, 1.62, 2.29], 0).confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx((wanted.low, wanted.high))


def test_three_rows_in_perfect_order_are_one_in_as_many_as_there_are_orders() -> None:
    assert page_trend([[1, 2, 3, 4]] * 3) == pytest.approx(1 / 24**3)
    assert page_trend([[4, 3, 2, 1]] * 3) == pytest.approx(1.0)


# peers.csv


def test_a_block_has_each_network_once_and_one_protocol() -> None:
    for block in {(rerun.dataset, rerun.block) for rerun in reruns()}:
        rows = [rerun for rerun in reruns() if (rerun.dataset, rerun.block) == block]
        assert len({rerun.net for rerun in rows}) == len(rows), block
        assert len({(rerun.source, rerun.reported, rerun.trained_on, rerun.batch) for rerun in rows}) == 1, block


def test_every_row_has_an_error_or_failed_or_a_training_error() -> None:
    for rerun in reruns():
        assert rerun.test_errors or rerun.failed or rerun.train_error is not None, rerun
        assert all(0 < error < 100 for error in rerun.test_errors)


def test_several_runs_are_kept_apart() -> None:
    found = {rerun.source: rerun for rerun in reruns() if rerun.net == "ResNet-56"}
    three = found["AmroAbujabal/resnet-cifar-repro"]
    assert three.test_errors == (6.91, 7.21, 8.22) and round(three.test_error or 0, 2) == 7.45
    assert three.depth == 56


def test_errors_are_shown_as_published() -> None:
    shown = {(rerun.block, rerun.net): rerun.shown for rerun in reruns()}
    assert shown["a-martyn/resnet", "ResNet-20"] == "8.04 (0.40)"
    assert shown["fb.resnet.torch, 1-crop", "ResNet-18 B"] == "30.43 / 10.76"
    assert shown["robertkoller/ResNet-Reproduction", "ResNet-20"] == "– (0.42)"
    assert shown["yihui-he/resnet-cifar10-caffe, plain-110", "plain-110"] == "failed"
    assert shown["fb.resnet.torch (issue 177)", "ResNet-110"] == "6.04, 5.89"


def test_all_sources_of_cifar_are_there() -> None:
    assert len({rerun.source for rerun in reruns() if rerun.dataset == "cifar10"}) == 29
    assert set(OF_2026) <= {rerun.source for rerun in reruns()}
    assert paper.reruns() is reruns()


# The report


def test_a_report_of_no_runs_fills_the_column(tmp_path: Path) -> None:
    files = texts(report(gather(tmp_path)))
    found = {claim["id"]: claim for claim in json.loads(files["claims.json"])}
    (c21,) = (claim for id, claim in found.items() if id in ("C21", "C21a"))
    assert c21["verdict"] == "missing" and c21["public_reruns"]["outcome"] == "for"
    assert round(c21["public_reruns"]["effect"]["value"], 2) == 1.93
    table = files["tables/claims-cifar10-paper.csv"]
    assert "public re-runs" in table and "for: +1.93 (+1.51 to +2.35), 7 sources, 24 of 24, trend p < 0.001" in table
    assert "none published" in table and "decided by theirs alone" in files["REPORT.md"]


def test_a_source_that_is_a_repository_is_linked() -> None:
    rows = [row for c in (CIFAR, IMAGENET) for row in peer_table(Evidence(pd.DataFrame(), c)).rows]
    links = {cell.text: cell.href for cell in (row[0] for row in rows) if isinstance(cell, Link)}
    assert links["akamaster/pytorch_resnet_cifar10 (issue 28)"].endswith("/pytorch_resnet_cifar10/issues/28")
    assert links["a-martyn/resnet"] == "https://github.com/a-martyn/resnet" and len(links) > 10


def test_no_claim_of_a_scaled_down_comparison_has_public_re_runs() -> None:
    found = json.loads((Path(__file__).parents[2] / "reports" / "results" / "claims.json").read_text())
    papers = ("cifar10, recipe paper", "imagenet, recipe paper")
    assert all(claim["public_reruns"] is None for claim in found if claim["group"] not in papers)
