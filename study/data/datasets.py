"""All data sets of the study, and loading one by its name."""

from __future__ import annotations

from pathlib import Path

from study.data import cifar10, digits
from study.data.imagenet import dataset as imagenet
from study.data.images import Arrays
from study.data.interface import DataSet, DataSetInfo
from study.data.tinyimagenet import dataset as tinyimagenet
from study.recipes import RECIPES, recipe_for
from study.spec import InputError, Spec, check_choice

DATA_SETS: tuple[DataSetInfo, ...] = (
    digits.INFO,
    cifar10.INFO,
    imagenet.INFO,
    tinyimagenet.INFO,
)


def dataset_info(name: str) -> DataSetInfo:
    """Look up the description of a data set.

    Raises:
        InputError: there is no such data set; the message names those that there are.

    >>> dataset_info("cifar10").title
    'CIFAR-10'
    """
    infos = {info.name: info for info in DATA_SETS}
    check_choice("dataset", name, tuple(infos))
    return infos[name]


def load_dataset(spec: Spec, data: Path) -> DataSet:
    """Load the images that a cell is trained and tested on.

    Args:
        spec: The cell.
        data: The folder that holds the data sets.

    Raises:
        InputError: the images are missing or corrupt, or are a subset although the recipe is the paper's.
    """
    dataset = dataset_info(spec.dataset).load(data)
    if dataset.extent and recipe_for(spec).scale == "full":
        raise InputError(_subset_message(spec, dataset, data))
    return dataset


def _subset_message(spec: Spec, dataset: DataSet, data: Path) -> str:
    smaller = [f"--recipe={name}" for name, recipe in RECIPES[spec.dataset].items() if recipe.scale == "toy"]
    return (
        f"{dataset_info(spec.dataset).title} in {data} is declared a subset ({dataset.extent}), "
        f"which cannot stand for the paper's; train with {' or '.join(smaller)}"
    )


def load_in_memory(name: str, data: Path) -> Arrays:
    """Load a data set that fits into memory.

    Args:
        name: The name of the data set.
        data: The folder that holds the data sets.

    Raises:
        InputError: the images are missing or corrupt, or do not fit into memory.
    """
    info = dataset_info(name)
    dataset = info.load(data)
    if not isinstance(dataset, Arrays):
        fitting = ", ".join(info.name for info in DATA_SETS if info.in_memory)
        raise InputError(f"{info.title} does not fit into memory, which is needed here; choose one of: {fitting}")
    return dataset
