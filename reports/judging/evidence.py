"""What claims are judged on: runs that may be compared, and the metrics of their networks."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import pandas as pd

from reports.gathering.snapshot import Snapshot
from reports.judging.comparison import Comparison, Net
from reports.judging.plan import PlannedNet, plan
from reports.judging.stats import Sample
from reports.paper import numbers as paper
from study.recipes import recipe_for
from study.spec import Spec, title

METRICS = {
    "train_error": "training error",
    "test_error": "test error",
    "train_curve": "training error averaged over the run",
    "train_stage1": "training error under the first learning rate",
    "train_stage2": "training error under the second learning rate",
    "train_stage3": "training error under the third learning rate",
    "early_error": "test error averaged over the first learning rate",
    "10crop/top1_error": "10-crop top-1 error",
    "10crop/top5_error": "10-crop top-5 error",
    "dense/top1_error": "multi-scale top-1 error",
    "dense/top5_error": "multi-scale top-5 error",
    "response": "mean response",
    "warm_until": "warm-up",
}


@dataclass(frozen=True)
class Evidence:
    """What the claims on one comparison may look at.

    Attributes:
        results: `Snapshot.results`: a row per run that counts.
        comparison: The data set and recipe whose runs are judged.
        complexity: Parameters and multiply-adds of every network (`reports/paper/complexity.csv`).
        failed: `Snapshot.failed`: a row per run that diverged.
        history: A row per run and evaluation.
        signals: What `study probe` found of each run's layers.
        is_public: Whether the runs are others', one of each network from each repository.
    """

    results: pd.DataFrame
    comparison: Comparison
    complexity: pd.DataFrame = field(default_factory=paper.complexity)
    failed: pd.DataFrame = field(default_factory=pd.DataFrame)
    history: pd.DataFrame = field(default_factory=pd.DataFrame)
    signals: pd.DataFrame = field(default_factory=pd.DataFrame)
    is_public: bool = False

    @classmethod
    def of(cls, snapshot: Snapshot, comparison: Comparison) -> Evidence:
        """The evidence of a snapshot."""
        failed, history, signals = snapshot.failed, snapshot.history, snapshot.signals
        return cls(snapshot.results, comparison, failed=failed, history=history, signals=signals)

    @property
    def said(self) -> str:
        """Whose networks they are, for readers."""
        return "networks that others published, tested by us" if self.is_public else self.comparison.title

    @property
    def slug(self) -> str:
        """The same in file names."""
        return "public" if self.is_public else self.comparison.slug

    @property
    def is_scaled_down(self) -> bool:
        """Whether the recipe is scaled down."""
        return self.comparison.scale == "toy"

    def net(self, net: Net, recipe: str | None = None) -> pd.DataFrame:
        """The runs of one network, a row per seed; under another recipe of the data set if one is named."""
        found = self._by_net.get((recipe or self.comparison.recipe, *net))
        return self._no_results if found is None else found

    def failures(self, net: Net, recipe: str | None = None) -> pd.DataFrame:
        """The runs of one network that diverged."""
        found = self._failed_by_net.get((recipe or self.comparison.recipe, *net))
        return self._no_failed if found is None else found

    def evaluations(self, run: str) -> pd.DataFrame:
        """The evaluations of one run."""
        rows: list[int] = self._evaluations.get(run, [])
        return self.history.iloc[rows]

    def title(self, net: Net) -> str:
        """The network in the paper's words."""
        return title(self.comparison.dataset, *net)

    def resolution(self, metric: str) -> float:
        """The least standard deviation of a metric that is believed."""
        return float(plan().resolution.get(self.comparison.dataset, {}).get(metric, 0.0))

    # A table is searched once for all networks, not for each: claims ask for them hundreds of times.

    @cached_property
    def _by_net(self) -> Mapping[Any, pd.DataFrame]:
        return _split(self.comparison, self.results)

    @cached_property
    def _failed_by_net(self) -> Mapping[Any, pd.DataFrame]:
        return _split(self.comparison, self.failed)

    @cached_property
    def _no_results(self) -> pd.DataFrame:
        return self.results.head(0)

    @cached_property
    def _no_failed(self) -> pd.DataFrame:
        return self.failed.head(0)

    @cached_property
    def _evaluations(self) -> Mapping[Any, Any]:
        return self.history.groupby("run").indices if len(self.history) else {}


def _split(comparison: Comparison, runs: pd.DataFrame) -> Mapping[Any, pd.DataFrame]:
    """The rows of runs on the images of a comparison, by recipe, depth and shortcut."""
    if runs.empty:
        return {}
    return dict(list(comparison.images(runs).groupby(["recipe", "depth", "shortcut"])))


@dataclass(frozen=True)
class Runs:
    """The runs of one network that have a metric.

    Attributes:
        name: The network, and its recipe where it is not the comparison's own.
        net: As the plan names it.
        seeds: The seed of each run.
        values: The metric of each run; a failed run has the error of guessing.
        runs: The names of the runs.
        theirs: The paper's own value; undefined where it gives none.
        failed: The names of those that failed.
    """

    name: str
    net: PlannedNet
    seeds: tuple[int, ...]
    values: tuple[float, ...]
    runs: tuple[str, ...]
    theirs: float = math.nan
    failed: frozenset[str] = frozenset()


def papers_110() -> Sample:
    """The paper's own five runs of ResNet-110 (Table 6)."""
    theirs = next(result for result in paper.CIFAR10 if result.depth == 110)
    assert theirs.mean is not None and theirs.std is not None
    return Sample(theirs.mean, theirs.std**2, paper.RUNS_OF_110 - 1, paper.RUNS_OF_110)


def runs_of(e: Evidence, net: PlannedNet, metric: str, failures_count: bool = False) -> Runs:
    """Collect a network's runs that have a metric, in the order of their seeds.

    Args:
        e: The evidence.
        net: The network.
        metric: A column of the results.
        failures_count: Whether runs that failed count, as the error of guessing. A run fails if it diverges, or if it
            ends in its warm-up: its recipe has one and `warm_until` is empty.
    """
    key = (net.depth, net.shortcut)
    found = e.net(key, net.recipe)
    measured = found[metric] if metric in found else [math.nan] * len(found)
    rows = [
        (int(seed), str(run), float(value))
        for seed, run, value in zip(found["seed"], found["run"], measured, strict=True)
    ]
    failed: set[str] = set()
    if failures_count:
        failed = failed_runs(e, key, net.recipe)
        diverged = e.failures(key, net.recipe)
        rows += [(int(run["seed"]), str(run["run"]), 0.0) for run in diverged.to_dict("records")]
    chance = plan().chance_error[e.comparison.dataset]
    kept = [(seed, run, chance if run in failed else value) for seed, run, value in sorted(rows)]
    kept = [row for row in kept if not math.isnan(row[2])]
    name = f"{e.title(key)} ({net.recipe})" if net.recipe else e.title(key)
    seeds, runs, values = zip(*kept, strict=True) if kept else ((), (), ())
    theirs = math.nan if net.recipe else paper.measured(e.comparison.dataset, *key).get(metric, math.nan)
    return Runs(name, net, seeds, values, runs, theirs, frozenset(failed) & {*runs})


def first_below(e: Evidence, run: str, level: float) -> tuple[float, float]:
    """Between which steps the training error of a run first falls below a level.

    Returns:
        The last evaluation before and the first one below; both infinite if it never is, 0 and infinity if the run has
        no evaluations.
    """
    mine = e.evaluations(run)
    if mine.empty:
        return 0.0, math.inf
    mine = mine.sort_values("step")
    steps, below = list(mine["step"]), list(mine["train/top1_error"] < level)
    if not any(below):
        return math.inf, math.inf
    first = below.index(True)
    return float(steps[first - 1]) if first else 0.0, float(steps[first])


def failed_runs(e: Evidence, net: Net, recipe: str | None = None) -> set[str]:
    """The names of a network's runs that failed: those that diverged, and those that ended in their warm-up."""
    found, diverged = e.net(net, recipe), e.failures(net, recipe)
    if not _warms_up(e, net, recipe):
        return {*diverged["run"]} if len(diverged) else set()
    until = found.get("warm_until", pd.Series(index=found.index, dtype=float))
    stuck = found.loc[until.isna(), "run"]
    return {*stuck, *diverged["run"]} if len(diverged) else {*stuck}


def values_of(e: Evidence, net: Net, metric: str) -> pd.Series[float]:
    """The metric of each seed that did not fail and has it, in the order of the seeds."""
    runs = e.net(net)
    if metric not in runs:
        return pd.Series(dtype=float)
    trained = runs.sort_values("seed").loc[lambda row: ~row["run"].isin(failed_runs(e, net))]
    return trained[metric].astype(float).dropna()


def _warms_up(e: Evidence, net: Net, recipe: str | None) -> bool:
    """Whether the recipe of a network has a warm-up that ends on a condition; of others' networks it is not known."""
    if e.is_public:
        return False
    spec = Spec(e.comparison.dataset, *net, recipe or e.comparison.recipe)  # type: ignore[arg-type]
    return recipe_for(spec).warmup_error is not None
