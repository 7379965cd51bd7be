"""Values that recorded runs rest on: a change must be meant, and said in CHANGELOG.md."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from reports.paper import numbers as paper
from study.data.cifar10 import load_cifar10
from tests import golden

STORED = json.loads(golden.FILE.read_text())
MEANT = "if this change is meant: python -m tests.golden --write, and say so in CHANGELOG.md"


@pytest.fixture(scope="module")
def now() -> dict[str, object]:
    return golden.golden()


@pytest.mark.parametrize("part", ["fingerprints", "recipes", "plans", "visited"])
def test_what_runs_rest_on_is_as_it_was(now: dict[str, object], part: str) -> None:
    assert now[part] == STORED[part], MEANT


def test_counts_are_as_they_were() -> None:
    """In the report's table, which tests/test_network.py holds against the networks."""
    networks = paper.complexity().query("depth != ''")
    names = networks["dataset"] + "-" + networks["depth"] + "-" + networks["shortcut"]
    counts = networks[["parameters", "multiply_adds"]].to_numpy().tolist()
    assert dict(zip(names, counts, strict=True)) == STORED["counts"], MEANT


@pytest.mark.parametrize("net", STORED["initial_weights"])
def test_initial_weights_are_as_they_were(now: dict[str, dict[str, object]], net: str) -> None:
    """Every layer's mean and deviation: the draw itself may differ in its last bits between processors."""
    layers, stored = now["initial_weights"][net], STORED["initial_weights"][net]
    assert set(layers) == set(stored), MEANT
    for name, values in stored.items():
        assert layers[name] == pytest.approx(values, abs=1e-6), f"{name}: {MEANT}"


def test_the_official_images_have_their_fingerprint(cifar10: Path) -> None:
    assert load_cifar10(cifar10).fingerprint == STORED["fingerprints"]["cifar10"]
