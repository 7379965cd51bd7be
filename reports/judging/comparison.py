"""Which runs may be compared: those on the same images under one recipe."""

from __future__ import annotations

import re
from dataclasses import dataclass

import pandas as pd

from reports.paper import numbers as paper
from study.recipes import RECIPES, starts_from_copy
from study.spec import FAMILIES, Family

Net = tuple[int, str]  # depth and shortcut

DATASETS = {"cifar10": "CIFAR-10", "imagenet": "ImageNet", "tinyimagenet": "Tiny ImageNet"}  # as readers know them


@dataclass(frozen=True)
class Comparison:
    """Runs that may be compared: one data set, or one part of it, under one recipe.

    Attributes:
        dataset: Its name.
        recipe: Its name.
        extent: Which part of the published data set it was: ``100 of 200 classes``; empty for all of it.
    """

    dataset: str
    recipe: str
    extent: str = ""

    @classmethod
    def among(cls, runs: pd.DataFrame) -> list[Comparison]:
        """The comparisons that some runs belong to, by their names."""
        parts = runs.assign(extent=_extents(runs))[["dataset", "recipe", "extent"]].drop_duplicates()
        return sorted((cls(*each) for each in parts.itertuples(index=False)), key=lambda each: each.name)

    @property
    def is_from_copy(self) -> bool:
        """Whether its networks started as copies of trained ones, so that they say nothing of the paper's claims."""
        return starts_from_copy(self.dataset, self.recipe)

    @property
    def name(self) -> str:
        """The comparison in the report's words: ``digits, recipe mini``."""
        return ", ".join([self.dataset, *([self.extent] if self.extent else []), f"recipe {self.recipe}"])

    @property
    def title(self) -> str:
        """The comparison for readers: ``CIFAR-10, the paper's recipe``, ``digits, scaled down (mini)``."""
        part = f" ({self.extent})" if self.extent else ""
        return f"{DATASETS.get(self.dataset, self.dataset)}{part}, {self._kind}"

    @property
    def _kind(self) -> str:
        if self.scale == "toy":
            return f"scaled down ({self.recipe})"
        return "the paper's recipe" if self.recipe == "paper" else f"variant {self.recipe}"

    @property
    def slug(self) -> str:
        """The comparison in file names: ``digits-mini``."""
        part = re.sub(r"\W+", "-", f"-{self.extent}") if self.extent else ""
        return f"{self.dataset}-{self.recipe}{part}"

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
        images = self.images(results)
        return images[images["recipe"] == self.recipe]

    def images(self, results: pd.DataFrame) -> pd.DataFrame:
        """The rows of all runs on the same images, under whatever recipe."""
        return results[(results["dataset"] == self.dataset) & (_extents(results) == self.extent)]


def _extents(runs: pd.DataFrame) -> pd.Series[str]:
    """The extent of each run's images, empty for the whole of a data set."""
    return runs["extent"].fillna("") if "extent" in runs else pd.Series("", runs.index)


CIFAR, IMAGENET = Comparison("cifar10", "paper"), Comparison("imagenet", "paper")
