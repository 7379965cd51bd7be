"""The paper's claims that are counted: on networks without a run, and on what probes found in trained ones."""

from __future__ import annotations

import math
from dataclasses import replace

import pandas as pd

from reports.judging import stats
from reports.judging.claim import Finding, claim
from reports.judging.evidence import Evidence, first_below, runs_of
from reports.judging.forms import counted
from reports.judging.plan import Planned, PlannedNet
from reports.paper import numbers as paper


@claim("C07", in_miniature=True)
def healthy_gradients(e: Evidence, p: Planned) -> Finding:
    """How far the layers' gradients are apart, in plain nets over their residual twins, at each moment of the probe."""
    ratios = _gradient_ratios(e)
    pairs = ratios.merge(ratios, on=["depth", "seed", "moment"], suffixes=("_plain", "_residual"))
    pairs = pairs[(pairs["shortcut_plain"] == "none") & (pairs["shortcut_residual"] == "A")]
    absent = [str(depth) for depth in sorted({net.depth for net in p.nets}) if depth not in set(pairs["depth"])]
    if absent:
        names = tuple(f"probes of plain-{depth} and ResNet-{depth}" for depth in absent)
        return Finding(f"No {' and no '.join(names)} of one seed.", missing=names)
    times = pairs["ratio_plain"] / pairs["ratio_residual"]
    worst = times.groupby([pairs["depth"], pairs["seed"]]).max()
    at_each = times.groupby(pairs["moment"], sort=False).max()
    listed = ", ".join(f"{moment} {value:.1f}" for moment, value in at_each.items())
    sentence = (
        f"Spread of the layers' gradients, plain over residual, at most: {listed} times (up to {p.margin:g} asked)."
    )
    seeds = tuple(int(found) for found in pairs.groupby("depth")["seed"].nunique())
    found = counted(stats.count(list(worst <= p.margin), p.seeds * len(seeds)), sentence, float(worst.max()))
    return replace(found, n=seeds, runs=tuple(sorted({*pairs["run_plain"], *pairs["run_residual"]})))


@claim("C19")
def less_than_vgg(e: Evidence, p: Planned) -> Finding:
    """Multiply-adds of ResNet-152 against both VGG nets."""
    ours, others = _count(e, depth="152"), [_count(e, net=name) for name in ("VGG-16", "VGG-19")]
    sentence = (
        f"1e9 multiply-adds: ResNet-152 {ours / 1e9:.2f}, VGG-16 {others[0] / 1e9:.2f}, VGG-19 {others[1] / 1e9:.2f}."
    )
    return counted(ours < min(others), sentence, (ours - min(others)) / 1e9)


@claim("C32")
def no_parameters(e: Evidence, p: Planned) -> Finding:
    """Parameters of plain and option-A nets at each depth of Table 6, and against the numbers that it prints."""
    nets = e.complexity[(e.complexity["dataset"] == "cifar10") & e.complexity["shortcut"].isin(["none", "A"])]
    millions = nets.set_index(["depth", "shortcut"])["parameters"] / 1e6
    equal = [depth for depth, twins in millions.groupby("depth") if twins.nunique() == 1]
    printed = [_as_printed(float(millions[str(r.depth), r.shortcut]), r.parameters_millions, p) for r in paper.CIFAR10]
    sentence = (
        f"Parameters of plain and option-A nets agree at {len(equal)} of 6 depths; "
        f"{sum(printed)} of {len(printed)} are as printed."
    )
    return counted(len(equal) == nets["depth"].nunique() and all(printed), sentence)


@claim("C34")
def projection_doubles(e: Evidence, p: Planned) -> Finding:
    """The block of Fig. 5 right, with its identity replaced by a projection."""
    size, work = (_ratio(e, column) for column in p.metrics)
    low, high = p.margins
    sentence = f"A projection multiplies a bottleneck's parameters by {size:.2f} and its multiply-adds by {work:.2f}."
    return counted(low < size < high and low < work < high, sentence, size)


@claim("C35", in_miniature=True)
def convergence_rates(e: Evidence, p: Planned) -> Finding:
    """How many times as many steps 56 layers take as 20 to the level, in plain and in residual nets, by seed."""
    level, bound = p.margins
    found = [_steps_to(e, net, level) for net in p.nets]
    names = [e.title((net.depth, net.shortcut)) for net in p.nets]
    seeds = sorted(set.intersection(*(set(steps) for steps in found)))
    if not seeds:
        absent = tuple(name for name, steps in zip(names, found, strict=True) if not steps) or ("a seed of all four",)
        return Finding(f"No run of {' and '.join(absent)} with its evaluations.", missing=absent)
    times = [[found[i + 1][seed][1] / found[i][seed][1] for i in (0, 2)] for seed in seeds]
    holds = [plain > bound > residual for plain, residual in times]
    listed = "; ".join(f"plain {_times(plain)}, residual {_times(residual)}" for plain, residual in times)
    sentence = f"Steps to {level:g} % training error at 56 layers over those at 20: {listed}."
    runs = tuple(steps[seed][0] for steps in found for seed in seeds)
    effect = sum(plain for plain, _ in times) / len(times)
    done = counted(stats.count(holds, p.seeds), sentence, effect if math.isfinite(effect) else math.nan)
    return replace(done, theirs=_papers_times(level), n=(len(seeds),) * len(p.nets), runs=runs)


def _steps_to(e: Evidence, net: PlannedNet, level: float) -> dict[int, tuple[str, float]]:
    """The run and the step of the first evaluation with a training error below the level, by seed."""
    side = runs_of(e, net, "test_error")
    between = [first_below(e, run, level) for run in side.runs]
    rows = zip(side.seeds, side.runs, between, strict=True)
    return {seed: (run, first) for seed, run, (last, first) in rows if (last, first) != (0.0, math.inf)}


def _times(value: float) -> str:
    """A ratio of steps: ``5.0 times``; infinite or undefined if a net never gets to the level."""
    return f"{value:.1f} times" if math.isfinite(value) else "without end"


def _papers_times(level: float) -> float:
    """The same ratio on the digitised curves of Fig. 6's plain nets."""
    curves = paper.curves("fig6_plain.csv").query("split == 'train' and error < @level")
    first = curves.groupby("net")["step"].min()
    return float(first["plain-56"] / first["plain-20"])


def _gradient_ratios(e: Evidence) -> pd.DataFrame:
    """The largest gradient of a run's layers over the smallest, at each moment: a row per run and moment."""
    runs = e.comparison.of(e.results)[["run", "depth", "shortcut", "seed"]]
    if e.signals.empty:
        return pd.DataFrame(columns=[*runs.columns, "moment", "ratio"])
    spread = e.signals.groupby(["run", "moment"], sort=False)["gradient"].agg(["min", "max"])
    ratios = (spread["max"] / spread["min"]).rename("ratio").reset_index()
    return ratios.merge(runs, on="run")


def _as_printed(ours: float, theirs: float, p: Planned) -> bool:
    """Whether a count rounds to what the paper prints: two decimals below a million, one above."""
    return abs(ours - theirs) <= p.margins[theirs > 1]


def _count(e: Evidence, net: str = "", depth: str = "") -> int:
    table = e.complexity
    rows = table[(table["dataset"] == "imagenet") & (table["net"] == net) & (table["depth"] == depth)]
    return int(rows["multiply_adds"].iloc[0])


def _ratio(e: Evidence, column: str) -> float:
    blocks = e.complexity.query("dataset == 'block' and net == 'bottleneck'").set_index("shortcut")[column]
    return float(blocks["C"] / blocks["A"])
