"""A model of the time that a step takes on a GPU, from its counted kernels. No GPU has confirmed it.

Each kernel takes a time of its own, between two bounds, and kernels follow each other without a gap, as in a captured
graph. Blocks are alike, so what a network costs is linear in its depth: 20 and 32 layers are counted, others follow.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from study.bench.gpu_model.kernels import Kernel, Path, evaluation_kernels, step_kernels

STEPS, EVALUATIONS, TEST_IMAGES = 64_000, 64, 10_000
COUNTED = (20, 32)  # layers


@dataclass(frozen=True)
class Gpu:
    """A GPU as the model sees it.

    Attributes:
        name: Of the GPU.
        memory: Bytes per second that large copies reach.
        products: Operations per second that large matrix products reach in bf16; in TF32 half of them.
    """

    name: str
    memory: float
    products: float


GPUS = (Gpu("H100", 3.0e12, 790e12), Gpu("H200", 4.3e12, 790e12))


@dataclass(frozen=True)
class Bound:
    """One end of what the model thinks possible.

    Attributes:
        shortest: Seconds of the shortest kernel.
        share: Of the rate of large matrix products that convolutions of 16 to 64 channels reach.
        adds: Whether a kernel takes its memory traffic's time after the shortest one's, rather than the longer of them.
        host: Seconds that the host takes to launch an operation of an evaluation, which isn't captured.
    """

    shortest: float
    share: float
    adds: bool
    host: float


OPTIMISTIC = Bound(shortest=2.0e-6, share=0.2, adds=False, host=6e-6)
PESSIMISTIC = Bound(shortest=2.5e-6, share=0.1, adds=True, host=10e-6)


class Way(NamedTuple):
    """A way to take a step: its precision, and the forward that is captured."""

    half: bool
    path: Path

    @property
    def name(self) -> str:
        """As ``--precision`` and ``--step`` say it."""
        return f"{'bf16' if self.half else 'tf32'}, {self.path}"


WAYS = (Way(False, "graph"), Way(True, "graph"), Way(False, "fused-graph"), Way(True, "fused-graph"))


def launches(depth: int, way: Way) -> int:
    """Kernels of one training step, at least."""
    return round(_linear(depth, [len(step_kernels(each, *way)) for each in COUNTED]))


def gigabytes(depth: int, way: Way) -> float:
    """What the kernels of one training step read and write, in 10^9 bytes."""
    return _linear(depth, [sum(kernel.bytes for kernel in step_kernels(each, *way)) for each in COUNTED]) / 1e9


def step_seconds(depth: int, way: Way, gpu: Gpu, bound: Bound) -> float:
    """Seconds of one captured training step."""
    return _linear(depth, [_seconds(step_kernels(each, *way), way, gpu, bound, 0) for each in COUNTED])


def run_minutes(depth: int, way: Way, gpu: Gpu, bound: Bound, part: int) -> float:
    """Minutes of the paper's 64,000 steps with 64 evaluations, in parts of so many test images."""
    parts = [evaluation_kernels(each, way.half, part) for each in COUNTED]
    evaluation = _linear(depth, [_seconds(kernels, way, gpu, bound, bound.host) for kernels in parts])
    each = EVALUATIONS * TEST_IMAGES / part
    return (STEPS * step_seconds(depth, way, gpu, bound) + each * evaluation) / 60


def _linear(depth: int, counted: list[float] | list[int]) -> float:
    """Continue the line through two depths."""
    first, second = COUNTED
    return counted[0] + (depth - first) * (counted[1] - counted[0]) / (second - first)


def _seconds(kernels: Iterable[Kernel], way: Way, gpu: Gpu, bound: Bound, host: float) -> float:
    return sum(max(host, _kernel_seconds(kernel, way, gpu, bound)) for kernel in kernels)


def _kernel_seconds(kernel: Kernel, way: Way, gpu: Gpu, bound: Bound) -> float:
    rate = gpu.products * bound.share / (1 if way.half else 2)
    work = max(kernel.bytes / gpu.memory, kernel.operations / rate)
    return bound.shortest + work if bound.adds else max(bound.shortest, work)
