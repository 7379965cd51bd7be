"""What to train first for given hours: the full-length CIFAR-10 cells in an order, with the model's hours on H100s."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from heapq import heapreplace
from typing import NamedTuple

from tabulate import tabulate

from study.bench.gpu_model.model import GPUS, OPTIMISTIC, PESSIMISTIC, STEPS, WAYS, Bound, Way, run_minutes
from study.data.images import Arrays
from study.recipes import recipe_for
from study.spec import Spec
from study.sweeps.grid import cells, known_files

SHOWN = (WAYS[0], WAYS[-1])  # what a sweep takes without flags, and the fastest
MACHINES = (1, 8)  # GPUs


class Part(NamedTuple):
    """Cells that answer a question together, and that stand in no part before."""

    said: str
    has: Callable[[Spec], bool]


ORDER = (
    Part("20 and 56 layers, plain and residual, seed 0", lambda s: _is_papers(s, 20, 56) and s.seed == 0),
    Part("the same, five seeds", lambda s: _is_papers(s, 20, 56)),
    Part("32 and 44 layers, plain and residual, five seeds", lambda s: _is_papers(s, 32, 44)),
    Part("ResNet-110, five seeds", lambda s: _is_papers(s, 110) and s.shortcut == "A"),
    Part("plain-110, five seeds", lambda s: _is_papers(s, 110)),
    Part("ResNet-1202, seed 0", lambda s: _is_papers(s, 1202) and s.seed == 0),
    Part("other recipes: with and without warm-up, 45,000 images, three times as long", lambda s: s.recipe != "paper"),
    Part("ResNet-1202, seeds 1 to 4", lambda s: _is_papers(s, 1202)),
)


def _is_papers(spec: Spec, *depths: int) -> bool:
    return spec.recipe == "paper" and spec.depth in depths


def parts() -> Iterator[tuple[Part, list[Spec]]]:
    """Each part with its cells, the longest first."""
    files = (cells(path) for path in known_files().values())
    left = {spec for specs in files for spec in specs if spec.dataset == "cifar10" and recipe_for(spec).scale == "full"}
    for part in ORDER:
        mine = {spec for spec in left if part.has(spec)}
        left -= mine
        yield part, sorted(mine, key=lambda spec: (-recipe_for(spec).steps * spec.depth, spec.name))


def hours(specs: Iterable[Spec], gpus: int, way: Way, bound: Bound) -> float:
    """Until the last of the cells is trained: each on one H100, begun in their order on the first that is free."""
    free = [0.0] * gpus
    for spec in specs:
        minutes = run_minutes(spec.depth, way, GPUS[0], bound, Arrays.evaluation_batch) * recipe_for(spec).steps / STEPS
        heapreplace(free, free[0] + minutes / 60)
    return max(free)


def order_table() -> str:
    """The parts in their order with the hours until each is done, as Markdown."""
    heads = [f"{'one H100' if gpus == 1 else f'{gpus} H100s'}, {way.name}" for gpus in MACHINES for way in SHOWN]
    rows, done = [], list[Spec]()
    for part, specs in parts():
        done += specs
        rows.append([part.said, f"{len(specs)}", *(_span(done, gpus, way) for gpus in MACHINES for way in SHOWN)])
    align = ["left", *["right"] * (len(heads) + 1)]
    return tabulate(rows, ["train first", "runs", *heads], "github", disable_numparse=True, colalign=align)


def _span(specs: list[Spec], gpus: int, way: Way) -> str:
    low, high = (hours(specs, gpus, way, bound) for bound in (OPTIMISTIC, PESSIMISTIC))
    return f"{low:.1f} to {high:.1f} h"
