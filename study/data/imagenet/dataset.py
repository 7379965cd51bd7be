"""ImageNet (ILSVRC 2012) as a data set of the study: loading, checking, preparing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch

from study.data.imagenet import folder
from study.data.imagenet.batches import Jpegs
from study.data.imagenet.folder import CLASSES, Folder, Mean
from study.data.imagenet.prepare import prepare
from study.data.imagenet.read_ahead import worker_count
from study.data.imagenet.readers import CROP
from study.data.interface import Check, DataSetInfo, checked
from study.recipes import ImageNetRecipe, Recipe


@dataclass(frozen=True)
class ImageNet:
    """A prepared ImageNet before it is on a device, whole or a declared subset."""

    folder: Folder
    evaluation_batch: int = 100  # images
    peak: int = 255  # the brightest level of a pixel

    def evaluation_part(self, device: torch.device) -> int:
        """Number of images that are evaluated at a time, the same on every device: they are read meanwhile."""
        return self.evaluation_batch

    @property
    def fingerprint(self) -> str:
        """SHA-256 of classes, file names, file sizes and the mean; no image is read for it."""
        return self.folder.fingerprint

    @property
    def classes(self) -> tuple[str, ...]:
        """The name of each of the network's 1,000 outputs; a subset leaves the last ones unused."""
        unused = range(len(self.folder.classes), CLASSES)
        return (*self.folder.classes, *(f"unused {i}" for i in unused))

    @property
    def train_size(self) -> int:
        """Number of training images."""
        return len(self.folder.train)

    @property
    def test_size(self) -> int:
        """Number of validation images, on which errors are counted."""
        return len(self.folder.val)

    @property
    def extent(self) -> str | None:
        """How many classes and images there are, if it was prepared with ``--subset``."""
        counts = f"{len(self.folder.classes):,} of {CLASSES:,} classes, {self.train_size:,} training images"
        return counts if self.folder.subset else None

    def mean(self, recipe: Recipe) -> Mean:
        """Return the per-pixel mean of the training images, in levels: (224, 224, 3)."""
        return self.folder.mean

    def on(self, device: torch.device, recipe: Recipe, devices: int = 1) -> Jpegs:
        """Make the batches of a recipe on a device, one of `devices` for which this machine's cores read images."""
        assert isinstance(recipe, ImageNetRecipe)
        return Jpegs(self.folder, recipe, device, worker_count(devices))


def load_imagenet(data: Path) -> ImageNet:
    """Load what ``study prepare imagenet`` wrote.

    Raises:
        InputError: it is missing or has changed since.
    """
    return ImageNet(folder.load(data))


def check_imagenet(data: Path) -> Iterator[Check]:
    """Report for ``study doctor`` whether ImageNet is absent, sound, or what is wrong with it."""
    root = folder.home(data)
    if not root.exists():
        yield Check("imagenet", "absent", f"not in {data}; put or link train and val into {root}")
        return
    problems = list(folder.problems(data, folder.declared_subset(data)))
    yield from (Check("imagenet", "unsound", problem) for problem in problems)
    if not problems:
        yield checked("imagenet", lambda: _described(data))


def _described(data: Path) -> str:
    images = folder.load(data)
    extent = "a declared subset" if images.subset else "complete"
    counts = f"{len(images.train):,} and {len(images.val):,} images, {len(images.classes):,} classes"
    return f"{extent} in {folder.home(data)}: {counts}"


INFO = DataSetInfo(
    name="imagenet",
    title="ImageNet",
    image_size=(3, CROP, CROP),
    in_memory=False,
    protocols=("10crop", "1crop", "dense", "ensemble"),
    torchvision=None,
    load=load_imagenet,
    check=check_imagenet,
    prepare=lambda data, source, declared: prepare(data, source, declared.subset),
    declares=("--subset",),
)
