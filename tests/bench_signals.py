"""What `--signals` costs: what it adds to an evaluation, as a share of that evaluation and the steps before it.

    OMP_NUM_THREADS=1 python -m tests.bench_signals --depth=56 --data=DATA

A benchmark, not a test: its numbers are those of a machine. docs/performance.md has some.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Callable
from pathlib import Path
from time import perf_counter

import torch
from torch import nn
from torch.nn import functional as F

from study import network
from study.data.datasets import load_in_memory
from study.data.images import Images
from study.probes.layers import norms, watch
from study.recipes import recipe_for
from study.spec import Spec


def main() -> None:
    """Measure in turns, and print the median of the shares with the smallest and the largest."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--depth", type=int, default=20)
    parser.add_argument("--shortcut", default="A")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--data", type=Path, default=Path("data"))
    options = parser.parse_args()
    spec = Spec("cifar10", options.depth, options.shortcut, "mini")
    found = sorted(shares(spec, options.data, options.rounds))
    middle = statistics.median(found)
    print(
        f"{spec.name}: --signals takes {middle:.2%} of a run ({found[0]:.2%} to {found[-1]:.2%}, {len(found)} rounds)"
    )


def shares(spec: Spec, data: Path, rounds: int) -> list[float]:
    """The share of each round, in which a step and a part of an evaluation are taken without and with the signals."""
    recipe = recipe_for(spec)
    arrays = load_in_memory(spec.dataset, data)
    images = Images(arrays, recipe, torch.device("cpu"))
    net = network.build(spec.dataset, spec.depth, spec.shortcut).to(memory_format=torch.channels_last)
    steps, tests = recipe.steps / recipe.evaluations, images.test_batch(0, arrays.evaluation_batch)[0]
    parts = arrays.test_size / arrays.evaluation_batch
    found = []
    for number in range(rounds):
        step = seconds(lambda at=number: take_step(net, *images.batch(spec.seed, at)))  # type: ignore[misc]
        bare, watched = (seconds(lambda way=way: way(net, tests)) for way in (evaluate, evaluate_watched))  # type: ignore[misc]
        found.append((watched - bare) / (steps * step + parts * bare))
    return found


def take_step(net: nn.Module, images: torch.Tensor, labels: torch.Tensor) -> None:
    """The passes of a step; the update adds a few per cent, and is left out."""
    net.train().zero_grad()
    F.cross_entropy(net(images), labels).backward()


@torch.no_grad()
def evaluate(net: nn.Module, images: torch.Tensor) -> None:
    """One part of an evaluation."""
    net.eval()(images)


def evaluate_watched(net: nn.Module, images: torch.Tensor) -> None:
    """The same with everything that `--signals` measures."""
    norms(net)
    with watch(net) as signals:
        evaluate(net, images)
    signals.measured()


def seconds(what: Callable[[], None]) -> float:
    """How long a call takes."""
    begun = perf_counter()
    what()
    return perf_counter() - begun


if __name__ == "__main__":
    main()
