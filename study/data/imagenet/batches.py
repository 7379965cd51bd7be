"""ImageNet on a device: batches read ahead of the step by worker processes, finished where the network is.

Workers hand over bytes; subtracting the mean, flipping and colour are the device's.
"""

from __future__ import annotations

import atexit
import os
import signal
from collections.abc import Iterator, Sequence
from functools import cached_property
from time import perf_counter
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from study.data.imagenet import jpeg
from study.data.imagenet.folder import Folder
from study.data.imagenet.readers import Batch, CentreReader, CropReader
from study.data.interface import Reduce
from study.recipes import ImageNetRecipe

AHEAD = 4  # batches that each worker keeps ready
MOST_WORKERS = 16  # for one device


class ReadAhead:
    """Batches in the order in which they will be asked for, read by worker processes while the device computes.

    Attributes:
        waited: Seconds for which batches were waited for.
    """

    def __init__(self, workers: int, pin: bool) -> None:
        self.workers, self.pin = workers, pin
        self.waited = 0.0
        self._reader: Dataset[Batch] | None = None
        self._coming: Sequence[Any] = ()
        self._open: list[Iterator[Batch]] = []  # at most one
        # Before multiprocessing waits at exit for workers that ignore its SIGTERM: it would wait for ever.
        atexit.register(self._open.clear)

    def get(self, reader: Dataset[Batch], key: Any, coming: Sequence[Any]) -> Batch:
        """The batch of `key`, which `coming` begins with; what follows it there is then read ahead."""
        since = perf_counter()
        if reader != self._reader or not self._coming or self._coming[0] != key:
            self._open.clear()
            self._reader, self._coming = reader, coming
            self._open.append(iter(self._loader(reader, coming)))
        batch = next(self._open[0])
        self._coming = self._coming[1:]
        if not self._coming:
            self._open.clear()  # which ends the workers
        self.waited += perf_counter() - since
        return batch

    def _loader(self, reader: Dataset[Batch], keys: Sequence[Any]) -> DataLoader[Batch]:
        return DataLoader(
            reader,
            batch_size=None,
            sampler=keys,
            num_workers=self.workers,
            prefetch_factor=AHEAD if self.workers else None,
            pin_memory=self.pin,
            worker_init_fn=_ignore_signals,
        )


def _ignore_signals(_: int) -> None:
    """A signal to the whole group is the trainer's to answer; workers go on until it has checkpointed and ends them."""
    for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1):
        signal.signal(signum, signal.SIG_IGN)


def worker_count(devices: int) -> int:
    """Reading processes for each of the devices of this machine: its cores but one each, at most 16."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(MOST_WORKERS, max(1, cores // devices - 1))


class Jpegs:
    """The images of one cell: read ahead, finished on one device."""

    def __init__(self, folder: Folder, recipe: ImageNetRecipe, device: torch.device, workers: int) -> None:
        self.folder, self.recipe, self.device = folder, recipe, device
        pin = device.type == "cuda"
        self._train, self._test = ReadAhead(workers, pin), ReadAhead(workers, pin)
        self._parts: Sequence[tuple[int, int]] = ()
        self._steps = 0
        self.counts = torch.zeros(len(jpeg.TROUBLES), dtype=torch.float64, device=device)  # files converted and broken

    @cached_property
    def mean(self) -> Tensor:
        """The per-pixel mean (224, 224, 3), in levels from 0 to 255."""
        return torch.from_numpy(self.folder.mean).to(self.device)

    @property
    def train_size(self) -> int:
        """How many images are trained on."""
        return len(self.folder.train)

    @property
    def test_size(self) -> int:
        """How many images are tested on."""
        return len(self.folder.val)

    def batch(self, seed: int, step: int, rank: int = 0, world_size: int = 1) -> tuple[Tensor, Tensor]:
        """One rank's part of batch `step`: images (B, 3, 224, 224), channels last in memory, and labels (B,)."""
        reader = CropReader(self.folder.train, self.recipe, seed, rank, world_size)
        read = self._train.get(reader, step, range(step, max(self.recipe.steps, step + 1)))
        self.counts += read.troubles.to(self.device, non_blocking=True)
        self._steps += 1
        return self._finish(read)

    def take_notes(self, reduce: Reduce) -> dict[str, float]:
        """What the training since the last call had besides errors: troublesome files, milliseconds waited a step."""
        counts = {f"train/{t}": int(n) for t, n in zip(jpeg.TROUBLES, reduce(self.counts).tolist(), strict=True)}
        notes = counts | {"data_wait_ms": 1e3 * self._train.waited / max(1, self._steps)}
        self.counts.zero_()
        self._train.waited, self._steps = 0.0, 0
        return notes

    def expect(self, parts: Sequence[tuple[int, int]]) -> None:
        """Say which ranges of test images come next, so that they are read ahead."""
        self._parts = parts

    def test_batch(self, start: int, stop: int) -> tuple[Tensor, Tensor]:
        """Test images number start to stop, the centre crop at 256 (Fig. 4): (B, 3, 224, 224) and labels (B,)."""
        part = (start, stop)
        coming = self._parts[self._parts.index(part) :] if part in self._parts else [part]
        return self._finish(self._test.get(CentreReader(self.folder.val), part, coming))

    def _finish(self, read: Batch) -> tuple[Tensor, Tensor]:
        """Subtract the mean, flip, add the colour: bytes (B, H, W, 3) -> (B, 3, H, W), about -0.5 to 0.5."""
        pixels, labels, flip, light = (part.to(self.device, non_blocking=True) for part in read[:4])
        images = normalise(pixels, self.mean)
        images = torch.where(flip[:, None, None, None], images.flip(2), images)
        return images.add_(light[:, None, None]).permute(0, 3, 1, 2), labels


def normalise(pixels: Tensor, mean: Tensor) -> Tensor:
    """Bytes (B, H, W, 3) -> floats: less the mean (H, W, 3), on [0, 1]."""
    return pixels.float().sub_(mean).div_(255)
