"""Random crops, flips and colours of ImageNet (Sec. 3.4), and the batches that worker processes read.

A batch is a pure function of the seed, the step and the files. A worker reads the files of its batch and no others, so
a run resumes in the middle of an epoch at no cost.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from study.data.imagenet import jpeg
from study.data.imagenet.folder import Files
from study.data.interface import Bytes, Ints
from study.data.sampling import generator, rank_slice, visited
from study.recipes import ImageNetRecipe

CROP = 224  # Sec. 3.4
CENTRE = 256  # pixels of the shorter side before the centre crop (Fig. 4) and before ten crops
# [21]'s principal components of RGB on [0, 1], as fb.resnet.torch measured them on ImageNet
EIGENVALUES = np.array([0.2175, 0.0188, 0.0045])
EIGENVECTORS = np.array([[-0.5675, 0.7192, 0.4009], [-0.5808, -0.0045, -0.8140], [-0.5836, -0.6948, 0.4203]])


class ImagePlan(NamedTuple):
    """The contents of a batch, each of length B."""

    image: Ints  # numbers of images
    shorter: Ints  # the shorter side that each is resized to, in pixels
    top: NDArray[np.float64]  # the position of the crop, from 0 to 1
    left: NDArray[np.float64]
    flip: NDArray[np.bool_]
    light: NDArray[np.float32]  # (B, 3), added to RGB on [0, 1]

    def part(self, rank: int, world_size: int) -> ImagePlan:
        """Take the slice of one rank."""
        mine = rank_slice(len(self.image), rank, world_size)
        return ImagePlan(*(of_all[mine] for of_all in self))  # type: ignore[arg-type]


def plan(recipe: ImageNetRecipe, images: int, seed: int, step: int) -> ImagePlan:
    """Draw global batch number `step`, a pure function of the recipe, the seed and the step (Sec. 3.4).

    Args:
        recipe: Its batch size, range of sizes, flips and strength of colour augmentation.
        images: Number of training images.
        seed: Of the run.
        step: Number of updates before this batch.
    """
    rng, batch = generator(seed, step), recipe.batch
    shorter = rng.integers(*recipe.shorter, size=batch, endpoint=True)
    top, left = rng.random((2, batch))
    flip = rng.integers(0, 2, size=batch).astype(bool) & recipe.flip
    light = rng.normal(0.0, recipe.lighting, (batch, 3)) * EIGENVALUES @ EIGENVECTORS.T
    return ImagePlan(visited(images, batch, seed, step), shorter, top, left, flip, light.astype(np.float32))


class Batch(NamedTuple):
    """A batch as a worker process hands it over."""

    images: Tensor  # (B, 224, 224, 3), bytes
    labels: Tensor  # (B,)
    flip: Tensor  # (B,)
    light: Tensor  # (B, 3)
    troubles: Tensor  # numbers of converted and of broken files


@dataclass(frozen=True)
class CropReader(Dataset[Batch]):
    """Reads one rank's part of a training batch."""

    files: Files = field(compare=False, repr=False)
    recipe: ImageNetRecipe
    seed: int
    rank: int
    world_size: int

    def __getitem__(self, step: int) -> Batch:
        mine = plan(self.recipe, len(self.files), self.seed, step).part(self.rank, self.world_size)

        def cut(i: int, path: str) -> tuple[Bytes, jpeg.Trouble]:
            shorter = int(mine.shorter[i])
            decoded = jpeg.decode(path, shorter)
            return jpeg.crop(decoded, shorter, mine.top[i], mine.left[i], CROP), decoded.trouble

        return _read(self.files, mine.image, mine.flip, mine.light, cut)


@dataclass(frozen=True)
class CentreReader(Dataset[Batch]):
    """Reads a range of test images, each as its centre crop; every pixel is decoded."""

    files: Files = field(compare=False, repr=False)

    def __getitem__(self, part: tuple[int, int]) -> Batch:
        numbers = np.arange(*part)

        def cut(_: int, path: str) -> tuple[Bytes, jpeg.Trouble]:
            decoded = jpeg.decode(path)
            return jpeg.centre(decoded, CENTRE, CROP), decoded.trouble

        return _read(self.files, numbers, np.zeros(len(numbers), bool), np.zeros((len(numbers), 3), np.float32), cut)


def _read(
    files: Files,
    numbers: Ints,
    flip: NDArray[np.bool_],
    light: NDArray[np.float32],
    cut: Callable[[int, str], tuple[Bytes, jpeg.Trouble]],
) -> Batch:
    pixels = np.empty((len(numbers), CROP, CROP, 3), np.uint8)
    seen = Counter[str]()
    for i, number in enumerate(numbers):
        pixels[i], trouble = cut(i, files.path(number))
        seen[trouble] += 1
    troubles = np.array([seen[trouble] for trouble in jpeg.TROUBLES])
    return Batch(*map(torch.from_numpy, (pixels, files.labels[numbers], flip, light, troubles)))
