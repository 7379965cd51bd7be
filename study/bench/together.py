"""Several networks in one process, which its one thread steps in turn; on a GPU each has a graph and a stream.

They share the images. It is compared with a process per network (``study bench --jobs``) and not used for training: a
GPU has to show first that it is better.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext
from functools import partial

import torch
from torch import Tensor

from study.bench.arms import Contender
from study.bench.window import Member
from study.data.images import Images
from study.machine.device import free_memory_mb, peak_memory_mb
from study.machine.options import CAPTURED, StepMode
from study.network import ResNet
from study.training.compiling import training_forward
from study.training.errors import Tally
from study.training.schedule import Schedule
from study.training.step import (
    EAGER_STEPS,
    STEPS_PER_CALL,
    GraphSteps,
    PlainSteps,
    ResidentSteps,
    Steps,
    uncounted_batches,
    update,
)


class Network:
    """One of several networks that a process trains.

    Args:
        contender: What is trained.
        images: Its images, which the networks share.
        seed: Of its weights and batches.
        step_mode: How its steps are taken.
        first: The number of its first step. Networks upload their tables at multiples of `STEPS_PER_CALL`, so different
            numbers keep them from doing so at the same time.
    """

    def __init__(self, contender: Contender, images: Images, seed: int, step_mode: StepMode, first: int = 0) -> None:
        self.contender, self.step, self.taken = contender, first, 0
        self.schedule = Schedule(contender.recipe)
        self.step_mode = step_mode
        self.stream = torch.cuda.Stream() if step_mode in CAPTURED else None  # type: ignore[no-untyped-call]
        with self._on_stream():
            torch.manual_seed(seed)
            self.net = contender.net().to(memory_format=torch.channels_last)
            self.steps = self._steps(images, seed)

    def _steps(self, images: Images, seed: int) -> Steps:
        sgd = self.contender.sgd(self.net)
        for group in sgd.param_groups:
            group["fused"] = self.step_mode != "plain" or self.contender.device.type == "cuda"  # as in training
        assert isinstance(self.net, ResNet)
        forward = training_forward(self.net, self.step_mode, self.contender.machine.checkpoint_every)
        add = Tally(self.contender.device).add
        take_one = self._autocast(partial(update, forward, sgd, add, torch.autograd.backward))
        if self.stream is not None:
            return GraphSteps(ResidentSteps(take_one, sgd, images, seed))
        return PlainSteps(take_one, sgd, partial(images.batch, seed))

    def _autocast(self, take_one: Callable[[Tensor, Tensor], None]) -> Callable[[Tensor, Tensor], None]:
        def take(images: Tensor, labels: Tensor) -> None:
            with self.contender.autocast():
                take_one(images, labels)

        return take

    def _on_stream(self) -> AbstractContextManager[object]:
        return nullcontext() if self.stream is None else torch.cuda.stream(self.stream)

    def advance(self) -> None:
        """Take one step."""
        with self._on_stream():
            if self.taken == 0 or self.step % STEPS_PER_CALL == 0:
                coming = range(self.step, self.step - self.step % STEPS_PER_CALL + STEPS_PER_CALL)
                self.steps.expect(coming, [self.schedule.rate(step) for step in coming])
            self.steps.take(self.step)
        self.step, self.taken = self.step + 1, self.taken + 1


def networks(contender: Contender, count: int, step_mode: StepMode) -> list[Network]:
    """Networks of so many seeds on the same images."""
    images = Images(contender.arrays, contender.recipe, contender.device)
    apart = STEPS_PER_CALL // count
    return [Network(contender, images, seed, step_mode, first=seed * apart) for seed in range(count)]


def step_in_turn(trained: Sequence[Network], rounds: int) -> None:
    """Let each network take one step per round."""
    with ExitStack() as stack:
        for network in trained:
            stack.enter_context(uncounted_batches(network.net))
        for _ in range(rounds):
            for network in trained:
                network.advance()


def count_together(contender: Contender, count: int, step_mode: StepMode, member: Member) -> None:
    """Step so many networks in this process, as one member of a window."""
    is_gpu = contender.device.type == "cuda"
    trained = networks(contender, count, step_mode)
    step_in_turn(trained, EAGER_STEPS + 1)
    contender.clock()
    member.wait()
    member.mark([network.taken for network in trained])
    while not member.is_last_gone():
        step_in_turn(trained, STEPS_PER_CALL if is_gpu else 1)
        if member.mark([network.taken for network in trained]):
            member.leave(peak_memory_mb(), free_memory_mb())
