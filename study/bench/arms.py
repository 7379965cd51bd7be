"""The arms of the bench: ways to train the same cell, each of which reports how long its steps took."""

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
from study.machine.options import MachineOptions, StepMode
from study.recipes import Recipe, recipe_for
from study.recording.record import Record
from study.spec import Spec
from study.training.module import TrainingModule
from study.training.schedule import Schedule
from study.training.step import EAGER_STEPS, STEPS_PER_CALL, in_segments
from study.training.train import build_trainer


@dataclass(frozen=True)
class Contender:
    """What every arm trains: a cell, its images, and the machine options.

    Attributes:
        spec: The cell.
        arrays: Its images, in memory.
        machine: The machine options.
        make: Builds the network; by default that of the cell. `measures.overhead` trains one that computes nothing.
        seconds: The clock, in seconds.
    """

    spec: Spec
    arrays: Arrays
    machine: MachineOptions
    make: Callable[[], nn.Module] | None = None
    seconds: Callable[[], float] = perf_counter

    @property
    def device(self) -> torch.device:
        """The device on which it is trained."""
        return torch.device("cuda" if has_cuda() else "cpu")

    @property
    def recipe(self) -> Recipe:
        """The recipe of the cell."""
        return recipe_for(self.spec)

    def net(self) -> nn.Module:
        """A new network on the device."""
        make = self.make or (lambda: network.build(self.spec.dataset, self.spec.depth, self.spec.shortcut))
        return make().to(self.device)

    def clock(self) -> float:
        """The clock's seconds, after the device has finished all its work."""
        if self.device.type == "cuda":
            torch.cuda.synchronize()
        return self.seconds()

    def autocast(self) -> AbstractContextManager[object]:
        """The context of a forward pass, in the precision of the machine options."""
        half = self.machine.precision == "bf16"
        return torch.autocast(self.device.type, torch.bfloat16) if half else nullcontext()

    def sgd(self, net: nn.Module) -> torch.optim.SGD:
        """The optimiser of the recipe, for a network."""
        recipe = self.recipe
        is_fused = self.device.type == "cuda"
        return torch.optim.SGD(
            net.parameters(), recipe.lr, recipe.momentum, weight_decay=recipe.weight_decay, fused=is_fused
        )


class Arm(Protocol):
    """A way to train a contender."""

    def turn(self, steps: int) -> float:
        """Take some uncounted steps to warm up, then `steps` steps; return the seconds that those took."""


class Ours:
    """Training under Lightning with all callbacks, as `study train` does it.

    Args:
        contender: What is trained.
        step_mode: How steps are taken.
        steps_per_call: Number of steps per `training_step` of Lightning.
    """

    def __init__(self, contender: Contender, step_mode: StepMode, steps_per_call: int = STEPS_PER_CALL) -> None:
        self.contender, self.steps_per_call = contender, steps_per_call
        self.module = TrainingModule(contender.spec, contender.arrays, step_mode, contender.machine.checkpoint_every)
        if contender.make is not None:
            self.module.net = contender.net()  # type: ignore[assignment]

    def turn(self, steps: int) -> float:
        """Run one fit whose uncounted and counted steps fall into separate calls of `training_step`."""
        module, steps_per_call = self.module, min(self.steps_per_call, steps)
        uncounted = 1 if module.step_mode in ("plain", "compiled") else EAGER_STEPS + 1
        begin = steps_per_call * -(-uncounted // steps_per_call)
        module.steps_per_call, module.step = steps_per_call, begin - uncounted
        module.schedule = Schedule(replace(module.recipe, steps=begin + steps, evaluations=1))
        timer = _Timer(self.contender, begin, begin + steps)
        with TemporaryDirectory() as folder:
            trainer = build_trainer(Record(Path(folder), module.spec), self.contender.machine, None)
            trainer.callbacks.append(timer)  # type: ignore[attr-defined]
            trainer.fit_loop.max_epochs, trainer.limit_val_batches = 1, 0
            trainer.fit(module)
        return timer.seconds


class _Timer(Callback):
    """Measures the seconds from step `begin` to step `end`."""

    def __init__(self, contender: Contender, begin: int, end: int) -> None:
        self.contender, self.begin, self.end = contender, begin, end

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule, *_: Any) -> None:
        """Read the clock at the first and the last counted step."""
        if pl_module.step == self.begin:
            self.since = self.contender.clock()
        if pl_module.step == self.end:
            self.seconds = self.contender.clock() - self.since


class Bare:
    """A loop of a dozen lines of PyTorch: the same network and batches, but no error counts and no record."""

    def __init__(self, contender: Contender) -> None:
        self.contender = contender
        self.net = contender.net().to(memory_format=torch.channels_last)
        every = contender.machine.checkpoint_every
        self.forward = in_segments(self.net, every) if every else self.net
        self.sgd = contender.sgd(self.net)
        self.images = Images(contender.arrays, contender.recipe, contender.device)

    def turn(self, steps: int) -> float:
        """Take one uncounted step, then `steps` counted ones."""
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
    """The usual CIFAR-10 script: PIL images through a DataLoader with two workers, meters updated at every step."""

    def __init__(self, contender: Contender) -> None:
        self.contender = contender
        self.net = contender.net()
        self.sgd = contender.sgd(self.net)
        self.batches = self._batches()

    def _batches(self) -> Iterator[tuple[Tensor, Tensor]]:
        from torchvision import transforms

        info = dataset_info(self.contender.spec.dataset)
        assert info.torchvision is not None
        train = transforms.Compose(
            [
                transforms.RandomCrop(info.image_size[1], self.contender.recipe.pad),
                transforms.RandomHorizontalFlip(),
                transforms.ToTensor(),
                transforms.Normalize((0.491, 0.482, 0.447), (0.247, 0.243, 0.262)),
            ]
        )
        images = info.torchvision(self.contender.machine.data, train)
        pin = self.contender.device.type == "cuda"
        loader = DataLoader(images, batch_size=self.contender.recipe.batch, shuffle=True, num_workers=2, pin_memory=pin)
        while True:
            yield from loader

    def turn(self, steps: int) -> float:
        """Take one uncounted step, then `steps` counted ones, in NCHW memory format and fp32 as such scripts do."""
        loss_sum, right = 0.0, 0  # read by nobody here: what such a script pays at each step for its meters
        for step in range(steps + 1):
            if step == 1:
                since = self.contender.clock()
            images, labels = (part.to(self.contender.device, non_blocking=True) for part in next(self.batches))
            logits = self.net(images)
            loss = F.cross_entropy(logits, labels)
            self.sgd.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            self.sgd.step()
            loss_sum += loss.item()
            right += int((logits.argmax(1) == labels).sum())
        return self.contender.clock() - since
