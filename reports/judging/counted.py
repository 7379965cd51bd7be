"""The paper's claims that are counted: on networks without a run, and on what probes found in trained ones."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd

from reports.judging import stats
from reports.judging.claim import Finding, claim
from reports.judging.evidence import Evidence
from reports.judging.forms import counted
from reports.judging.plan import Planned
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
