"""One update of a network, and how updates follow each other: launched by the host, or captured as a CUDA graph.

Nets this thin are bound by launches and by the host, not by arithmetic. So many updates share one pass through
Lightning, and on a GPU a whole update (gather, crop and flip, forward, loss, backward, SGD, counts) is launched as one
graph. Both paths run the same `update` on the same batches.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from itertools import pairwise
from typing import Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import Optimizer
from torch.utils.checkpoint import checkpoint

from study.data.images import Images
from study.recipes import WARMUP_WINDOW

AT_ONCE = WARMUP_WINDOW  # steps in one pass through Lightning, which costs as much as a small net's captured step
EAGER = 3  # steps before the capture: then momentum exists and cuDNN has chosen its kernels

Forward = Callable[[Tensor], Tensor]  # images (B, C, H, W) to scores (B, classes)
Count = Callable[[Tensor, Tensor, Tensor], None]  # of scores, labels and the mean loss
Update = Callable[[Tensor, Tensor], None]  # on images and labels


def update(
    forward: Forward,
    optimizer: Optimizer,
    count: Count,
    backward: Callable[[Tensor], object],
    images: Tensor,
    labels: Tensor,
) -> None:
    """One update on images (B, C, H, W) and labels (B,), counted; reads nothing back to the host.

    An autocast around many updates must not cache its casts of the weights, as they would stay; Lightning's does not.
    """
    scores = forward(images)
    loss = F.cross_entropy(scores, labels)
    optimizer.zero_grad()
    backward(loss)
    optimizer.step()
    count(scores.detach(), labels, loss.detach())


def ranges(first: int, stop: int, most: int) -> list[tuple[int, int]]:
    """The steps from first to stop as (first, stop) pairs, cut at the multiples of `most`."""
    cuts = range(first - first % most + most, stop, most)
    return list(pairwise([first, *cuts, stop])) if first < stop else []


class Steps(Protocol):
    """How steps are taken."""

    def expect(self, steps: range, rates: Sequence[float]) -> None:
        """Say which steps come next, and their learning rates."""

    def take(self, step: int) -> None:
        """Take the next of them."""


class PlainSteps:
    """Steps that the host launches operation by operation: on any device, any number of devices, any images."""

    def __init__(self, update: Update, optimizer: Optimizer, batch: Callable[[int], tuple[Tensor, Tensor]]) -> None:
        self.update, self.optimizer, self.batch = update, optimizer, batch
        self.rates: dict[int, float] = {}

    def expect(self, steps: range, rates: Sequence[float]) -> None:
        """Keep the rates; a batch is made when its step comes."""
        self.rates = dict(zip(steps, rates, strict=True))

    def take(self, step: int) -> None:
        """Take one step."""
        for group in self.optimizer.param_groups:
            group["lr"] = self.rates[step]
        self.update(*self.batch(step))


class ResidentSteps:
    """Steps that are all device work: what a step needs of the host lies in tables, read at a counter on the device.

    So every step is the same sequence of operations on the same memory, which is what a graph can replay.
    """

    def __init__(self, update: Update, optimizer: Optimizer, images: Images, seed: int) -> None:
        device, batch = images.train_labels.device, images.recipe.batch
        self.update, self.images, self.seed = update, images, seed
        self.plans = torch.zeros(AT_ONCE, 4, batch, dtype=torch.int64, device=device)
        self.rates = torch.zeros(AT_ONCE, device=device)
        self.rate = torch.zeros((), device=device)
        self.at = torch.zeros(1, dtype=torch.int64, device=device)
        for group in optimizer.param_groups:  # also after a checkpoint, which brings a number of its own
            group |= {"lr": self.rate, "fused": True, "foreach": False}

    def expect(self, steps: range, rates: Sequence[float]) -> None:
        """Upload the plans and rates of at most `AT_ONCE` steps.

        They are drawn while the device still works on the steps before; the upload then waits for those, so the host
        is never further ahead than that.
        """
        plans = self.images.plans(self.seed, steps)
        self.plans[: len(steps)].copy_(plans)
        self.rates[: len(steps)].copy_(torch.tensor(rates))
        self.at.zero_()

    def take(self, step: int) -> None:
        """Take one step."""
        self.rate.copy_(self.rates.index_select(0, self.at)[0])
        plan = self.plans.index_select(0, self.at)[0]
        self.at.add_(1)
        self.update(*self.images.crop(plan))


class GraphSteps:
    """Resident steps, the first few launched one by one on a side stream, then captured there once and replayed.

    The first ones are steps of the run like all others: nothing is computed twice or undone for the capture.
    """

    def __init__(self, steps: ResidentSteps) -> None:
        self.steps, self.expect = steps, steps.expect
        self.side: torch.cuda.Stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        self.taken = 0
        self.graph: torch.cuda.CUDAGraph | None = None

    def take(self, step: int) -> None:
        """Take one step."""
        if self.taken < EAGER:
            self._take_eagerly(step)
        else:
            self.graph = self.graph or self._capture(step)
            self.graph.replay()
        self.taken += 1

    def _take_eagerly(self, step: int) -> None:
        main = torch.cuda.current_stream()
        self.side.wait_stream(main)
        with torch.cuda.stream(self.side):
            self.steps.take(step)
        main.wait_stream(self.side)

    def _capture(self, step: int) -> torch.cuda.CUDAGraph:
        """Record one step without doing it; gradients lie in the graph's own memory from now on."""
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, stream=self.side):
            self.steps.take(step)
        return graph


@contextmanager
def uncounted_batches(net: nn.Module) -> Iterator[list[Tensor]]:
    """Inside, batch norms do not count their batches, which costs a launch per layer and step for nothing.

    Yields:
        Their counters, to be set when the steps are done: a state dict holds them.
    """
    norms = [module for module in net.modules() if isinstance(module, nn.BatchNorm2d)]
    counters = [norm.num_batches_tracked for norm in norms]
    for norm in norms:
        norm.num_batches_tracked = None
    try:
        yield [counter for counter in counters if counter is not None]
    finally:
        for norm, counter in zip(norms, counters, strict=True):
            norm.num_batches_tracked = counter


def compile_blocks(net: nn.Module) -> None:
    """Have torch fuse the elementwise work of every block; blocks of a kind share their code, at any depth.

    The bench compares it (`--arms=ours,compiled`); training does not use it, as no GPU has shown it to win yet.
    """
    torch._dynamo.config.recompile_limit = 64  # 8 otherwise, then silently no longer compiled
    for block in _blocks(net):
        block.compile()


def _blocks(net: nn.Module) -> list[nn.Module]:
    stages = [stage for name, stage in net.named_children() if name.startswith("stage")]
    return [block for stage in stages for block in stage.children()]


def in_segments(net: nn.Module, every: int) -> Forward:
    """The network, keeping activations only between segments of `every` blocks; the backward pass makes the rest again.

    Args:
        net: One of ours, with stem, stages, pool and head.
        every: Blocks in a segment.
    """
    blocks = _blocks(net)
    segments = [nn.Sequential(*blocks[i : i + every]) for i in range(0, len(blocks), every)]
    stem, pool, head = (net.get_submodule(name) for name in ("stem", "pool", "head"))

    def forward(images: Tensor) -> Tensor:
        x = stem(images)
        for segment in segments:
            contexts = partial(_first_and_again, segment)
            x = checkpoint(segment, x, use_reentrant=False, preserve_rng_state=False, context_fn=contexts)
        scores: Tensor = head(pool(x))
        return scores

    return forward


def _first_and_again(segment: nn.Module) -> tuple[AbstractContextManager[None], AbstractContextManager[None]]:
    return nullcontext(), _without_statistics(segment)


@contextmanager
def _without_statistics(segment: nn.Module) -> Iterator[None]:
    """A second pass over the same batch must not enter the running averages again: it enters with weight zero."""
    norms = [module for module in segment.modules() if isinstance(module, nn.BatchNorm2d)]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.momentum = 0.0
    try:
        yield
    finally:
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum
