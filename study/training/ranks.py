"""Several ranks: how they average gradients, share statistics and counts, and agree when to stop.

Each message between ranks makes the hosts wait for the devices. So apart from the gradients there is hardly one in ten
steps.
"""

from __future__ import annotations

import hashlib
import inspect
import os
import threading
from collections.abc import Callable
from datetime import timedelta
from time import perf_counter, sleep
from typing import Any

import torch
from lightning_fabric.strategies.launchers.subprocess_script import _ChildProcessObserver
from pytorch_lightning.strategies import DDPStrategy
from torch import Tensor, distributed, nn
from torch.nn.parallel import DistributedDataParallel

from study.spec import MachineError
from study.training.step import STEPS_PER_CALL, Forward, uncounted_batches, without_statistics

TIMEOUT = 600.0  # seconds; the longest that one rank may be ahead of another is an evaluation
GRACE = 30.0  # seconds in which the first rank says why it ends, and lets go of its record, once another has failed
AGREE_SECONDS = 4.0  # between two questions whether to stop; a machine that is taken away says so 30 s before or more


def rank_timeout() -> timedelta:
    """How long a rank waits for another before it takes it for lost: ten minutes, or STUDY_RANK_TIMEOUT seconds."""
    return timedelta(seconds=float(os.environ.get("STUDY_RANK_TIMEOUT", TIMEOUT)))


def check_settings(device: torch.device, *settings: object) -> None:
    """Make sure that all ranks have the same settings.

    Raises:
        MachineError: A rank has others.
    """
    digest = hashlib.sha256(repr(settings).encode()).digest()
    numbers = torch.tensor([int.from_bytes(digest[i : i + 4], "big") for i in range(0, 16, 4)], dtype=torch.float64)
    _check_equal(numbers.to(device), "settings; start them all with the same code, options and data")


def check_weights(net: nn.Module, device: torch.device) -> None:
    """Make sure that all ranks have the same weights, by the sum of each tensor.

    Raises:
        MachineError: A rank has others.
    """
    sums = torch.stack([p.detach().double().sum() for p in net.parameters()])
    _check_equal(sums.nan_to_num().to(device), "weights; go on from the last checkpoint, and report it")


def _check_equal(values: Tensor, what: str) -> None:
    largest = torch.stack([values, -values])
    distributed.all_reduce(largest, distributed.ReduceOp.MAX)
    if not torch.equal(largest[0], -largest[1]):
        raise MachineError(f"the ranks do not have the same {what}")


class RanksStrategy(DDPStrategy):
    """Lightning's strategy for several ranks, without its wrapper around the whole module.

    That wrapper expects one step in each `training_step`. The module wraps its network itself, by `average_gradients`.
    """

    def setup_environment(self) -> None:
        """Connect the ranks, and do not let the first be killed before it has said why it ends."""
        for thread in threading.enumerate():
            if isinstance(thread, _ChildProcessObserver):
                _delay_its_kill(thread)
        super().setup_environment()

    def configure_ddp(self) -> None:
        """Leave the module as it is."""


def _delay_its_kill(observer: _ChildProcessObserver) -> None:
    """Let Lightning's thread wait for `GRACE`: it kills all ranks, its own process too, once one of them has failed.

    A rank that waits for the failed one raises an error by itself, mostly. The thread may be faster than that.
    """
    kill_all = observer._terminate_all

    def kill_all_later() -> None:
        sleep(GRACE)
        kill_all()

    observer._terminate_all = kill_all_later  # type: ignore[method-assign]


def average_gradients(net: nn.Module, forward: Forward, device: torch.device) -> nn.Module:
    """Wrap a forward pass so that the backward pass after it averages the gradients over ranks.

    Args:
        net: The network, on the device.
        forward: Its forward pass: the network itself, or `study.training.step.in_segments` of it.
        device: The device of this rank.
    """
    # Renamed by torch 2.13; statistics are those of each rank's own images, as in the paper's multi-GPU training.
    accepted = inspect.signature(DistributedDataParallel).parameters
    buffers = "forward_sync_buffers" if "forward_sync_buffers" in accepted else "broadcast_buffers"
    options: dict[str, Any] = {buffers: False, "gradient_as_bucket_view": True, "static_graph": True}
    whole = net if forward is net else _Pass(net, forward)
    return DistributedDataParallel(whole, device_ids=[device] if device.type == "cuda" else None, **options)


class _Pass(nn.Module):
    """A forward pass that is not the network's own, as a module with the network's parameters."""

    def __init__(self, net: nn.Module, forward: Forward) -> None:
        super().__init__()
        self.net, self.way = net, forward

    def forward(self, images: Tensor) -> Tensor:
        """Images (B, C, H, W) to logits (B, classes)."""
        return self.way(images)


def settle_buckets(net: nn.Module, averaged: nn.Module, images: Tensor) -> None:
    """Take two passes that change nothing, so that the first step of a session is computed like all others.

    torch sums gradients in buckets, and lays them out anew early in each session: of a static graph after the second
    backward pass. With three ranks or more the layout decides in which order numbers are added. Without these passes, a
    resumed run would end with other weights than one left alone.

    Args:
        net: The network.
        averaged: What `average_gradients` made of it.
        images: Any images (N, C, H, W), two at least.
    """
    with uncounted_batches(net), without_statistics(net):
        for _ in range(2):
            averaged(images).sum().backward()
    for parameter in net.parameters():
        parameter.grad = None


def share_statistics(net: nn.Module) -> None:
    """Give every rank the batch-norm statistics of rank 0, in one message."""
    statistics = [buffer for buffer in net.buffers() if buffer.is_floating_point()]
    flat = torch.cat([statistic.flatten() for statistic in statistics])
    distributed.broadcast(flat, src=0)
    parts = torch.split(flat, [statistic.numel() for statistic in statistics])
    for statistic, part in zip(statistics, parts, strict=True):
        statistic.copy_(part.view_as(statistic))


def sum_over_ranks(value: Tensor) -> Tensor:
    """The sum of a tensor over all ranks, as a new tensor."""
    total = value.clone()
    distributed.all_reduce(total)
    return total


class Agreement:
    """The decision to stop, which all ranks take at the same step because any of them was asked to.

    One rank decides alone, after each step. Several ask each other after some steps: so many as the slowest of them
    takes in `AGREE_SECONDS`, at most `STEPS_PER_CALL`. All of them know that number from the answer before. It changes
    no weights, as a checkpoint is exact to the step.

    Attributes:
        stop: The last decision.

    Args:
        ranks: Number of ranks.
        device: The device of this rank.
        now: Returns the current time in seconds.
    """

    def __init__(self, ranks: int, device: torch.device, now: Callable[[], float] = perf_counter) -> None:
        self.stop = False
        self._ranks, self._device, self._now = ranks, device, now
        self._since, self._step = 0.0, 0  # when the ranks last asked, and after which step
        self._due = 0  # the step after which they ask again

    def begin(self, step: int) -> None:
        """Begin to time the steps; an evaluation is not part of them."""
        self._since, self._step = self._now(), step

    def after(self, step: int, requested: bool) -> bool:
        """Decide after a step, or keep the last decision if no question is due.

        Args:
            step: Number of updates so far.
            requested: Whether this rank was asked to stop.
        """
        if self._ranks == 1:
            self.stop = requested
        elif step >= self._due:
            seconds = (self._now() - self._since) / max(1, step - self._step)
            slowest = self._ask(requested, seconds)
            self._due = step + steps_between(slowest)
            self.begin(step)
        return self.stop

    def at_once(self, requested: bool) -> bool:
        """Decide now, where no step is taken."""
        self._ask(requested, 0.0)
        return self.stop

    def _ask(self, requested: bool, seconds: float) -> float:
        """Decide with all ranks; returns the largest of their seconds per step."""
        answer = torch.tensor([float(requested), seconds], dtype=torch.float64, device=self._device)
        if self._ranks > 1:
            distributed.all_reduce(answer, distributed.ReduceOp.MAX)
        stop, slowest = answer.tolist()
        self.stop = stop > 0
        return float(slowest)


def steps_between(seconds: float) -> int:
    """The number of steps between two questions whether to stop.

    Args:
        seconds: What a step takes.

    Example:
        >>> [steps_between(seconds) for seconds in (0.0, 0.001, 0.2, 12.0)]
        [50, 50, 20, 1]
    """
    return max(1, min(STEPS_PER_CALL, int(AGREE_SECONDS / max(seconds, 1e-9))))
