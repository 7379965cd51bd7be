"""The paper's claims on CIFAR-10 (Sec. 4.2, Figs. 1, 6, 7, Table 6). See reports/plan.toml for the plan."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

from reports.judging import stats
from reports.judging.claim import Finding, claim
from reports.judging.evidence import Evidence, Runs, first_below, papers_110, runs_of
from reports.judging.forms import (
    alike,
    all_of,
    counted,
    doubt,
    falls,
    higher,
    limit,
    listed,
    missing_of,
    near,
    not_higher,
    rises,
    trend,
)
from reports.judging.plan import Planned, PlannedNet, plan
from reports.paper import numbers as paper


@claim("C01", in_miniature=True)
def plain_training(e: Evidence, p: Planned) -> Finding:
    """Training error rises over the four depths; the paper's own 20 and 32 layers differ by 0.13 points only."""
    return rises(e, "train_error", p.nets)


@claim("C02", in_miniature=True)
def plain_test(e: Evidence, p: Planned) -> Finding:
    """Test error rises over the four depths."""
    return rises(e, "test_error", p.nets)


@claim("C03")
def plain_110(e: Evidence, p: Planned) -> Finding:
    """Both errors lie above the caption's 60 %, which does not say which error it means."""
    return _untrained(e, p)


@claim("C03b")
def plain_110_warmed_up(e: Evidence, p: Planned) -> Finding:
    """The same under the recipe `warmup`: whether it is the first learning rate that plain-110 fails at."""
    return _untrained(e, p)


def _untrained(e: Evidence, p: Planned) -> Finding:
    return all_of(*(limit(e, metric, p.nets[0], p.margin, "greater", failures=True) for metric in p.metrics))


@claim("C06", in_miniature=True)
def not_overfitting(e: Evidence, p: Planned) -> Finding:
    """The deeper net tests worse and also trains worse, which overfitting would not show."""
    shallow, deep = p.nets
    return all_of(*(higher(e, p, metric, deep, shallow) for metric in p.metrics))


@claim("C09")
def longer_training(e: Evidence, p: Planned) -> Finding:
    """Under the recipe `long` the deeper plain net still has the higher training error."""
    shallow, deep = p.nets
    return higher(e, p, "train_error", deep, shallow)


@claim("C21", in_miniature=True)
def residual_test(e: Evidence, p: Planned) -> Finding:
    """Test error falls over the depths."""
    return falls(e, "test_error", nets_in_scope(e, p))


@claim("C21b", in_miniature=True)
def residual_steps(e: Evidence, p: Planned) -> Finding:
    """No depth has a higher test error than the one before, but for the margin."""
    nets = nets_in_scope(e, p)
    return all_of(*(not_higher(e, p, "test_error", deeper, net, p.margin) for net, deeper in pairwise(nets)))


@claim("C22", in_miniature=True)
def residual_training(e: Evidence, p: Planned) -> Finding:
    """No depth has a higher training error than any shallower one, but for the margin.

    That is the best shallower one, without the bias of choosing the lowest of several means.
    """
    nets = nets_in_scope(e, p)
    pairs = [(deeper, net) for i, deeper in enumerate(nets) for net in nets[:i]]
    together = all_of(*(not_higher(e, p, "train_error", deeper, net, p.margin) for deeper, net in pairs))
    sides = [runs_of(e, net, "train_error") for net in nets]
    if together.missing:
        return replace(together, n=tuple(len(side.values) for side in sides))
    compared = f"deeper against any shallower, margin {p.margin:g}{doubt(sides)}"
    sentence = f"Training error: {listed(sides)}; {compared}."
    return replace(together, sentence=sentence, n=tuple(len(side.values) for side in sides))


@claim("C22b", in_miniature=True)
def residual_training_trend(e: Evidence, p: Planned) -> Finding:
    """Training error falls over the depths."""
    return falls(e, "train_error", nets_in_scope(e, p))


@claim("C23", in_miniature=True)
def residual_beats_plain(e: Evidence, p: Planned) -> Finding:
    """The plain net has the higher test error at each of the four depths."""
    return all_of(*(higher(e, p, "test_error", plain, residual) for plain, residual in _twins(p)))


@claim("C23b", in_miniature=True)
def gap_grows(e: Evidence, p: Planned) -> Finding:
    """The gap rises over the four depths; twins of one seed see the same batches, so they are paired."""
    twins = [[runs_of(e, net, "test_error") for net in pair] for pair in _twins(p)]
    if absent := missing_of("test_error", [side for pair in twins for side in pair]):
        return absent
    gaps = [_gap(*pair) for pair in twins]
    return missing_of("test_error", gaps) or trend("gap in test error", gaps, 2**0.5 * e.resolution("test_error"))


@claim("C24")
def warmup(e: Evidence, p: Planned) -> Finding:
    """Each run notes the step at which its warm-up ended; a run that never left it is outside the bounds."""
    runs = runs_of(e, p.nets[0], "warm_until", failures_count=True)
    if absent := missing_of("warm_until", [runs]):
        return absent
    ended = [step for step, run in zip(runs.values, runs.runs, strict=True) if run not in runs.failed]
    low, high = p.margins
    holds = [low <= step <= high for step in ended] + [False] * len(runs.failed)
    steps = ", ".join(f"{step:.0f}" for step in ended) or "no"
    never = f"; {len(runs.failed)} of {len(runs.values)} never left it" if runs.failed else ""
    sentence = f"The warm-up of ResNet-110 ended after {steps} steps ({low:.0f} to {high:.0f} asked){never}."
    effect = sum(ended) / len(ended) - paper.WARMUP_STEPS if ended else float("nan")
    return _of(runs, counted(stats.count(holds, p.seeds), sentence, effect))


@claim("C24b")
def slow_start(e: Evidence, p: Planned) -> Finding:
    """When the training error first falls below chance at 0.1, as far as the evaluations of the run tell."""
    runs = runs_of(e, p.nets[0], "test_error", failures_count=True)
    if absent := missing_of("test_error", [runs]):
        return absent
    brackets = [_below_chance(e, run) for run in runs.runs]
    holds = [None if first < p.margin <= last else first >= p.margin for first, last in brackets]
    known = [hold for hold in holds if hold is not None]
    between = ", ".join(f"{first:.0f} to {last:.0f}" for first, last in brackets)
    sentence = f"Steps until the training error of ResNet-110 is below chance, without warm-up: {between}."
    return _of(runs, counted(stats.count(known, p.seeds) if len(known) == len(holds) else None, sentence))


@claim("C25")
def without_warmup(e: Evidence, p: Planned) -> Finding:
    """The recipe `nowarmup` gives the same test error as the paper's recipe, within the margin."""
    with_warmup, without = p.nets
    return alike(e, "test_error", without, with_warmup, p.margin, failures=True)


@claim("C26")
def resnet_110(e: Evidence, p: Planned) -> Finding:
    """Our mean and the paper's, of five runs each, are alike."""
    return near(e, "test_error", p.nets[0], papers_110(), p.margin)


@claim("C27")
def small_and_good(e: Evidence, p: Planned) -> Finding:
    """Fewer parameters than FitNet-19 and Highway-19 by counting, a lower error than every other row by test."""
    parameters = _parameters(e, 110)
    fewer = parameters < min(paper.HIGHWAY_PARAMETERS, paper.FITNET_PARAMETERS)
    count = counted(fewer, f"ResNet-110 has {parameters:,} parameters, FitNet-19 2.5 M, Highway-19 2.3 M.")
    return all_of(count, limit(e, "test_error", p.nets[0], p.margin, "less"))


@claim("C28")
def very_deep_trains(e: Evidence, p: Planned) -> Finding:
    """The training error of 1202 layers lies below the bound."""
    return limit(e, "train_error", p.nets[0], p.margin, "less", failures=True)


@claim("C29")
def very_deep_overfits(e: Evidence, p: Planned) -> Finding:
    """Worse in test, similar in training."""
    deep, very_deep = p.nets
    worse = higher(e, p, "test_error", very_deep, deep)
    return all_of(worse, alike(e, "train_error", very_deep, deep, p.margin, failures=False))


@claim("C30", in_miniature=True)
def smaller_responses(e: Evidence, p: Planned) -> Finding:
    """Plain against residual, at 20 and at 56 layers."""
    return all_of(*(higher(e, p, "response", plain, residual) for plain, residual in _twins(p)))


@claim("C31", in_miniature=True)
def shrinking_responses(e: Evidence, p: Planned) -> Finding:
    """Each layer changes the signal less in a deeper net."""
    return falls(e, "response", nets_in_scope(e, p))


def nets_in_scope(e: Evidence, p: Planned) -> list[PlannedNet]:
    """The nets that a claim looks at. A scaled-down comparison need not go to 110 layers; where it does, they count.

    Nor need public networks, of which two repositories must have 110 layers. A claim about such a net alone keeps it.
    """
    least = 2 if e.is_public else 1 if e.is_scaled_down else 0
    shallow = [net for net in p.nets if net.depth < 110 or len(e.net((net.depth, net.shortcut))) >= least]
    return shallow if len(shallow) > 1 else list(p.nets)


def _twins(p: Planned) -> list[tuple[PlannedNet, PlannedNet]]:
    """The plain and the residual net of each depth."""
    plain, residual = ([net for net in p.nets if net.is_plain is kind] for kind in (True, False))
    return list(zip(plain, residual, strict=True))


def _gap(plain: Runs, residual: Runs) -> Runs:
    """The difference in each seed that both have."""
    pairs = [
        (seed, one - residual.values[residual.seeds.index(seed)])
        for seed, one in zip(plain.seeds, plain.values, strict=True)
        if seed in residual.seeds
    ]
    name = f"{plain.net.depth} layers"
    seeds, values = tuple(seed for seed, _ in pairs), tuple(value for _, value in pairs)
    return Runs(name, plain.net, seeds, values, plain.runs + residual.runs, plain.theirs - residual.theirs)


def _below_chance(e: Evidence, run: str) -> tuple[float, float]:
    """Between which steps the training error of a run first falls below chance."""
    return first_below(e, run, plan().chance_error[e.comparison.dataset])


def _of(runs: Runs, finding: Finding) -> Finding:
    """A counted finding, with the runs that it was counted on."""
    return replace(finding, n=(len(runs.values),), failed=len(runs.failed), runs=runs.runs)


def _parameters(e: Evidence, depth: int) -> int:
    table = e.complexity
    row = table[(table["dataset"] == "cifar10") & (table["depth"] == str(depth)) & (table["shortcut"] == "A")]
    return int(row["parameters"].iloc[0])
