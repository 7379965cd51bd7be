"""The forms that the paper's statements have: a trend, an order, a margin, a limit, a count; each names its test."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Literal

from reports.judging import stats
from reports.judging.claim import Direction, Finding
from reports.judging.evidence import METRICS, Evidence, Runs, runs_of
from reports.judging.plan import Planned, PlannedNet
from reports.judging.stats import Sample, TestResult

Compare = Callable[[Sample, Sample], TestResult]


def rises(e: Evidence, metric: str, nets: Sequence[PlannedNet]) -> Finding:
    """The metric rises from each network to the next: Jonckheere's trend test over all seeds."""
    sides = [runs_of(e, net, metric) for net in nets]
    return missing_of(metric, sides) or trend(METRICS[metric], sides, e.resolution(metric))


def falls(e: Evidence, metric: str, nets: Sequence[PlannedNet]) -> Finding:
    """The metric falls from each network to the next; the effect is the first network's minus the last one's."""
    return rises(e, metric, nets[::-1])


def trend(what: str, sides: Sequence[Runs], resolution: float) -> Finding:
    """Values rise from side to side."""
    result = stats.rises([side.values for side in sides], resolution)
    shallow_first = sorted(sides, key=lambda side: (side.net.depth, side.net.shortcut))
    direction = direction_of(stats.slope([side.values for side in sides]), result.error)
    theirs = sides[-1].theirs - sides[0].theirs
    return _finding(f"{what.capitalize()}: {listed(shallow_first)}{doubt(sides)}.", direction, result, sides, theirs)


def higher(e: Evidence, p: Planned, metric: str, upper: PlannedNet, lower: PlannedNet, margin: float = 0.0) -> Finding:
    """`upper` has more of the metric than `lower`, by more than a margin."""
    return _compare(e, p, metric, (upper, lower), lambda a, b: stats.greater(a, b, margin), margin)


def not_higher(e: Evidence, p: Planned, metric: str, upper: PlannedNet, lower: PlannedNet, margin: float) -> Finding:
    """`upper` has not more of the metric than `lower`, but for a margin."""
    found = _compare(e, p, metric, (upper, lower), lambda a, b: stats.not_greater(a, b, margin), margin)
    return replace(found, direction=_turned(found.direction))


def alike(e: Evidence, metric: str, one: PlannedNet, other: PlannedNet, margin: float, failures: bool) -> Finding:
    """Both have the same of the metric, within a margin: equivalence test."""
    sides = [runs_of(e, net, metric, failures) for net in (one, other)]
    if absent := missing_of(metric, sides):
        return absent
    first, second = (stats.sample(side.values, e.resolution(metric)) for side in sides)
    result = stats.equal(first, second, margin)
    sentence = _sentence(metric, sides, result, margin)
    theirs = sides[0].theirs - sides[1].theirs
    return _finding(sentence, direction_of(margin - abs(result.effect), result.error), result, sides, theirs)


def limit(
    e: Evidence, metric: str, net: PlannedNet, bound: float, side: Literal["greater", "less"], failures: bool = False
) -> Finding:
    """The network's metric lies above (or below) a bound: one-sample t test."""
    runs = runs_of(e, net, metric, failures)
    if absent := missing_of(metric, [runs]):
        return absent
    result = stats.beyond(stats.sample(runs.values, e.resolution(metric)), bound, side)
    sentence = f"{METRICS[metric].capitalize()} of {runs.name}: {_mean(runs):.2f}, bound {bound:g}{doubt([runs])}."
    towards = result.effect if side == "greater" else -result.effect
    return _finding(sentence, direction_of(towards, result.error), result, [runs], runs.theirs - bound)


def near(e: Evidence, metric: str, net: PlannedNet, theirs: Sample, margin: float) -> Finding:
    """The network's mean lies within a margin of the paper's mean of several runs: equivalence test of means."""
    runs = runs_of(e, net, metric)
    if absent := missing_of(metric, [runs]):
        return absent
    result = stats.equal(stats.sample(runs.values, e.resolution(metric)), theirs, margin)
    sentence = (
        f"{METRICS[metric].capitalize()} of {runs.name}: {_mean(runs):.2f}; the paper has {theirs.mean:.2f}, "
        f"{result.effect:+.2f} (margin {margin:g}){doubt([runs])}."
    )
    return _finding(sentence, direction_of(margin - abs(result.effect), result.error), result, [runs], 0.0)


def all_of(*findings: Finding) -> Finding:
    """The statement that all hold: as certain as the least certain one, contradicted if any is (Simes' test).

    The effect shown is that of the least certain finding; if some disagree, of the least certain of those.
    """
    tested = [f for f in findings if f.counted is None]
    worst = max(
        tested or findings, key=lambda f: (f.direction == "disagrees", -1.0 if math.isnan(f.p_for) else f.p_for)
    )
    counted = False if any(f.counted is False for f in findings) else None if tested else True
    return replace(
        worst,
        sentence=" ".join(f.sentence for f in findings),
        direction=_together([f.direction for f in findings]),
        p_for=max((f.p_for for f in tested), default=math.nan, key=lambda p: math.inf if math.isnan(p) else p),
        p_against=stats.at_least_one([f.p_against for f in tested]),
        n=_smallest([f.n for f in findings if f.n]),
        failed=max(f.failed for f in findings),
        runs=tuple(dict.fromkeys(run for f in findings for run in f.runs)),
        missing=tuple(dict.fromkeys(name for f in findings for name in f.missing)),
        counted=counted,
    )


def counted(good: bool | None, sentence: str, effect: float = math.nan) -> Finding:
    """A fact that was counted, not sampled; None where the count decides nothing."""
    direction: Direction = "unclear" if good is None else _agrees(good)
    return Finding(sentence, direction, effect, counted=good)


def direction_of(effect: float, error: float) -> Direction:
    """Whether an effect agrees with its statement; one within its standard error is flat."""
    if math.isnan(effect) or abs(effect) <= error:
        return "flat"
    return _agrees(effect > 0)


def missing_of(metric: str, sides: Sequence[Runs]) -> Finding | None:
    """The finding that runs are missing, None where each network has one."""
    absent = tuple(side.name for side in sides if not side.values)
    if not absent:
        return None
    return Finding(f"No run of {' and '.join(absent)} has a {METRICS.get(metric, metric)}.", missing=absent)


def _compare(
    e: Evidence, p: Planned, metric: str, nets: tuple[PlannedNet, PlannedNet], test: Compare, margin: float
) -> Finding:
    """Judge a statement on two networks."""
    sides = [runs_of(e, net, metric) for net in nets]
    if absent := missing_of(metric, sides):
        return absent
    first, second = (stats.sample(side.values, e.resolution(metric), _family(e, p, metric, side)) for side in sides)
    result = test(first, second)
    sentence = _sentence(metric, sides, result, margin)
    theirs = sides[0].theirs - sides[1].theirs
    return _finding(sentence, direction_of(result.effect - margin, result.error), result, sides, theirs)


def _family(e: Evidence, p: Planned, metric: str, side: Runs) -> list[tuple[float, ...]]:
    """The seeds of the claim's other networks of the same kind, if the plan pools their standard deviation."""
    if "pooled t" not in p.test:
        return []
    others = [net for net in p.nets if net != side.net and net.is_plain == side.net.is_plain]
    return [values for net in others if (values := runs_of(e, net, metric).values)]


def _finding(sentence: str, direction: Direction, result: TestResult, sides: Sequence[Runs], theirs: float) -> Finding:
    return Finding(
        sentence,
        direction,
        *result[:3],
        theirs,
        result.p_for,
        result.p_against,
        n=tuple(len(side.values) for side in sides),
        failed=sum(len(side.failed) for side in sides),
        runs=tuple(run for side in sides for run in side.runs),
    )


def _sentence(metric: str, sides: Sequence[Runs], result: TestResult, margin: float) -> str:
    listed = ", ".join(f"{side.name} {_mean(side):.2f}" for side in sides)
    allowed = f" (margin {margin:g})" if margin else ""
    failed = "".join(f", {len(side.failed)} of {len(side.values)} failed" for side in sides if side.failed)
    return f"{METRICS[metric].capitalize()}: {listed}, {result.effect:+.2f}{allowed}{failed}{doubt(sides)}."


def _mean(side: Runs) -> float:
    return sum(side.values) / len(side.values)


def listed(sides: Sequence[Runs]) -> str:
    """Each network with its mean: ``plain-20 9.10, plain-32 9.80``."""
    return ", ".join(f"{side.name} {_mean(side):.2f}" for side in sides)


def doubt(sides: Sequence[Runs]) -> str:
    """What a sentence adds where a network has one seed; empty elsewhere."""
    return ", direction only: one seed" if any(len(side.values) < 2 for side in sides) else ""


def _agrees(good: bool) -> Direction:
    return "agrees" if good else "disagrees"


def _turned(direction: Direction) -> Direction:
    turned: dict[Direction, Direction] = {"agrees": "disagrees", "disagrees": "agrees"}
    return turned.get(direction, direction)


def _together(directions: Sequence[Direction]) -> Direction:
    order: tuple[Direction, ...] = ("disagrees", "unclear", "flat", "", "agrees")
    return next(direction for direction in order if direction in directions)


def _smallest(sizes: Sequence[tuple[int, ...]]) -> tuple[int, ...]:
    """The seeds of each network where all findings have as many networks, else the smallest number of all."""
    if len({len(size) for size in sizes}) > 1:
        return (min(min(size) for size in sizes),)
    return tuple(min(column) for column in zip(*sizes, strict=True))
