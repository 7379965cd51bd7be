"""A JPEG file in, its pixels at a wanted size out: nothing that a file can hold stops a run.

ImageNet holds greyscale and CMYK files and one PNG under a JPEG's name; disks add truncated ones. All become RGB,
always alike, and are counted.
"""

from __future__ import annotations

from os import PathLike
from typing import Literal, NamedTuple

import numpy as np
import torch
from PIL import Image, ImageFile
from torch.nn import functional as F

from study.data.interface import Bytes

FilePath = str | PathLike[str]
Trouble = Literal["none", "converted", "broken"]
TROUBLES: tuple[Trouble, ...] = ("converted", "broken")
GREY = (124, 116, 104)  # ImageNet's mean colour, for a file of which nothing can be read
# What PIL raises for what a file holds; an error of the disk itself (with an errno) is let through.
UNREADABLE = (OSError, SyntaxError, ValueError, EOFError, Image.DecompressionBombError)


class Decoded(NamedTuple):
    """An RGB image, perhaps at a fraction of the file's size, and the file's own size (width, height)."""

    image: Image.Image
    size: tuple[int, int]
    trouble: Trouble


def resized(size: tuple[int, int], shorter: int) -> tuple[int, int]:
    """Width and height when the shorter side is `shorter` pixels, the longer rounded down as torchvision does."""
    width, height = size
    if width <= height:
        return shorter, int(shorter * height / width)
    return int(shorter * width / height), shorter


def decode(path: FilePath, shorter: int | None = None) -> Decoded:
    """Read a file as RGB.

    Args:
        path: The file.
        shorter: The shorter side that will be wanted: the decoder may then skip detail, halving the image as often
            as it stays at least that large (libjpeg's scaled decoding). None decodes every pixel.

    Raises:
        OSError: the disk failed, or there is no such file. A file with wrong content is no error.
    """
    try:
        return _decode(path, shorter)
    except UNREADABLE as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
    return _decode_what_is_there(path)


def _decode(path: FilePath, shorter: int | None) -> Decoded:
    with Image.open(path) as image:
        size = image.size
        if shorter is not None:
            image.draft(None, resized(size, shorter))
        if image.mode == "RGB":
            image.load()
            return Decoded(image, size, "none")
        return Decoded(image.convert("RGB"), size, "converted")


def _decode_what_is_there(path: FilePath) -> Decoded:
    """The upper part of a truncated file, the rest grey as PIL leaves it; a grey image where there is none."""
    ImageFile.LOAD_TRUNCATED_IMAGES = True
    try:
        with Image.open(path) as image:
            return Decoded(image.convert("RGB"), image.size, "broken")
    except UNREADABLE:
        return Decoded(Image.new("RGB", (256, 256), GREY), (256, 256), "broken")
    finally:
        ImageFile.LOAD_TRUNCATED_IMAGES = False


def crop(decoded: Decoded, shorter: int, top: float, left: float, side: int) -> Bytes:
    """What resizing the whole image and cutting out gives, without resizing the rest.

    The cut is moved by at most half a pixel of the decoded image, so that whole pixels can be cut out first. torch
    resizes bytes more than twice as fast as PIL does.

    Args:
        decoded: The image.
        shorter: The shorter side of the image in pixels before the cut.
        top: Where the crop lies between the uppermost place (0) and the lowest (just below 1).
        left: The same from left to right.
        side: Of the square crop, in pixels, at most `shorter`.

    Returns:
        (side, side, 3).
    """
    image, (width, height) = decoded.image, resized(decoded.size, shorter)
    x, y = offset(left, width, side), offset(top, height, side)
    across, down = image.width / width, image.height / height
    box = (round(x * across), round(y * down), round((x + side) * across), round((y + side) * down))
    pixels = torch.from_numpy(np.array(image.crop(box)))[None].permute(0, 3, 1, 2)
    cut = F.interpolate(pixels, (side, side), mode="bilinear", antialias=True)
    return cut[0].permute(1, 2, 0).numpy()


def offset(place: float, length: int, side: int) -> int:
    """The pixel at which a crop begins that lies at `place`, from 0 to just below 1, in `length` pixels."""
    return int(place * (length - side + 1))


def whole(decoded: Decoded, shorter: int) -> Bytes:
    """The whole image with its shorter side resized: (H, W, 3)."""
    return np.asarray(decoded.image.resize(resized(decoded.size, shorter), Image.Resampling.BILINEAR))


def centre(decoded: Decoded, shorter: int, side: int) -> Bytes:
    """The square in the middle of the resized image, to the pixel as torchvision's Resize and CenterCrop cut it.

    Returns:
        (side, side, 3).
    """
    pixels = whole(decoded, shorter)
    top, left = (round((length - side) / 2) for length in pixels.shape[:2])
    return pixels[top : top + side, left : left + side]
