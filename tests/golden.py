"""What must never change unnoticed: data sets, recipes, batches, visiting order, initial weights, sizes.

    python -m tests.golden --write      compute tests/golden.json again; say why in CHANGELOG.md under "Changes numbers"

A change of any of these values ends the comparability of new runs with all recorded ones.
"""

from __future__ import annotations

import hashlib
import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from study.commands import complexity
from study.data.digits import load_digits
from study.data.imagenet.readers import plan as imagenet_plan
from study.data.images import plan as crop_plan
from study.data.sampling import visited
from study.network import build
from study.recipes import RECIPES, ImageNetRecipe

FILE = Path(__file__).parent / "golden.json"
POINTS = ((0, 0), (0, 1_000), (3, 64_000))  # seed and step
IMAGES = {"digits": 1_437, "cifar10": 50_000, "imagenet": 1_281_167, "tinyimagenet": 100_000}
NETS = (("digits", 8, "A"), ("cifar10", 20, "none"), ("cifar10", 20, "B"), ("imagenet", 18, "C"), ("imagenet", 50, "B"))
# The published one of CIFAR-10: a test with the official images compares.
CIFAR10 = "8b498b590fb068e9bba100bf76d66281b4873decd42f6e434612511c84623606"


def golden() -> dict[str, Any]:
    """Everything that is compared, as JSON has it."""
    return {
        "fingerprints": {"digits": load_digits().fingerprint, "cifar10": CIFAR10},
        "recipes": {dataset: _recipes(dataset) for dataset in RECIPES},
        "plans": {dataset: [_plan(dataset, *point) for point in POINTS] for dataset in IMAGES},
        "visited": {name: visited(IMAGES[name], *order).tolist() for name, order in VISITED.items()},
        "initial_weights": {f"{d}-{n}-{s}": _weights(d, n, s) for d, n, s in NETS},
    }


VISITED = {"digits": (64, 0, 22), "cifar10": (128, 0, 390)}  # batch, seed, and a step across the end of an epoch


def _recipes(dataset: str) -> dict[str, Any]:
    """Every recipe as provenance.json stores it and a resumed run compares it."""
    return {name: json.loads(json.dumps(asdict(recipe))) for name, recipe in RECIPES[dataset].items()}


def _plan(dataset: str, seed: int, step: int) -> str:
    """A digest of one batch plan; light is rounded, as its last bits depend on the processor's matrix product."""
    recipe = RECIPES[dataset]["mini" if dataset == "digits" else "paper"]
    make = imagenet_plan if isinstance(recipe, ImageNetRecipe) else crop_plan
    digest = hashlib.sha256()
    for field in make(recipe, IMAGES[dataset], seed, step):  # type: ignore[arg-type]
        values = np.round(field, 4) + 0.0 if field.dtype == np.float32 else field
        digest.update(f"{values.dtype}{values.shape}".encode() + values.tobytes())
    return digest.hexdigest()


def _weights(dataset: str, depth: int, shortcut: str) -> dict[str, list[float]]:
    """Mean and standard deviation of every layer that is drawn at random, seed 0."""
    torch.manual_seed(0)
    layers = {n: m for n, m in build(dataset, depth, shortcut).named_modules() if isinstance(m, nn.Conv2d | nn.Linear)}
    drawn = {name: layer.weight.detach().double() for name, layer in layers.items()}
    return {name: [round(float(w.mean()), 7), round(float(w.std()), 7)] for name, w in drawn.items()}


def counts() -> dict[str, list[int]]:
    """Trainable parameters and multiply-adds of every network of the paper; apart, as counting takes half a minute."""
    return {f"{row[0]}-{row[2]}-{row[3]}": list(row[4:]) for row in complexity.rows() if row[2]}


def main() -> None:
    """Write the file."""
    if sys.argv[1:] != ["--write"]:
        sys.exit(__doc__)
    FILE.write_text(json.dumps(golden() | {"counts": counts()}, indent=1) + "\n")


if __name__ == "__main__":
    main()
