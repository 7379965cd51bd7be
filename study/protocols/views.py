"""Crops and sizes of a test image in each of the paper's protocols (Sec. 3.4).

    1crop     the centre of the image resized to 256 (Fig. 4)
    10crop    four corners, the centre, and their mirror images, as in [21] (Tables 2 and 3)
    dense     the whole image at five sizes, with mirror images, for the fully convolutional network (Table 4)

Errors by different protocols must not be compared.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from study.data.imagenet import jpeg
from study.data.imagenet.folder import Files
from study.data.imagenet.readers import CENTRE, CROP
from study.data.interface import Bytes

Protocol = Literal["1crop", "10crop", "dense"]
SIZES = (224, 256, 384, 480, 640)  # Sec. 3.4: shorter sides, in pixels


def views(protocol: Protocol, decoded: jpeg.Decoded) -> list[Bytes]:
    """Cut the views of an image, without their mirror images: arrays (N, H, W, 3), one for each size of view."""
    if protocol == "dense":
        return [jpeg.whole(decoded, size)[None] for size in SIZES]
    if protocol == "1crop":
        return [jpeg.centre(decoded, CENTRE, CROP)[None]]
    square = jpeg.centre(decoded, CENTRE, CENTRE)  # [21] cuts its crops out of the central square
    far = CENTRE - CROP
    corners = [(0, 0), (0, far), (far, 0), (far, far), (far // 2, far // 2)]
    return [np.stack([square[top : top + CROP, left : left + CROP] for top, left in corners])]


class Views(NamedTuple):
    """One test image as a worker process hands it over."""

    views: list[Tensor]  # each (N, H, W, 3), bytes
    label: int
    broken: bool


@dataclass(frozen=True)
class ViewReader(Dataset[Views]):
    """A torch data set of test images as views, for worker processes; every pixel is decoded."""

    files: Files
    protocol: Protocol

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, number: int) -> Views:
        decoded = jpeg.decode(self.files.path(number))
        pixels = [torch.tensor(view) for view in views(self.protocol, decoded)]
        return Views(pixels, int(self.files.labels[number]), decoded.trouble == "broken")
