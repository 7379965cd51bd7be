"""What public re-runs say of each claim, beside our own verdict and never part of it.

Claims are found by their number. A claim that is not listed here has no public numbers: our own runs are worth most
there.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np

from reports.judging.evidence import papers_110
from reports.judging.paired import (
    TREND_LEVEL,
    Effect,
    Outcome,
    Peers,
    PublicReruns,
    above,
    both,
    page_trend,
    paired,
    peers_of,
    rises,
    side,
    within,
)
from reports.judging.plan import plan
from reports.judging.stats import greater, sample
from reports.paper import numbers as paper
from reports.paper.numbers import Rerun

DEPTHS = (20, 32, 44, 56)
PLAIN = [f"plain-{depth}" for depth in DEPTHS]
RESIDUAL = [f"ResNet-{depth}" for depth in (*DEPTHS, 110)]
DEEP = ["ResNet-34 B", "ResNet-50", "ResNet-101", "ResNet-152"]


def plain_training(peers: Peers) -> PublicReruns | None:
    """C01: training error of plain nets rises with depth."""
    return rises(peers, "train_error", PLAIN)


def plain_test(peers: Peers) -> PublicReruns | None:
    """C02: test error of plain nets rises with depth."""
    return rises(peers, "test_error", PLAIN)


def plain_110(peers: Peers) -> PublicReruns | None:
    """C03: how many sources could not train plain-110; too few to decide."""
    tried = peers.of("plain-110")
    if not tried:
        return None
    failed = f"{sum(rerun.failed for rerun in tried)} of {len(tried)} failed at a rate of 0.1"
    others = [f"{r.test_error:.2f} % in a protocol left out ({r.excluded})" for r in peers.left_out("plain-110")]
    return PublicReruns("open", len(tried), note="; ".join([failed, *others]))


def not_overfitting(peers: Peers) -> PublicReruns | None:
    """C06: 56 plain layers are worse than 20 in training and in test."""
    pair = [("plain-56", "plain-20")]
    return both(above(peers, "train_error", pair), above(peers, "test_error", pair))


def residual_test(peers: Peers) -> PublicReruns | None:
    """C21: test error of residual nets falls with depth."""
    return rises(peers, "test_error", RESIDUAL[::-1])


def no_step_back(peers: Peers) -> PublicReruns | None:
    """C21b: no step in depth raises the test error by the plan's margin; the step that is least certain decides."""
    found = above(peers, "test_error", list(pairwise(RESIDUAL)))
    if found is None:
        return None
    margin = plan().claims["C21b"].margin
    least = min(found.steps, key=lambda step: (not math.isnan(step.low), step.low))
    outcome: Outcome = "against" if any(step.high < -margin for step in found.steps) else "open"
    return replace(found, effect=least, outcome="for" if least.low > -margin else outcome)


def residual_training(peers: Peers) -> PublicReruns | None:
    """C22 and C22b: training error of residual nets falls with depth, so that it does not rise."""
    return rises(peers, "train_error", RESIDUAL[-2::-1])


def residual_beats_plain(peers: Peers) -> PublicReruns | None:
    """C23: the plain net has the higher test error at each depth."""
    return above(peers, "test_error", list(zip(PLAIN, RESIDUAL, strict=False)))


def growing_gap(peers: Peers) -> PublicReruns | None:
    """C23b: the gap between plain and residual grows from 32 to 56 layers; few sources have 20 layers as well."""
    depths = DEPTHS[1:]
    plain, residual = ([f"{kind}-{depth}" for depth in depths] for kind in ("plain", "ResNet"))
    both_kinds = peers.rows("test_error", [*plain, *residual])
    gaps = [list(np.subtract(row[: len(depths)], row[len(depths) :])) for row in both_kinds]
    if not gaps:
        return None
    effect = paired("gap at 56 - gap at 32", [row[-1] - row[0] for row in gaps])
    steps = tuple(
        paired(f"gap at {deep} - gap at {shallow}", [row[i + 1] - row[i] for row in gaps])
        for i, (shallow, deep) in enumerate(pairwise(depths))
    )
    trend = page_trend(gaps)
    outcome: Outcome = "open" if side(effect) == "for" and not trend < TREND_LEVEL else side(effect)
    return PublicReruns(outcome, len(gaps), effect, steps, trend)


def without_warmup(peers: Peers) -> PublicReruns | None:
    """C25: ResNet-110 without the warm-up and with it, in sources that tried both."""
    warmed = {r.source: r.test_error for r in peers.of("ResNet-110") if r.warmup not in ("", "none")}
    cold = {r.source: r.test_error for r in peers.left_out("ResNet-110") if r.warmup == "none"}
    pairs = [(error, warmed.get(source)) for source, error in cold.items()]
    found = [a - b for a, b in pairs if a is not None and b is not None]
    if not found:
        return None
    effect = paired("without - with the warm-up", found)
    return PublicReruns(within(effect, plan().claims["C25"].margin), len(found), effect, (effect,))


def resnet_110(peers: Peers) -> PublicReruns | None:
    """C26: the mean of all runs on 50,000 images against the paper's mean and spread (Welch)."""
    reruns = [rerun for rerun in peers.of("ResNet-110") if rerun.trained_on == "50k"]
    errors = [error for rerun in reruns for error in rerun.test_errors]
    if len(errors) < 2:
        return None
    theirs = papers_110()
    found, above_theirs = greater(sample(errors), theirs), sum(error > theirs.mean for error in errors)
    sources = len({rerun.source for rerun in reruns})
    effect = Effect(f"mean - {theirs.mean}", found.effect, found.low, found.high, sources, above_theirs)
    note = f"{len(errors)} runs on 50k: {np.mean(errors):.2f} ± {np.std(errors, ddof=1):.2f}, most trained longer"
    return PublicReruns(within(effect, plan().claims["C26"].margin), effect.sources, effect, note=note)


def small_and_good(peers: Peers) -> PublicReruns | None:
    """C27: how far ResNet-110 lies below the best of Table 6's other methods, over runs."""
    reruns = peers.of("ResNet-110")
    below = [paper.HIGHWAY_BEST_ERROR - error for rerun in reruns for error in rerun.test_errors]
    if not below:
        return None
    sources = len({rerun.source for rerun in reruns})
    effect = replace(paired(f"{paper.HIGHWAY_BEST_ERROR} - test error of ResNet-110", below), sources=sources)
    return PublicReruns(side(effect), sources, effect, note=f"{effect.positive} of {len(below)} runs below")


def very_deep(peers: Peers) -> PublicReruns | None:
    """C29: ResNet-1202 tests worse than ResNet-110; nobody published both training errors."""
    return above(peers, "test_error", [("ResNet-1202", "ResNet-110")])


def deeper_is_better(peers: Peers) -> PublicReruns | None:
    """C18: both 1-crop errors fall from 34 to 152 layers."""
    return both(rises(peers, "test_error", DEEP[::-1]), rises(peers, "top5_error", DEEP[::-1]))


def reversed_by_residuals(peers: Peers) -> PublicReruns | None:
    """C11: ResNet-34 is better than ResNet-18, here with option B and one crop."""
    return above(peers, "test_error", [("ResNet-18 B", "ResNet-34 B")])


# By the number of the claim: the data set, and what the re-runs say.
BY_CLAIM: dict[str, tuple[str, Callable[[Peers], PublicReruns | None]]] = {
    "C01": ("cifar10", plain_training),
    "C02": ("cifar10", plain_test),
    "C03": ("cifar10", plain_110),
    "C06": ("cifar10", not_overfitting),
    "C11": ("imagenet", reversed_by_residuals),
    "C18": ("imagenet", deeper_is_better),
    "C21": ("cifar10", residual_test),
    "C21b": ("cifar10", no_step_back),
    "C22": ("cifar10", residual_training),
    "C22b": ("cifar10", residual_training),
    "C23": ("cifar10", residual_beats_plain),
    "C23b": ("cifar10", growing_gap),
    "C25": ("cifar10", without_warmup),
    "C26": ("cifar10", resnet_110),
    "C27": ("cifar10", small_and_good),
    "C29": ("cifar10", very_deep),
}


def public_reruns(claim: str, reruns: Sequence[Rerun] | None = None) -> PublicReruns | None:
    """What public re-runs say of a claim; None where nobody published numbers.

    Args:
        claim: Its number. The first half of a claim that is split (``C23a``) is found under the whole (``C23``).
        reruns: Those to look at; None takes all of peers.csv.

    >>> public_reruns("C21").agreeing
    (24, 24)
    """
    found = BY_CLAIM.get(claim) or BY_CLAIM.get(claim.removesuffix("a"))
    if found is None:
        return None
    dataset, judge = found
    return judge(peers_of(dataset, paper.reruns() if reruns is None else reruns))
