"""Effects within public re-runs: networks are compared inside a block of a source, and averaged over blocks.

Each block (one source under one protocol) trained its networks alike. Only re-runs that peers.csv does not exclude
take part in an effect. A statement is `for` or `against` where the 95 % interval says so, in an order also Page's trend
test; else it is `open`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Literal

from scipy import stats

from reports.judging.stats import COVERAGE, beyond, sample
from reports.paper.numbers import Rerun

Outcome = Literal["for", "against", "open"]
Measure = Literal["test_error", "train_error", "top5_error"]
TREND_LEVEL = 1 - COVERAGE  # of Page's test, as the intervals have it
MEASURES: dict[Measure, str] = {
    "test_error": "test error",
    "train_error": "training error",
    "top5_error": "top-5 error",
}


@dataclass(frozen=True)
class Effect:
    """One comparison over several sources.

    Attributes:
        label: What is compared.
        value: The mean difference in percentage points.
        low: Lower end of its 95 % interval; nan for one source.
        high: Upper end of its 95 % interval; nan for one source.
        sources: Number of sources.
        positive: In how many of them the difference is above 0.
    """

    label: str
    value: float
    low: float
    high: float
    sources: int
    positive: int


@dataclass(frozen=True)
class PublicReruns:
    """What public re-runs say of one claim.

    Attributes:
        outcome: Whether they are for the claim, against it, or leave it open.
        sources: Number of sources.
        effect: The main one.
        steps: Each comparison behind it.
        trend_p: Page's test of the claimed order; nan where no order is claimed.
        note: What a reader must know.
    """

    outcome: Outcome
    sources: int
    effect: Effect | None = None
    steps: tuple[Effect, ...] = ()
    trend_p: float = math.nan
    note: str = ""

    @property
    def agreeing(self) -> tuple[int, int]:
        """In how many comparisons within sources the difference is above 0, and of how many."""
        return sum(step.positive for step in self.steps), sum(step.sources for step in self.steps)


@dataclass(frozen=True)
class Peers:
    """The re-runs of one data set.

    Attributes:
        reruns: Those that effects are computed from.
        excluded: The others.
    """

    reruns: tuple[Rerun, ...]
    excluded: tuple[Rerun, ...] = ()

    def differences(self, measure: Measure, upper: str, lower: str) -> list[float]:
        """Compute `upper` minus `lower` in each block that has both networks."""
        return [a - b for a, b in self.rows(measure, (upper, lower))]

    def rows(self, measure: Measure, nets: Sequence[str]) -> list[list[float]]:
        """The measure of each network, in the order of `nets`, for each block that has all of them."""
        rows = []
        for block in dict.fromkeys(rerun.block for rerun in self.reruns):
            values: dict[str, float | None] = {r.net: getattr(r, measure) for r in self.reruns if r.block == block}
            found = [value for net in nets if (value := values.get(net)) is not None]
            if len(found) == len(nets):
                rows.append(found)
        return rows

    def of(self, net: str) -> list[Rerun]:
        """Every re-run of one network that effects are computed from."""
        return [rerun for rerun in self.reruns if rerun.net == net]

    def left_out(self, net: str) -> list[Rerun]:
        """Every other re-run of one network."""
        return [rerun for rerun in self.excluded if rerun.net == net]


def peers_of(dataset: str, reruns: Iterable[Rerun]) -> Peers:
    """Sort the re-runs of one data set into those that effects are computed from and the others."""
    there = [rerun for rerun in reruns if rerun.dataset == dataset]
    return Peers(tuple(r for r in there if not r.excluded), tuple(r for r in there if r.excluded))


def paired(label: str, differences: Sequence[float]) -> Effect:
    """Average differences within sources, with the t interval over sources."""
    found = beyond(sample(differences), 0.0, "greater")
    return Effect(label, found.effect, found.low, found.high, len(differences), sum(bool(d > 0) for d in differences))


def page_trend(rows: Sequence[Sequence[float]]) -> float:
    """Test whether values rise along the columns (Page): the p-value; nan for fewer than two rows or three columns."""
    if len(rows) < 2 or len(rows[0]) < 3:
        return math.nan
    return float(stats.page_trend_test(rows).pvalue)


def above(peers: Peers, measure: Measure, pairs: Sequence[tuple[str, str]]) -> PublicReruns | None:
    """The first network of each pair has the higher error; the pair that is least certain decides."""
    named = [(f"{upper} - {lower}", peers.differences(measure, upper, lower)) for upper, lower in pairs]
    steps = tuple(paired(f"{MEASURES[measure]}: {label}", found) for label, found in named if found)
    if not steps:
        return None
    least = min(steps, key=lambda step: (not math.isnan(step.low), step.low))
    against = [step for step in steps if step.high < 0]
    effect = against[0] if against else least
    return PublicReruns(side(effect), max(step.sources for step in steps), effect, steps)


def rises(peers: Peers, measure: Measure, nets: Sequence[str]) -> PublicReruns | None:
    """The error rises along the networks: the effect is from the first to the last, the steps are those between."""
    ends = above(peers, measure, [(nets[-1], nets[0])])
    if ends is None:
        return None
    between = above(peers, measure, [(b, a) for a, b in pairwise(nets)])
    rows = peers.rows(measure, nets)
    trend, reverse = page_trend(rows), page_trend([row[::-1] for row in rows])
    is_ordered = {"for": trend < TREND_LEVEL, "against": reverse < TREND_LEVEL, "open": False}[ends.outcome]
    outcome: Outcome = ends.outcome if is_ordered else "open"
    steps, sources = (between.steps, between.sources) if between else ((), 0)
    return replace(ends, outcome=outcome, steps=steps, trend_p=trend, sources=max(sources, ends.sources))


def both(*found: PublicReruns | None) -> PublicReruns | None:
    """All of several statements; the one that is least certain is shown."""
    present = [each for each in found if each]
    if len(present) < len(found):
        return None
    order: list[Outcome] = ["against", "open", "for"]
    shown = min(present, key=lambda each: order.index(each.outcome))
    return replace(
        shown,
        steps=tuple(step for each in present for step in each.steps),
        sources=max(each.sources for each in present),
        trend_p=max((each.trend_p for each in present if not math.isnan(each.trend_p)), default=math.nan),
    )


def side(effect: Effect) -> Outcome:
    """Whether the whole interval lies above 0 (for), below it (against), or neither (open)."""
    if effect.low > 0:
        return "for"
    return "against" if effect.high < 0 else "open"


def within(effect: Effect, margin: float) -> Outcome:
    """Whether the whole interval lies within a margin of 0 (for), beyond it (against), or neither (open)."""
    if -margin < effect.low and effect.high < margin:
        return "for"
    return "against" if effect.low > margin or effect.high < -margin else "open"
