"""The forms that the paper's statements have: an order, a margin, a limit, a prediction, a count."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Literal

import pandas as pd

from reports.judging import stats
from reports.judging.claim import Direction, Finding
from reports.judging.evidence import METRICS, Evidence, Net, seeds


@dataclass(frozen=True)
class Side:
    """One of two networks that are compared: its name in the sentence, and its runs."""

    name: str
    runs: pd.DataFrame


@dataclass(frozen=True)
class Form:
    """What is claimed of two networks.

    Attributes:
        test: The statistical test of it.
        direction: Whether an effect agrees with it.
        margin: The difference that it allows, set in advance; 0 for none.
    """

    test: stats.Compare
    direction: Callable[[float], Direction]
    margin: float = 0.0


def higher(e: Evidence, metric: str, upper: Net, lower: Net, recipe: str | None = None) -> Finding:
    """`upper` has more of the metric than `lower`: exact permutation test."""
    form = Form(stats.greater, lambda effect: "unclear" if effect == 0 else _agrees(effect > 0))
    return _compare(metric, _side(e, upper, recipe), _side(e, lower, recipe), form)


def not_higher(e: Evidence, metric: str, upper: Net, lower: Net, margin: float) -> Finding:
    """`upper` has not more of the metric than `lower`, but for a margin that was set in advance."""
    form = Form(lambda a, b: stats.not_greater(a, b, margin), lambda effect: _agrees(effect < margin), margin)
    return _compare(metric, _side(e, upper), _side(e, lower), form)


def alike(e: Evidence, metric: str, one: Net, other: Net, margin: float, recipe: str | None = None) -> Finding:
    """Both have the same of the metric, within a margin that was set in advance; `recipe` is of `one`."""
    form = Form(lambda a, b: stats.equal(a, b, margin), lambda effect: _agrees(abs(effect) < margin), margin)
    return _compare(metric, _side(e, one, recipe), _side(e, other), form)


def _side(e: Evidence, net: Net, recipe: str | None = None) -> Side:
    name = f"{e.title(net)} ({recipe})" if recipe else e.title(net)
    return Side(name, e.net(net, recipe))


def _agrees(good: bool) -> Direction:
    return "agrees" if good else "disagrees"


def _compare(metric: str, first: Side, second: Side, form: Form) -> Finding:
    """Judge a statement on two networks; without runs of both the finding is missing."""
    values = [seeds(side.runs, metric) for side in (first, second)]
    absent = [side.name for side, found in zip((first, second), values, strict=True) if not found]
    if absent:
        return _missing(metric, tuple(absent))
    result = form.test(*values)
    n = (len(values[0]), len(values[1]))
    one, other = (sum(found) / len(found) for found in values)
    margin = f" (margin {form.margin})" if form.margin else ""
    doubt = "" if min(n) > 1 else ", direction only: one seed"
    sentence = (
        f"{METRICS[metric].capitalize()}: {first.name} {one:.2f}, {second.name} {other:.2f}, "
        f"{result.effect:+.2f}{margin}{doubt}."
    )
    return Finding(sentence, form.direction(result.effect), *result, n, (*first.runs["run"], *second.runs["run"]))


def limit(e: Evidence, metric: str, net: Net, bound: float, side: Literal["greater", "less"]) -> Finding:
    """The network's metric lies above (or below) a bound that the paper names."""
    runs = e.net(net)
    values = seeds(runs, metric)
    if not values:
        return _missing(metric, (e.title(net),))
    result = stats.beyond(values, bound, side)
    direction = _agrees((result.effect > 0) == (side == "greater"))
    sentence = f"{METRICS[metric].capitalize()} of {e.title(net)}: {result.effect + bound:.2f}, bound {bound:g}."
    return Finding(sentence, direction, *result, (len(values),), tuple(runs["run"]))


def predicts(e: Evidence, metric: str, net: Net, value: float, width: float) -> Finding:
    """The paper's value lies where one more run of ours would, in a prediction interval narrower than `width`."""
    runs = e.net(net)
    values = seeds(runs, metric)
    if not values:
        return _missing(metric, (e.title(net),))
    mean, (low, high) = stats.mean_std(values)[0], stats.prediction_interval(values)
    is_inside, p = low <= value <= high, stats.one_more(values, value)
    sentence = (
        f"{METRICS[metric].capitalize()} of {e.title(net)}: {mean:.2f}; the paper has {value:.2f}; "
        f"one more run would lie in {low:.2f} to {high:.2f}."
    )
    direction: Direction = "unclear" if math.isnan(low) else _agrees(is_inside)
    effect = (mean - value, low - value, high - value, math.nan, p)
    fits = True if is_inside and high - low < width else None
    return Finding(sentence, direction, *effect, (len(values),), tuple(runs["run"]), counted=fits)


def all_of(*findings: Finding) -> Finding:
    """The statement that all hold: as certain as the least certain one, contradicted if one is (Bonferroni).

    The effect shown is that of the least certain finding; if some disagree, of the least certain of those.
    """
    missing = tuple(dict.fromkeys(name for f in findings for name in f.missing))
    worst = max(findings, key=lambda f: (f.direction == "disagrees", -1.0 if math.isnan(f.p_for) else f.p_for))
    against = [f.p_against for f in findings if not math.isnan(f.p_against)]
    return replace(
        worst,
        sentence=" ".join(f.sentence for f in findings),
        direction=_together([f.direction for f in findings]),
        p_for=math.nan if any(math.isnan(f.p_for) for f in findings) else max(f.p_for for f in findings),
        p_against=min(1.0, len(findings) * min(against)) if against else math.nan,
        n=tuple(min(column) for column in zip(*(f.n for f in findings), strict=False)),
        runs=tuple(dict.fromkeys(run for f in findings for run in f.runs)),
        missing=missing,
        counted=_all_counted([f.counted for f in findings]),
    )


def falling(e: Evidence, metric: str, nets: Sequence[Net]) -> Finding:
    """The metric falls from each network to the next."""
    return all_of(*(higher(e, metric, upper, lower) for upper, lower in pairwise(nets)))


def counted(good: bool, sentence: str, effect: float = math.nan) -> Finding:
    """A fact that was counted, not sampled."""
    return Finding(sentence, _agrees(good), effect, counted=good)


def _together(directions: Sequence[Direction]) -> Direction:
    if "disagrees" in directions:
        return "disagrees"
    return "agrees" if set(directions) == {"agrees"} else "unclear"


def _all_counted(holds: Sequence[bool | None]) -> bool | None:
    """Whether all facts hold that were counted; None where chance plays a part in any and none fails."""
    if False in holds:
        return False
    return None if None in holds else True


def _missing(metric: str, nets: tuple[str, ...]) -> Finding:
    return Finding(f"No run of {' and '.join(nets)} has a {METRICS[metric]}.", missing=nets)
