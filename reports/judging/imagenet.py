"""The paper's claims on ImageNet (Sec. 4.1, Tables 2 to 5, Fig. 4). See reports/plan.toml for the plan."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd

from reports.judging import stats
from reports.judging.claim import Finding, claim
from reports.judging.ensembles import ensembles
from reports.judging.evidence import Evidence, runs_of
from reports.judging.forms import alike, all_of, counted, falls, higher, limit
from reports.judging.plan import Planned
from reports.paper import numbers as paper

TOP1 = "10crop/top1_error"


@claim("C04", in_miniature=True)
def plain_test(e: Evidence, p: Planned) -> Finding:
    """The 10-crop error of plain-34 lies above that of plain-18."""
    shallow, deep = p.nets
    return higher(e, p, TOP1, deep, shallow, p.margin)


@claim("C05", in_miniature=True)
def plain_training(e: Evidence, p: Planned) -> Finding:
    """Higher under each learning rate, and at all but a few of the evaluations."""
    shallow, deep = p.nets
    stages = [higher(e, p, f"train_stage{i}", deep, shallow) for i in (1, 2, 3)]
    return all_of(*stages, _throughout(e, p))


@claim("C08")
def competitive(e: Evidence, p: Planned) -> Finding:
    """The 10-crop error lies below VGG-16's and the margin."""
    return limit(e, TOP1, p.nets[0], p.margin, "less")


@claim("C10")
def plain_bottlenecks(e: Evidence, p: Planned) -> Finding:
    """The training error of plain-101 lies above that of plain-50."""
    shallow, deep = p.nets
    return higher(e, p, "train_error", deep, shallow, p.margin)


@claim("C11", in_miniature=True)
def reversed_by_residuals(e: Evidence, p: Planned) -> Finding:
    """With residual nets the order of depths is reversed."""
    shallow, deep = p.nets
    return higher(e, p, TOP1, shallow, deep, p.margin)


@claim("C12", in_miniature=True)
def residual_training(e: Evidence, p: Planned) -> Finding:
    """Considerably lower in training, and lower in the last validation error."""
    shallow, deep = p.nets
    considerable = higher(e, p, "train_error", shallow, deep, p.margin)
    return all_of(considerable, higher(e, p, "test_error", shallow, deep))


@claim("C13", in_miniature=True)
def residual_against_plain(e: Evidence, p: Planned) -> Finding:
    """The 10-crop error of plain-34 lies above that of ResNet-34."""
    plain, residual = p.nets
    return higher(e, p, TOP1, plain, residual, p.margin)


@claim("C14", in_miniature=True)
def comparable(e: Evidence, p: Planned) -> Finding:
    """The 10-crop errors are equal, within the margin."""
    plain, residual = p.nets
    return alike(e, TOP1, plain, residual, p.margin, failures=False)


@claim("C15", in_miniature=True)
def faster(e: Evidence, p: Planned) -> Finding:
    """The test error under the first learning rate is lower on average."""
    plain, residual = p.nets
    return higher(e, p, "early_error", plain, residual, p.margin)


@claim("C16", in_miniature=True)
def every_option(e: Evidence, p: Planned) -> Finding:
    """Plain-34 has the higher 10-crop error against each option."""
    plain, *options = p.nets
    return all_of(*(higher(e, p, TOP1, plain, option, p.margin) for option in options))


@claim("C17", in_miniature=True)
def not_essential(e: Evidence, p: Planned) -> Finding:
    """A and C are alike, within the margin."""
    a, c = p.nets
    return alike(e, TOP1, a, c, p.margin, failures=False)


@claim("C17b", in_miniature=True)
def order_of_options(e: Evidence, p: Planned) -> Finding:
    """B below A, C below B."""
    return falls(e, TOP1, p.nets)


@claim("C18", in_miniature=True)
def deeper_is_better(e: Evidence, p: Planned) -> Finding:
    """Each deeper net against 34 layers, and the trend over the deeper nets, in four metrics; two in miniature."""
    shallow, *deeper = p.nets
    metrics = [metric for metric in p.metrics if not e.is_scaled_down or metric.startswith("10crop")]
    return all_of(
        *(higher(e, p, metric, shallow, net, p.margins["top5" in metric]) for metric in metrics for net in deeper),
        *(falls(e, metric, deeper) for metric in metrics),
    )


@claim("C20")
def beats_ensembles(e: Evidence, p: Planned) -> Finding:
    """A validation error against others' test errors, as in the paper."""
    return limit(e, "dense/top5_error", p.nets[0], p.margin, "less")


@claim("C20b")
def ensemble(e: Evidence, p: Planned) -> Finding:
    """The largest ensemble of the named networks by running averages; of equally large ones that with most errors."""
    runs = e.comparison.of(e.results)
    nets = {(net.depth, net.shortcut) for net in p.nets}
    named = {str(run) for run, *net in runs[["run", "depth", "shortcut"]].itertuples(index=False) if tuple(net) in nets}
    found = [one for one in ensembles(e) if one.averages == "running" and named.issuperset(one.members)]
    if not found:
        return Finding("No ensemble of ours is recorded.", missing=("an ensemble",))
    ours = max(found, key=lambda one: (len(one.members), one.top5_error))
    sentence = f"{len(ours.members)} networks together: {ours.top5_error:.2f} % on validation, bound {p.margin:g}."
    return replace(
        counted(ours.top5_error < p.margin, sentence, ours.top5_error - p.margin),
        theirs=paper.BEST_ENSEMBLE - p.margin,
        runs=ours.members,
    )


def _throughout(e: Evidence, p: Planned) -> Finding:
    """In which share of the evaluations the deeper plain net has the higher training error, by pairs of seeds."""
    shallow, deep = (runs_of(e, net, "train_curve") for net in p.nets)
    curves = [_curves(e.history, side.runs) for side in (shallow, deep)]
    both = [seed for seed in deep.seeds if seed in shallow.seeds]
    if not both or any(curve.empty for curve in curves):
        return Finding("No evaluations of both plain nets.", missing=("the history of plain-18 and plain-34",))
    shares = []
    for seed in both:
        lower = curves[0][shallow.runs[shallow.seeds.index(seed)]]
        upper = curves[1][deep.runs[deep.seeds.index(seed)]]
        shares.append(_share_above(lower, upper))
    listed = ", ".join(f"{100 * share:.0f} %" for share in shares)
    sentence = f"Higher in {listed} of the evaluations ({100 * p.margin:.0f} % asked)."
    holds = stats.count([share >= p.margin for share in shares], p.seeds)
    return replace(counted(holds, sentence), n=(len(both),), runs=(*shallow.runs, *deep.runs))


def _curves(history: pd.DataFrame, runs: tuple[str, ...]) -> pd.DataFrame:
    """The training error at each step, a column per run."""
    if history.empty:
        return pd.DataFrame()
    return history[history["run"].isin(runs)].pivot(index="step", columns="run", values="train/top1_error")


def _share_above(lower: pd.Series[float], upper: pd.Series[float]) -> float:
    """The share of the steps at which the one curve lies above the other."""
    difference = (upper - lower).dropna()
    return float((difference > 0).mean())
