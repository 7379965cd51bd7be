"""Images in memory: decoded data sets, random crops and flips, and batches on a device (Sec. 4.2).

Batches are a pure function of (seed, step), so neither the number of ranks nor an interruption changes the training
images; see study/data/sampling.py. ImageNet, which does not fit into memory, is in study/data/imagenet.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from study.data.interface import Bytes, Floats, Ints, Reduce
from study.data.sampling import generator, rank_slice, visited
from study.recipes import Recipe

# Around an image that is cropped: zeros after the mean was subtracted (the paper), before, or the image's own edge.
Border = Literal["mean", "black", "reflect"]
GPU_EVALUATION = 2_500  # images, a quarter of CIFAR-10's test set


@dataclass(frozen=True)
class Arrays:
    """A data set in memory: images (N, H, W, C) as bytes from 0 to `peak`, labels (N,) as positions in `classes`."""

    train_images: Bytes
    train_labels: Ints
    test_images: Bytes
    test_labels: Ints
    peak: int
    classes: tuple[str, ...]
    evaluation_batch: int = 500  # images; larger ones were slower on CPU
    extent: str | None = None  # of a part of the published data set

    @property
    def train_size(self) -> int:
        """Number of training images, before a recipe takes fewer."""
        return len(self.train_labels)

    @property
    def test_size(self) -> int:
        """Number of test images."""
        return len(self.test_labels)

    def mean(self, recipe: Recipe) -> Floats:
        """Average the training images of a recipe pixel by pixel (Sec. 4.2), in levels: (H, W, C)."""
        chosen = self.train_images[subset(self.train_labels, recipe.train_images)]
        mean: Floats = chosen.mean(axis=0, dtype=np.float64).astype(np.float32)
        return mean

    def on(self, device: torch.device, recipe: Recipe, devices: int = 1) -> Images:
        """Make the batches of a recipe on a device."""
        return Images(self, recipe, device)

    def evaluation_part(self, device: torch.device) -> int:
        """Number of images that are evaluated at a time on a device.

        A GPU would wait for the host in small parts. 2,500 images are 164 MB in the widest layer of a CIFAR-10 network,
        of which evaluation keeps a few at a time, at any depth.
        """
        return max(GPU_EVALUATION, self.evaluation_batch) if device.type == "cuda" else self.evaluation_batch

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of the decoded arrays, which does not depend on the archive that they came from."""
        digest = hashlib.sha256()
        for array in (self.train_images, self.train_labels, self.test_images, self.test_labels):
            digest.update(header(array.dtype, array.shape))
            digest.update(np.ascontiguousarray(array).data)
        return digest.hexdigest()


def header(dtype: np.dtype[Any], shape: Sequence[int]) -> bytes:
    """What a fingerprint has of an array before its content."""
    return f"{dtype}{tuple(shape)}".encode()


class CropPlan(NamedTuple):
    """The contents of a batch: image numbers, upper left corners of the crops, and flips, each (B,)."""

    image: Ints
    top: Ints
    left: Ints
    flip: NDArray[np.bool_]

    def part(self, rank: int, world_size: int) -> CropPlan:
        """Take the slice of one rank."""
        mine = rank_slice(len(self.image), rank, world_size)
        return CropPlan(self.image[mine], self.top[mine], self.left[mine], self.flip[mine])


def plan(recipe: Recipe, images: int, seed: int, step: int) -> CropPlan:
    """Draw global batch number `step`, a pure function of the recipe, the seed and the step.

    Args:
        recipe: Its batch size, padding and flips.
        images: Number of training images.
        seed: Of the run.
        step: Number of updates before this batch.
    """
    rng = generator(seed, step)
    top, left = rng.integers(0, 2 * recipe.pad + 1, size=(2, recipe.batch))
    flip = rng.integers(0, 2, size=recipe.batch).astype(bool) & recipe.flip
    return CropPlan(visited(images, recipe.batch, seed, step), top, left, flip)


def subset(labels: Ints, count: int | None) -> Ints:
    """Choose a class-balanced subset, the first images of each class in file order; None chooses all.

    Returns:
        The numbers of the chosen images, in order.
    """
    if count is None:
        return np.arange(len(labels))
    each = count // len(np.unique(labels))
    return np.sort(np.concatenate([np.flatnonzero(labels == label)[:each] for label in np.unique(labels)]))


class Images:
    """The batches of a recipe on one device; see `study.data.interface.Batches`.

    Training images are stored padded with zeros. A view of all their crops makes cropping and gathering one indexing
    operation. The per-pixel mean (Sec. 4.2) is padded and cropped in the same way, so that padding stays zero after it
    is subtracted.

    Args:
        arrays: The data set.
        recipe: Whose batches they are.
        device: Where they are made.
        mean: (H, W, C) in levels, in place of that of the training images: for networks that others trained.
        std: (C,) on [0, 1], by which such networks divide.
        border: What such networks have seen around an image.
    """

    def __init__(
        self,
        arrays: Arrays,
        recipe: Recipe,
        device: torch.device,
        mean: Floats | None = None,
        std: Tensor | None = None,
        border: Border = "mean",
    ) -> None:
        keep = subset(arrays.train_labels, recipe.train_images)
        self.recipe, self.peak, self.classes = recipe, arrays.peak, arrays.classes
        train = arrays.train_images[keep]
        self.crops = _crops(_padded(train, recipe.pad, border).to(device), train.shape[1:3])
        mean = arrays.mean(recipe) if mean is None else mean
        self.mean_crops = _crops(_padded(mean[None], recipe.pad, border).to(device), train.shape[1:3])[0]
        if border == "black":  # images are cropped first
            self.mean_crops = torch.from_numpy(mean).to(device).expand_as(self.mean_crops)
        self.std = None if std is None else std.to(device)
        self.train_labels = torch.from_numpy(arrays.train_labels[keep]).to(device)
        self.test_images = torch.from_numpy(arrays.test_images).to(device)
        self.test_labels = torch.from_numpy(arrays.test_labels).to(device)
        self.counts = torch.zeros(0, device=device)  # images in memory cannot be broken

    @property
    def train_size(self) -> int:
        """Number of training images."""
        return len(self.train_labels)

    @property
    def test_size(self) -> int:
        """Number of test images."""
        return len(self.test_labels)

    def batch(self, seed: int, step: int, rank: int = 0, world_size: int = 1) -> tuple[Tensor, Tensor]:
        """Make one rank's part of batch `step`: images (B, C, H, W), channels last in memory, and labels (B,)."""
        plans = self.plans(seed, range(step, step + 1), rank, world_size)
        return self.crop(plans[0].to(self.crops.device))

    def plans(self, seed: int, steps: range, rank: int = 0, world_size: int = 1) -> Tensor:
        """Draw one rank's part of the `CropPlan` of each of K steps, as integers on the host: (K, 4, B)."""
        each = [plan(self.recipe, self.train_size, seed, step).part(rank, world_size) for step in steps]
        return torch.from_numpy(np.stack([np.stack(fields) for fields in each]))

    def crop(self, plan: Tensor) -> tuple[Tensor, Tensor]:
        """Make the batch of one plan (4, B) on the device: images (B, C, H, W) and labels (B,)."""
        image, top, left, flip = plan.unbind()
        images = self._normalise(self.crops[image, top, left], self.mean_crops[top, left])
        images = torch.where(flip[:, None, None, None].bool(), images.flip(2), images)
        return images.permute(0, 3, 1, 2), self.train_labels[image]

    def expect(self, parts: Sequence[tuple[int, int]]) -> None:
        """Do nothing, as all test images are on the device."""

    def take_notes(self, reduce: Reduce) -> dict[str, float]:
        """Return no columns, as no file is read and no batch is waited for."""
        return {}

    def test_batch(self, start: int, stop: int) -> tuple[Tensor, Tensor]:
        """Make test images `start` to `stop`, uncropped (Sec. 4.2: the single view): (B, C, H, W) and labels (B,)."""
        centre = self.recipe.pad
        images = self._normalise(self.test_images[start:stop], self.mean_crops[centre, centre])
        return images.permute(0, 3, 1, 2), self.test_labels[start:stop]

    def train_batch(self, start: int, stop: int) -> tuple[Tensor, Tensor]:
        """Make training images `start` to `stop`, uncropped like test images: (B, C, H, W) and labels (B,)."""
        numbers = torch.arange(start, stop, device=self.crops.device)
        centre = torch.full_like(numbers, self.recipe.pad)
        return self.crop(torch.stack([numbers, centre, centre, torch.zeros_like(numbers)]))

    def _normalise(self, levels: Tensor, mean: Tensor) -> Tensor:
        images = levels.float().sub_(mean).div_(self.peak)
        return images if self.std is None else images.div_(self.std)


def _padded(images: Bytes | Floats, pad: int, border: Border) -> Tensor:
    """Pad images (N, H, W, C) on their four sides."""
    sides = ((0, 0), (pad, pad), (pad, pad), (0, 0))
    return torch.from_numpy(np.pad(images, sides, mode="reflect" if border == "reflect" else "constant"))


def _crops(padded: Tensor, size: Sequence[int]) -> Tensor:
    """View every crop of every padded image: (N, H + 2 pad, W + 2 pad, C) -> (N, 2 pad + 1, 2 pad + 1, H, W, C)."""
    return padded.unfold(1, size[0], 1).unfold(2, size[1], 1).permute(0, 1, 2, 4, 5, 3)
