"""What the rest of the study may ask of a data set: its description, its images, its batches on a device.

A data set is one value of `DataSetInfo` in one file (digits.py, cifar10.py, imagenet/dataset.py), listed in
datasets.py. Nothing outside study/data compares the names of data sets.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from study.recipes import Recipe
from study.spec import InputError

Bytes = NDArray[np.uint8]  # pixels
Floats = NDArray[np.float32]  # a mean image
Ints = NDArray[np.int64]  # labels, image numbers, crop corners
Transform = Callable[[Any], Tensor]  # of an image of PIL
Reduce = Callable[[Tensor], Tensor]  # sums over ranks
Health = Literal["sound", "absent", "unsound"]


class Batches(Protocol):
    """The images of a data set on a device, as training and evaluation use them.

    Attributes:
        counts: Counts of converted and broken training files since the last `take_notes`, for the checkpoint.
    """

    counts: Tensor

    @property
    def train_size(self) -> int:
        """Number of training images."""

    @property
    def test_size(self) -> int:
        """Number of test images."""

    def batch(self, seed: int, step: int, rank: int = 0, world_size: int = 1) -> tuple[Tensor, Tensor]:
        """Make one rank's part of batch `step`: images (B, C, H, W) and labels (B,)."""

    def expect(self, parts: Sequence[tuple[int, int]]) -> None:
        """Announce the ranges of test images that are needed next, so that they can be read ahead."""

    def test_batch(self, start: int, stop: int) -> tuple[Tensor, Tensor]:
        """Make the test images from number `start` up to `stop`: images (B, C, H, W) and labels (B,)."""

    def take_notes(self, reduce: Reduce) -> dict[str, float]:
        """Return the columns that the data add to an evaluation row, over all ranks, since the last call."""


class DataSet(Protocol):
    """The images of a data set before they are on a device."""

    @property
    def fingerprint(self) -> str:
        """A digest of all images and labels, by which equal data are recognised."""

    @property
    def classes(self) -> tuple[str, ...]:
        """The name of each output of the network."""

    @property
    def train_size(self) -> int:
        """Number of training images."""

    @property
    def test_size(self) -> int:
        """Number of test images."""

    @property
    def extent(self) -> str | None:
        """What there is, where images or classes of the published data set were left out: ``100 of 200 classes``."""

    @property
    def peak(self) -> int:
        """The brightest level of a pixel."""

    def mean(self, recipe: Recipe) -> Floats:
        """Average the training images of a recipe pixel by pixel, in levels: (H, W, C)."""

    @property
    def evaluation_batch(self) -> int:
        """Number of images that are evaluated at a time on a CPU; Fig. 7 is measured on twice as many."""

    def evaluation_part(self, device: torch.device) -> int:
        """Number of images that are evaluated at a time on a device."""

    def on(self, device: torch.device, recipe: Recipe, devices: int = 1) -> Batches:
        """Make the batches of a recipe on a device.

        Args:
            device: Where the network is.
            recipe: How the network is trained.
            devices: Number of devices for which this machine's processor cores read images.
        """


@dataclass(frozen=True)
class Check:
    """One line of ``study doctor``: what was checked, its health, and a sentence with the state or what to do."""

    subject: str
    health: Health
    report: str


def checked(subject: str, describe: Callable[[], str]) -> Check:
    """Check a part of the machine: sound with its description, or unsound with the message of an InputError."""
    try:
        return Check(subject, "sound", describe())
    except InputError as error:
        return Check(subject, "unsound", str(error))


@dataclass(frozen=True)
class Declared:
    """What ``study prepare`` is told of images that are fewer than the published ones.

    Attributes:
        subset: Whether images or classes are left out (``--subset``).
        classes: How many classes there are (``--classes``); None for all.
    """

    subset: bool = False
    classes: int | None = None

    @property
    def flags(self) -> dict[str, bool]:
        """Whether each of the flags was given."""
        return {"--subset": self.subset, "--classes": self.classes is not None}


@dataclass(frozen=True)
class DataSetInfo:
    """A data set as the study describes it; every function takes the folder that holds all data sets (``--data``).

    Attributes:
        name: On the command line and in run names.
        title: In prose.
        image_size: Channels, height and width of an image as the network gets it.
        in_memory: Whether `load` returns `study.data.images.Arrays`, which a device can hold and which can be probed.
        protocols: How trained networks are tested (``study test``), the usual protocol first.
        torchvision: Read the training images with torchvision, given what transforms each, for comparisons of speed.
        load: Read the images, or raise an InputError that names the command that fixes what is wrong.
        check: Report for ``study doctor`` whether the images are there and sound.
        prepare: Fetch or index the images, given a source (None: download or use what is there) and what is declared;
            return one line on what is there now.
        declares: The flags by which `prepare` can be told that there are fewer images than the published ones.
    """

    name: str
    title: str
    image_size: tuple[int, int, int]
    in_memory: bool
    protocols: tuple[str, ...]
    torchvision: Callable[[Path, Transform], Dataset[Any]] | None
    load: Callable[[Path], DataSet]
    check: Callable[[Path], Iterator[Check]]
    prepare: Callable[[Path, Path | None, Declared], str]
    declares: tuple[str, ...] = ()

    @property
    def pixels(self) -> int:
        """Height times width of an image as the network gets it."""
        _, height, width = self.image_size
        return height * width
