"""The ways to train that are compared: each takes the same kind of steps and says how long they took."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any, Protocol

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader

from study import network
from study.data.datasets import dataset_info
from study.data.images import Arrays, Images
from study.machine.device import has_cuda
from study.machine.options import MachineOptions
from study.recipes import Recipe, recipe_for
from study.recording.record import Record
from study.spec import Spec
from study.training.module import TrainingModule
from study.training.schedule import Schedule
from study.training.step import AT_ONCE, EAGER, in_segments
from study.training.train import build_trainer


@dataclass(frozen=True)
class Contender:
    """What all ways train: a cell, its images, and the machine's options.

    Attributes:
        make: Makes the network; the bench of the loop itself takes one that does nothing.
        seconds: The clock.
    """

    spec: Spec
    arrays: Arrays
    machine: MachineOptions
    make: Callable[[], nn.Module] | None = None
    seconds: Callable[[], float] = perf_counter

    @property
    def device(self) -> torch.device:
        """Where it is trained."""
        return torch.device("cuda" if has_cuda() else "cpu")

    @property
    def recipe(self) -> Recipe:
        """The cell's recipe."""
        return recipe_for(self.spec)

    def net(self) -> nn.Module:
        """A new network on the device."""
        make = self.make or (lambda: network.build(self.spec.dataset, self.spec.depth, self.spec.shortcut))
        return make().to(self.device)

    def clock(self) -> float:
        """Seconds, when all that was asked of the device is done."""
        if self.device.type == "cuda":
            torch.cuda.synchronize()
        return self.seconds()

    def autocast(self) -> AbstractContextManager[object]:
        """The context of a forward pass."""
        half = self.machine.precision == "bf16"
        return torch.autocast(self.device.type, torch.bfloat16) if half else nullcontext()

    def sgd(self, net: nn.Module) -> torch.optim.SGD:
        """The paper's optimiser."""
        recipe, fused = self.recipe, self.device.type == "cuda"
        return torch.optim.SGD(net.parameters(), recipe.lr, recipe.momentum, weight_decay=1e-4, fused=fused)


class Arm(Protocol):
    """A way to train."""

    def turn(self, steps: int) -> float:
        """Seconds that so many steps take, after a few that are not counted."""


class Ours:
    """A cell under Lightning with all its callbacks, as `study train` runs it.

    Args:
        contender: What is trained.
        step_mode: ``plain`` or ``graph``.
        at_once: Steps in one pass through Lightning.
        blocks: What is done with the network's blocks first.
    """

    def __init__(
        self,
        contender: Contender,
        step_mode: str,
        at_once: int = AT_ONCE,
        blocks: Callable[[nn.Module], None] | None = None,
    ) -> None:
        self.contender, self.at_once = contender, at_once
        self.module = TrainingModule(contender.spec, contender.arrays, step_mode, contender.machine.checkpoint_every)
        if contender.make is not None:
            self.module.net = contender.net()  # type: ignore[assignment]
        if blocks is not None:
            blocks(self.module.net)

    def turn(self, steps: int) -> float:
        """Fit anew, from a step such that the uncounted ones and the counted ones are passes of their own."""
        module, at_once = self.module, min(self.at_once, steps)
        uncounted = 1 if module.step_mode == "plain" else EAGER + 1
        begin = at_once * -(-uncounted // at_once)
        module.at_once, module.step = at_once, begin - uncounted
        module.schedule = Schedule(replace(module.recipe, steps=begin + steps, evaluations=1))
        timer = _Timer(self.contender, begin, begin + steps)
        with TemporaryDirectory() as folder:
            trainer = build_trainer(Record(Path(folder), module.spec), self.contender.machine, None)
            trainer.callbacks.append(timer)  # type: ignore[attr-defined]
            trainer.fit_loop.max_epochs, trainer.limit_val_batches = 1, 0
            trainer.fit(module)
        return timer.seconds


class _Timer(Callback):
    def __init__(self, contender: Contender, begin: int, end: int) -> None:
        self.contender, self.begin, self.end = contender, begin, end

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule, *_: Any) -> None:
        """Note the time at the first counted step and at the last."""
        if pl_module.step == self.begin:
            self.since = self.contender.clock()
        if pl_module.step == self.end:
            self.seconds = self.contender.clock() - self.since


class Bare:
    """A dozen lines of PyTorch: the same net, the same batches, nothing counted or recorded."""

    def __init__(self, contender: Contender) -> None:
        self.contender = contender
        self.net = contender.net().to(memory_format=torch.channels_last)
        every = contender.machine.checkpoint_every
        self.forward = in_segments(self.net, every) if every else self.net
        self.sgd = contender.sgd(self.net)
        self.images = Images(contender.arrays, contender.recipe, contender.device)

    def turn(self, steps: int) -> float:
        """One step uncounted, then the others."""
        for step in range(steps + 1):
            if step == 1:
                since = self.contender.clock()
            images, labels = self.images.batch(0, step)
            with self.contender.autocast():
                loss = F.cross_entropy(self.forward(images), labels)
            self.sgd.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            self.sgd.step()
        return self.contender.clock() - since


class Loader:
    """The usual CIFAR-10 script: PIL images through a DataLoader with two workers, and meters read at every step."""

    def __init__(self, contender: Contender) -> None:
        self.contender = contender
        self.net = contender.net()
        self.sgd = contender.sgd(self.net)
        self.batches = self._batches()

    def _batches(self) -> Iterator[tuple[Tensor, Tensor]]:
        from torchvision import datasets, transforms

        info = dataset_info(self.contender.spec.dataset)
        assert info.torchvision is not None
        train = transforms.Compose(
            [
                transforms.RandomCrop(info.image_size[1], 4),
                transforms.RandomHorizontalFlip(),
                transforms.ToTensor(),
                transforms.Normalize((0.491, 0.482, 0.447), (0.247, 0.243, 0.262)),
            ]
        )
        read = getattr(datasets, info.torchvision)
        images = read(str(self.contender.machine.data), train=True, transform=train)
        pin = self.contender.device.type == "cuda"
        loader = DataLoader(images, batch_size=self.contender.recipe.batch, shuffle=True, num_workers=2, pin_memory=pin)
        while True:
            yield from loader

    def turn(self, steps: int) -> float:
        """One step uncounted, then the others; NCHW in memory and always fp32, as such scripts have it."""
        loss_sum, right = 0.0, 0
        for step in range(steps + 1):
            if step == 1:
                since = self.contender.clock()
            images, labels = (part.to(self.contender.device, non_blocking=True) for part in next(self.batches))
            scores = self.net(images)
            loss = F.cross_entropy(scores, labels)
            self.sgd.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            self.sgd.step()
            loss_sum += loss.item()
            right += int((scores.argmax(1) == labels).sum())
        return self.contender.clock() - since
