"""ImageNet's batches on a device: worker processes read bytes; the device subtracts the mean, flips, adds colour."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import torch
from torch import Tensor

from study.data.imagenet import jpeg
from study.data.imagenet.folder import Folder
from study.data.imagenet.read_ahead import ReadAhead
from study.data.imagenet.readers import Batch, CentreReader, CropReader
from study.data.interface import Reduce
from study.recipes import ImageNetRecipe


class Jpegs:
    """The batches of a recipe on one device; see `study.data.interface.Batches`.

    Attributes:
        counts: Number of training files converted to RGB and of broken ones since the last `take_notes`.
    """

    def __init__(self, folder: Folder, recipe: ImageNetRecipe, device: torch.device, workers: int) -> None:
        self.folder, self.recipe, self.device = folder, recipe, device
        pin = device.type == "cuda"
        self._train, self._test = ReadAhead(workers, pin), ReadAhead(workers, pin)
        self._parts: Sequence[tuple[int, int]] = ()
        self._steps = 0
        self.counts = torch.zeros(len(jpeg.TROUBLES), dtype=torch.float64, device=device)

    @cached_property
    def mean(self) -> Tensor:
        """The per-pixel mean of the training images (224, 224, 3), in levels from 0 to 255."""
        return torch.from_numpy(self.folder.mean).to(self.device)

    @property
    def train_size(self) -> int:
        """Number of training images."""
        return len(self.folder.train)

    @property
    def test_size(self) -> int:
        """Number of validation images."""
        return len(self.folder.val)

    def batch(self, seed: int, step: int, rank: int = 0, world_size: int = 1) -> tuple[Tensor, Tensor]:
        """Make one rank's part of batch `step`: images (B, 3, 224, 224), channels last in memory, and labels (B,)."""
        reader = CropReader(self.folder.train, self.recipe, seed, rank, world_size)
        read = self._train.get(reader, step, range(step, max(self.recipe.steps, step + 1)))
        self.counts += read.troubles.to(self.device, non_blocking=True)
        self._steps += 1
        return self._finish(read)

    def take_notes(self, reduce: Reduce) -> dict[str, float]:
        """Return the counts of converted and broken files, and the milliseconds waited a step, since the last call."""
        counts = {f"train/{t}": int(n) for t, n in zip(jpeg.TROUBLES, reduce(self.counts).tolist(), strict=True)}
        notes = counts | {"data_wait_ms": 1e3 * self._train.waited / max(1, self._steps)}
        self.counts.zero_()
        self._train.waited, self._steps = 0.0, 0
        return notes

    def expect(self, parts: Sequence[tuple[int, int]]) -> None:
        """Announce the ranges of test images that are needed next, so that they are read ahead."""
        self._parts = parts

    def test_batch(self, start: int, stop: int) -> tuple[Tensor, Tensor]:
        """Make the centre crops at 256 (Fig. 4) of test images `start` to `stop`: (B, 3, 224, 224) and labels (B,)."""
        part = (start, stop)
        coming = self._parts[self._parts.index(part) :] if part in self._parts else [part]
        return self._finish(self._test.get(CentreReader(self.folder.val), part, coming))

    def _finish(self, read: Batch) -> tuple[Tensor, Tensor]:
        """Subtract the mean, flip, and add the colour: bytes (B, H, W, 3) -> (B, 3, H, W), about -0.5 to 0.5."""
        pixels, labels, flip, light = (part.to(self.device, non_blocking=True) for part in read[:4])
        images = normalise(pixels, self.mean)
        images = torch.where(flip[:, None, None, None], images.flip(2), images)
        return images.add_(light[:, None, None]).permute(0, 3, 1, 2), labels


def normalise(pixels: Tensor, mean: Tensor) -> Tensor:
    """Subtract the mean (H, W, 3) from bytes (B, H, W, 3) and scale to [0, 1]; returns floats."""
    return pixels.float().sub_(mean).div_(255)
