"""The few forms that the paper's statements have: an order, a margin, a limit, a prediction, a count."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Literal

import pandas as pd

from reports.judging import stats
from reports.paper import numbers as paper
from study.recipes import RECIPES
from study.spec import title

Verdict = Literal["supported", "contradicted", "inconclusive", "toy", "missing"]
Direction = Literal["agrees", "disagrees", "unclear", ""]
Net = tuple[int, str]  # depth and shortcut

METRICS = {
    "train_error": "training error",
    "test_error": "test error",
    "train_curve": "training error averaged over the run",
    "early_error": "test error averaged over the first learning rate",
    "10crop/top1_error": "10-crop top-1 error",
    "10crop/top5_error": "10-crop top-5 error",
    "dense/top5_error": "multi-scale top-5 error",
    "response": "mean response",
    "warm_until": "warm-up",
}


@dataclass(frozen=True)
class Comparison:
    """Runs that may be compared: one data set under one recipe."""

    dataset: str
    recipe: str

    @property
    def name(self) -> str:
        """As the report calls it."""
        return f"{self.dataset}, recipe {self.recipe}"

    @property
    def slug(self) -> str:
        """As files are named after it."""
        return f"{self.dataset}-{self.recipe}"

    @property
    def scale(self) -> str:
        """`full` for the paper's own protocol, `toy` for one that is scaled down."""
        return RECIPES[self.dataset][self.recipe].scale

    def of(self, results: pd.DataFrame) -> pd.DataFrame:
        """The rows of these runs."""
        return results[(results["dataset"] == self.dataset) & (results["recipe"] == self.recipe)]


CIFAR, IMAGENET = Comparison("cifar10", "paper"), Comparison("imagenet", "paper")


@dataclass(frozen=True)
class Evidence:
    """What the claims on one comparison may look at."""

    results: pd.DataFrame
    comparison: Comparison
    complexity: pd.DataFrame = field(default_factory=paper.complexity)

    @property
    def is_scaled_down(self) -> bool:
        """Whether the recipe is scaled down."""
        return self.comparison.scale == "toy"

    def net(self, net: Net, recipe: str | None = None) -> pd.DataFrame:
        """The seeds of one network."""
        comparison = replace(self.comparison, recipe=recipe or self.comparison.recipe)
        runs = comparison.of(self.results)
        return runs[(runs["depth"] == net[0]) & (runs["shortcut"] == net[1])]

    def title(self, net: Net) -> str:
        """The network in the paper's words."""
        return title(self.comparison.dataset, *net)


@dataclass(frozen=True)
class Finding:
    """What the runs say of one claim; effects in the metric's unit, mostly percentage points."""

    sentence: str
    direction: Direction = ""
    effect: float = math.nan
    low: float = math.nan
    high: float = math.nan
    p_for: float = math.nan
    p_against: float = math.nan
    n: tuple[int, ...] = ()
    runs: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    counted: bool | None = None  # by counting, without chance
    p_holm: float = math.nan
    against_holm: float = math.nan
    verdict: Verdict = "missing"


@dataclass(frozen=True)
class Claim:
    """One statement of the paper, where it stands, and the function that judges it."""

    id: str
    where: str
    statement: str
    judge: Callable[[Evidence], Finding]
    comparisons: tuple[Comparison, ...] = (CIFAR,)
    in_miniature: bool = field(default=False)  # whether a scaled-down comparison may show it too


def seeds(runs: pd.DataFrame, metric: str) -> list[float]:
    """The metric of each run that has it."""
    return [float(value) for value in runs[metric].dropna()] if metric in runs else []


def higher(e: Evidence, metric: str, upper: Net, lower: Net, recipe: str | None = None) -> Finding:
    """`upper` has more of the metric than `lower`: exact permutation test."""
    return _two(e, metric, upper, lower, stats.greater, "greater", recipe)


def not_higher(e: Evidence, metric: str, upper: Net, lower: Net, margin: float) -> Finding:
    """`upper` has not more of the metric than `lower`, but for a margin that was set in advance."""
    return _two(e, metric, upper, lower, lambda a, b: stats.not_greater(a, b, margin), "below", margin=margin)


def alike(e: Evidence, metric: str, one: Net, other: Net, margin: float, recipe: str | None = None) -> Finding:
    """Both have the same of the metric, within a margin that was set in advance; `recipe` is of `one`."""
    return _two(e, metric, one, other, lambda a, b: stats.equal(a, b, margin), "within", recipe, margin, one_only=True)


def _two(
    e: Evidence, metric: str, first: Net, second: Net, test: stats.Compare, agrees: str,
    recipe: str | None = None, margin: float = 0.0, one_only: bool = False,
) -> Finding:  # fmt: skip
    runs = [e.net(first, recipe), e.net(second, None if one_only else recipe)]
    values = [seeds(frame, metric) for frame in runs]
    under = f" ({recipe})" if recipe else ""
    names = [e.title(first) + under, e.title(second) + ("" if one_only else under)]
    absent = tuple(name for name, found in zip(names, values, strict=True) if not found)
    if absent:
        return _missing(metric, absent)
    t = test(*values)
    good = {"greater": t.effect > 0, "below": t.effect < margin, "within": abs(t.effect) < margin}[agrees]
    direction: Direction = "unclear" if agrees == "greater" and t.effect == 0 else "agrees" if good else "disagrees"
    n = (len(values[0]), len(values[1]))
    means = [sum(found) / len(found) for found in values]
    sentence = (
        f"{METRICS[metric].capitalize()}: {names[0]} {means[0]:.2f}, {names[1]} {means[1]:.2f}, "
        f"{t.effect:+.2f}{f' (margin {margin})' if margin else ''}{'' if min(n) > 1 else ', direction only: one seed'}."
    )
    return Finding(sentence, direction, *t, n, (*runs[0]["run"], *runs[1]["run"]))


def limit(e: Evidence, metric: str, net: Net, bound: float, side: Literal["greater", "less"]) -> Finding:
    """The network's metric lies above (or below) a bound that the paper names."""
    runs = e.net(net)
    values = seeds(runs, metric)
    if not values:
        return _missing(metric, (e.title(net),))
    t = stats.beyond(values, bound, side)
    good = (t.effect > 0) == (side == "greater")
    sentence = f"{METRICS[metric].capitalize()} of {e.title(net)}: {t.effect + bound:.2f}, bound {bound:g}."
    return Finding(sentence, "agrees" if good else "disagrees", *t, (len(values),), tuple(runs["run"]))


def predicts(e: Evidence, metric: str, net: Net, value: float, width: float) -> Finding:
    """The paper's value lies where one more run of ours would, in a prediction interval narrower than `width`."""
    runs = e.net(net)
    values = seeds(runs, metric)
    if not values:
        return _missing(metric, (e.title(net),))
    mean, (low, high) = stats.mean_std(values)[0], stats.prediction_interval(values)
    inside, p = low <= value <= high, stats.one_more(values, value)
    sentence = (
        f"{METRICS[metric].capitalize()} of {e.title(net)}: {mean:.2f}; the paper has {value:.2f}; "
        f"one more run would lie in {low:.2f} to {high:.2f}."
    )
    fits = True if inside and high - low < width else None
    direction: Direction = "agrees" if inside else "unclear" if math.isnan(low) else "disagrees"
    effect = (mean - value, low - value, high - value, math.nan, p)
    return Finding(sentence, direction, *effect, (len(values),), tuple(runs["run"]), counted=fits)


def all_of(*findings: Finding) -> Finding:
    """All statements hold at once: as certain as the least certain; refuted when one of them is (Bonferroni).

    The effect is the least certain one's, among those that disagree where any does.
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
    )


def falling(e: Evidence, metric: str, nets: Sequence[Net]) -> Finding:
    """The metric falls from each network to the next."""
    return all_of(*(higher(e, metric, upper, lower) for upper, lower in pairwise(nets)))


def counted(good: bool, sentence: str, effect: float = math.nan) -> Finding:
    """A fact that was counted, not sampled."""
    return Finding(sentence, "agrees" if good else "disagrees", effect, counted=good)


def _together(directions: Sequence[Direction]) -> Direction:
    if "disagrees" in directions:
        return "disagrees"
    return "agrees" if set(directions) == {"agrees"} else "unclear"


def _missing(metric: str, nets: tuple[str, ...]) -> Finding:
    return Finding(f"No run of {' and '.join(nets)} has a {METRICS[metric]}.", missing=nets)
