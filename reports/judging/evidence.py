"""What claims are judged on: runs that may be compared, and the metrics of their networks."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import pandas as pd

from reports.paper import numbers as paper
from study.recipes import RECIPES
from study.spec import FAMILIES, Family, title

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
        """The comparison in the report's words: ``digits, recipe mini``."""
        return f"{self.dataset}, recipe {self.recipe}"

    @property
    def slug(self) -> str:
        """The comparison in file names: ``digits-mini``."""
        return f"{self.dataset}-{self.recipe}"

    @property
    def scale(self) -> str:
        """`full` for the paper's own protocol and its variants, `toy` for one that is scaled down."""
        return RECIPES[self.dataset][self.recipe].scale

    @property
    def family(self) -> Family:
        """The family of networks that the data set is trained with."""
        return FAMILIES[self.dataset]

    @property
    def networks(self) -> tuple[Net, ...]:
        """The networks of the paper's own exhibits; none for a comparison that the paper does not have."""
        return paper.NETWORKS.get((self.dataset, self.recipe), ())

    def of(self, results: pd.DataFrame) -> pd.DataFrame:
        """The rows of these runs."""
        return results[(results["dataset"] == self.dataset) & (results["recipe"] == self.recipe)]


CIFAR, IMAGENET = Comparison("cifar10", "paper"), Comparison("imagenet", "paper")


@dataclass(frozen=True)
class Evidence:
    """What the claims on one comparison may look at.

    Attributes:
        results: `Snapshot.results`: a row per run that counts.
        comparison: The data set and recipe whose runs are judged.
        complexity: Parameters and multiply-adds of every network (`reports/paper/complexity.csv`).
    """

    results: pd.DataFrame
    comparison: Comparison
    complexity: pd.DataFrame = field(default_factory=paper.complexity)

    @property
    def is_scaled_down(self) -> bool:
        """Whether the recipe is scaled down."""
        return self.comparison.scale == "toy"

    def net(self, net: Net, recipe: str | None = None) -> pd.DataFrame:
        """The runs of one network, a row per seed; under another recipe of the data set if one is named."""
        comparison = replace(self.comparison, recipe=recipe or self.comparison.recipe)
        runs = comparison.of(self.results)
        return runs[(runs["depth"] == net[0]) & (runs["shortcut"] == net[1])]

    def title(self, net: Net) -> str:
        """The network in the paper's words."""
        return title(self.comparison.dataset, *net)


def seeds(runs: pd.DataFrame, metric: str) -> list[float]:
    """The metric of each run that has it."""
    return [float(value) for value in runs[metric].dropna()] if metric in runs else []
