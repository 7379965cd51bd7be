"""What W&B shows of a run beside its record: what the run is for, and how large its network is."""

from __future__ import annotations

from functools import cache

from study.recipes import recipe_for
from study.recording.wandb.description import About
from study.spec import Spec
from study.sweeps.grid import cells, known_files, purpose


@cache
def about(spec: Spec) -> About:
    """Describe the run of a cell, by the sweep file that has it, else by its recipe."""
    import torch

    from study.data.datasets import dataset_info
    from study.network import build, count

    with torch.random.fork_rng(devices=[]), torch.device("meta"):
        net = build(spec.dataset, spec.depth, spec.shortcut)
        parameters, macs = count(net, dataset_info(spec.dataset).image_size)
    return About(notes(spec), parameters, macs)


def notes(spec: Spec) -> str:
    """What a cell is for: the first sentence of its sweep file.

    >>> notes(Spec("cifar10", 110, "A", "paper", 3))
    'Table 6 and Fig. 6: ResNet-110, five runs.'
    >>> notes(Spec("digits", 8, "A", "smoke"))
    'Recipe smoke on digits: 40 steps of 64 images.'
    """
    if found := _purposes().get(spec):
        return found
    recipe = recipe_for(spec)
    return f"Recipe {spec.recipe} on {spec.dataset}: {recipe.steps:,} steps of {recipe.batch} images."


@cache
def _purposes() -> dict[Spec, str]:
    return {spec: purpose(file) for file in known_files().values() for spec in cells(file)}
