"""How often the rules of the plan decide: synthetic draws around the paper's values, judged like runs.

Three worlds: the paper's; the same mirrored, so that every order is reversed and every gap has the other sign; and a
flat one, in which nothing differs. A claim with a margin or a bound has its flat world at that: there neither the claim
nor its opposite is true. What is alike is as alike when it is mirrored; the reversed world of such a claim is one in
which the two networks differ by twice the margin.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

from reports.judging.claim import Claim, Verdict
from reports.judging.claims import CLAIMS, give_verdict
from reports.judging.evidence import Evidence
from reports.judging.plan import Planned, PlannedNet, plan
from reports.paper import numbers as paper
from study.spec import title

World = Literal["paper", "reversed", "flat"]
WORLDS: tuple[World, ...] = ("paper", "reversed", "flat")
SIMULATED = (
    *("C01", "C02", "C06", "C21", "C22", "C22b", "C23", "C23b"),
    *("C04", "C08", "C11", "C12", "C13", "C14", "C16", "C17", "C17b", "C18", "C20"),
)
EVERY = "all"  # in the plan: the standard deviation of every network that is not named
SEEDS = (2, 3, 5)

Means = dict[PlannedNet, dict[str, float]]


@dataclass(frozen=True)
class Power:
    """The shares of the draws of one world in which a claim was supported and contradicted."""

    claim: str
    seeds: int
    world: World
    supported: float
    contradicted: float


def power(draws: int, seed: int, each: Callable[[], None] = lambda: None) -> list[Power]:
    """Simulate every claim of `SIMULATED`.

    Args:
        draws: Of each claim, number of seeds and world.
        seed: Of the draws; the same seed gives the same table.
        each: Called after each claim, number of seeds and world.
    """
    found = []
    for claim, seeds, world in settings():
        found.append(_shares(claim, seeds, world, draws, seed))
        each()
    return found


def settings() -> Iterator[tuple[Claim, int, World]]:
    """Every claim, number of seeds and world that is simulated."""
    for claim in CLAIMS:
        if claim.id in SIMULATED:
            for seeds in SEEDS:
                for world in WORLDS:
                    yield claim, seeds, world


def means(planned: Planned, world: World) -> Means:
    """The mean of each metric of each network of a claim, in one world."""
    theirs = {net: paper.measured(planned.dataset, net.depth, net.shortcut) for net in planned.nets}
    found: Means = {net: {} for net in planned.nets}
    for metric in planned.metrics:
        errors = _errors(planned, metric, [theirs[net][metric] for net in planned.nets], world)
        for net, error in zip(planned.nets, errors, strict=True):
            found[net][metric] = error
    return found


def _errors(planned: Planned, metric: str, theirs: list[float], world: World) -> list[float]:
    """The mean of one metric in each network, from the paper's; the networks of the plan, in their order."""
    if world == "paper":
        return theirs
    middle, margin = (min(theirs) + max(theirs)) / 2, _margin(planned, metric)
    if "one-sample t" in planned.test:
        return [2 * margin - theirs[0]] if world == "reversed" else [margin]
    if "equivalence" in planned.test:
        apart = 2 * margin if world == "reversed" else margin
        return [middle + apart / 2, middle - apart / 2]
    if world == "reversed":
        return [2 * middle - error for error in theirs]
    # No deeper net may be worse by the margin, or the first must be worse than each other by more than the margin.
    first, others = (0.0, margin) if "pooled t" in planned.test else (margin, 0.0)
    return [middle + first, *[middle + others] * (len(theirs) - 1)]


def _margin(planned: Planned, metric: str) -> float:
    """The margin of a metric: of top-1 and top-5 errors if the plan has two, else of the first metric alone."""
    if len(planned.margins) > 1:
        return planned.margins["top5" in metric]
    return planned.margin if metric == planned.metrics[0] else 0.0


def draw(planned: Planned, world: World, seeds: int, rng: np.random.Generator) -> pd.DataFrame:
    """Synthetic results: a row per network and seed; an error is never below 0."""
    rows = [
        _row(planned, net, seed, errors, rng) for net, errors in means(planned, world).items() for seed in range(seeds)
    ]
    return pd.DataFrame(rows)


def _row(
    planned: Planned, net: PlannedNet, seed: int, errors: dict[str, float], rng: np.random.Generator
) -> dict[str, object]:
    name = title(planned.dataset, net.depth, net.shortcut)
    drawn = {metric: max(0.0, rng.normal(error, _spread(metric, name))) for metric, error in errors.items()}
    about = {"dataset": planned.dataset, "recipe": "paper", "depth": net.depth, "shortcut": net.shortcut, "seed": seed}
    return {"run": f"{name}-s{seed}", "warm_until": 0, **about, **drawn}


def _spread(metric: str, name: str) -> float:
    """The standard deviation between seeds that the plan assumes of a network."""
    of_metric = plan().spread[metric]
    return of_metric[name if name in of_metric else EVERY]


def _shares(claim: Claim, seeds: int, world: World, draws: int, seed: int) -> Power:
    rng = np.random.default_rng([seed, zlib.crc32(claim.id.encode()), seeds, WORLDS.index(world)])
    verdicts = [_verdict(claim, draw(claim.planned, world, seeds, rng)) for _ in range(draws)]
    shares = [verdicts.count(verdict) / draws for verdict in ("supported", "contradicted")]
    return Power(claim.id, seeds, world, *shares)


def _verdict(claim: Claim, results: pd.DataFrame) -> Verdict:
    finding = claim.judge(Evidence(results, claim.comparison))
    return give_verdict(finding, claim.planned, is_scaled_down=False).verdict
