"""What training and evaluation need of a data set; nothing else may depend on which one it is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from study.recipes import Recipe

Bytes = NDArray[np.uint8]  # pixels
Ints = NDArray[np.int64]  # labels, image numbers, crop corners
Reduce = Callable[[Tensor], Tensor]  # sums over ranks


class Batches(Protocol):
    """A data set on a device, as training and evaluation use it.

    Attributes:
        counts: What was counted of the training files since the last `take_notes`, for the checkpoint.
    """

    counts: Tensor

    @property
    def train_size(self) -> int:
        """Number of training images."""

    @property
    def test_size(self) -> int:
        """Number of test images."""

    def batch(self, seed: int, step: int, rank: int = 0, world_size: int = 1) -> tuple[Tensor, Tensor]:
        """One rank's part of batch `step`: images (B, C, H, W) and labels (B,)."""

    def expect(self, parts: Sequence[tuple[int, int]]) -> None:
        """Announce the ranges of test images that will be asked for next, so that they can be read ahead."""

    def test_batch(self, start: int, stop: int) -> tuple[Tensor, Tensor]:
        """Test images from number start up to stop: (B, C, H, W), and labels (B,)."""

    def take_notes(self, reduce: Reduce) -> dict[str, float]:
        """Columns that the data add to an evaluation row, over all ranks, since the last call."""


class DataSet(Protocol):
    """A data set before it is on a device."""

    @property
    def fingerprint(self) -> str:
        """One digest of everything it holds."""

    @property
    def classes(self) -> tuple[str, ...]:
        """The name of each output of the network."""

    @property
    def test_size(self) -> int:
        """Number of test images."""

    @property
    def evaluation_batch(self) -> int:
        """Number of images that are evaluated at a time."""

    def on(self, device: torch.device, recipe: Recipe, devices: int = 1) -> Batches:
        """Its batches on a device.

        Args:
            device: Where the network is.
            recipe: How the network is trained.
            devices: How many devices this machine's processor cores read images for.
        """
