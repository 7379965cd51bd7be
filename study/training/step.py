"""One update of a network, and how updates follow each other: launched by the host, or captured as a CUDA graph.

Thin networks are limited by kernel launches and by the host, not by arithmetic. Many updates therefore share one pass
through Lightning, and on a GPU a whole update (gather, crop and flip, forward, loss, backward, SGD, counts) is launched
as one graph. Both ways run the same `update` on the same batches.
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

STEPS_PER_CALL = WARMUP_WINDOW  # a pass through Lightning costs as much as one captured step of a small network
EAGER_STEPS = 3  # steps before the capture: after them momentum exists and cuDNN has chosen its kernels

Forward = Callable[[Tensor], Tensor]  # images (B, C, H, W) to logits (B, classes)
Count = Callable[[Tensor, Tensor, Tensor], None]  # takes logits, labels and the mean loss
Update = Callable[[Tensor, Tensor], None]  # takes images and labels


def update(
    forward: Forward,
    optimizer: Optimizer,
    count: Count,
    backward: Callable[[Tensor], object],
    images: Tensor,
    labels: Tensor,
) -> None:
    """Take one step of SGD and count its errors; nothing is read back to the host.

    An autocast around many updates must not cache its casts of the weights, or all updates would use the first ones.
    Lightning's does not.

    Args:
        forward: The network.
        optimizer: Of its parameters.
        count: Called with the logits, the labels and the mean loss.
        backward: Called with the loss.
        images: (B, C, H, W).
        labels: (B,).
    """
    logits = forward(images)
    loss = F.cross_entropy(logits, labels)
    optimizer.zero_grad()
    backward(loss)
    optimizer.step()
    count(logits.detach(), labels, loss.detach())


def ranges(first: int, stop: int, limit: int) -> list[tuple[int, int]]:
    """Divide the steps from first up to stop into (first, stop) pairs, cut at the multiples of `limit`.

    Example:
        >>> ranges(30, 120, 50)
        [(30, 50), (50, 100), (100, 120)]
    """
    cuts = range(first - first % limit + limit, stop, limit)
    return list(pairwise([first, *cuts, stop])) if first < stop else []


class Steps(Protocol):
    """A way to take steps."""

    def expect(self, steps: range, rates: Sequence[float]) -> None:
        """Announce the next steps and their learning rates."""

    def take(self, step: int) -> None:
        """Take the next of the announced steps."""


class PlainSteps:
    """Steps that the host launches operation by operation: for any device, any number of devices, any images.

    Args:
        update: What a step does.
        optimizer: The one that it uses, whose learning rate is set before each step.
        batch: Makes the images and labels of a step.
        single: Round the learning rates to 32 bits, as a captured step reads them. On a GPU the two then do the same.
    """

    def __init__(
        self,
        update: Update,
        optimizer: Optimizer,
        batch: Callable[[int], tuple[Tensor, Tensor]],
        single: bool = False,
    ) -> None:
        self.update, self.optimizer, self.batch, self.single = update, optimizer, batch, single
        self.rates: dict[int, float] = {}

    def expect(self, steps: range, rates: Sequence[float]) -> None:
        """Keep the rates; a batch is made when its step is taken."""
        kept = torch.tensor(rates, dtype=torch.float32).tolist() if self.single else rates
        self.rates = dict(zip(steps, kept, strict=True))

    def take(self, step: int) -> None:
        """Take one step."""
        for group in self.optimizer.param_groups:
            group["lr"] = self.rates[step]
        self.update(*self.batch(step))


class ResidentSteps:
    """Steps that need nothing from the host: crops and learning rates are in tables on the device, read at a counter.

    Every step is then the same sequence of operations on the same memory, which is what a CUDA graph can replay.
    """

    def __init__(self, update: Update, optimizer: Optimizer, images: Images, seed: int) -> None:
        device, batch = images.train_labels.device, images.recipe.batch
        self.update, self.images, self.seed = update, images, seed
        self.plans = torch.zeros(STEPS_PER_CALL, 4, batch, dtype=torch.int64, device=device)
        self.rates = torch.zeros(STEPS_PER_CALL, device=device)
        self.rate = torch.zeros((), device=device)
        self.at = torch.zeros(1, dtype=torch.int64, device=device)
        for group in optimizer.param_groups:  # a checkpoint that was loaded has put a number in place of the tensor
            group |= {"lr": self.rate, "fused": True, "foreach": False}

    def expect(self, steps: range, rates: Sequence[float]) -> None:
        """Upload the crop plans and rates of at most `STEPS_PER_CALL` steps.

        The plans are drawn while the device still works on the steps before. The upload waits for those, so the host is
        never further ahead than one call.
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
    """Resident steps as a CUDA graph: a few are launched on a side stream, the next is captured there and replayed.

    The first ones are steps of the run like all others: nothing is computed twice or undone for the capture.
    """

    def __init__(self, steps: ResidentSteps) -> None:
        self.steps, self.expect = steps, steps.expect
        self.side: torch.cuda.Stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        self.taken = 0
        self.graph: torch.cuda.CUDAGraph | None = None

    def take(self, step: int) -> None:
        """Take one step."""
        if self.taken < EAGER_STEPS:
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
        """Capture one step without taking it; gradients live in the graph's own memory from then on."""
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, stream=self.side):
            self.steps.take(step)
        return graph


@contextmanager
def uncounted_batches(net: nn.Module) -> Iterator[list[Tensor]]:
    """Keep the batch norms from counting their batches, which costs a useless launch per layer and step.

    Yields:
        Their counters, which are part of the state dict; set them when the steps are taken.
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


def blocks(net: nn.Module) -> list[nn.Module]:
    """The blocks of a network of this study, in the order in which images pass them."""
    stages = [stage for name, stage in net.named_children() if name.startswith("stage")]
    return [block for stage in stages for block in stage.children()]


def in_segments(net: nn.Module, every: int) -> Forward:
    """The forward pass of a network, keeping activations only between segments; the backward pass recomputes the rest.

    Args:
        net: A network of this study, with stem, stages, pool and head.
        every: Number of blocks in a segment.
    """
    parts = blocks(net)
    segments = [nn.Sequential(*parts[i : i + every]) for i in range(0, len(parts), every)]
    stem, pool, head = (net.get_submodule(name) for name in ("stem", "pool", "head"))

    def forward(images: Tensor) -> Tensor:
        x = stem(images)
        for segment in segments:
            contexts = partial(_contexts, segment)
            x = checkpoint(segment, x, use_reentrant=False, preserve_rng_state=False, context_fn=contexts)
        logits: Tensor = head(pool(x))
        return logits

    return forward


def _contexts(segment: nn.Module) -> tuple[AbstractContextManager[None], AbstractContextManager[None]]:
    """The contexts of a segment's first pass and of its recomputation."""
    return nullcontext(), without_statistics(segment)


@contextmanager
def without_statistics(net: nn.Module) -> Iterator[None]:
    """Keep a pass out of the running averages of a network, or of a part of one: it enters them with weight zero."""
    norms = [module for module in net.modules() if isinstance(module, nn.BatchNorm2d)]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.momentum = 0.0
    try:
        yield
    finally:
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum


def gradient_norm(net: nn.Module) -> float:
    """The Euclidean norm of all gradients together; nan where there are none."""
    gradients = [p.grad for p in net.parameters() if p.grad is not None]
    return float(torch.nn.utils.get_total_norm(gradients)) if gradients else float("nan")
