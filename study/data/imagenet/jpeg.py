"""Decoding a JPEG file, resizing and cropping it; damaged files are counted and do not stop a run.

ImageNet contains greyscale and CMYK files and a PNG named as a JPEG, and disks truncate files. All become RGB, in the
same way each time, and are counted.
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
GREY = (124, 116, 104)  # ImageNet's mean colour, in place of a file that cannot be decoded at all
LARGEST = 50_000_000  # pixels; ILSVRC 2012's largest image has 24 million
# What PIL raises for a file's content. An error of the disk itself has an errno and is not caught.
UNREADABLE = (OSError, SyntaxError, ValueError, EOFError, Image.DecompressionBombError)


class Decoded(NamedTuple):
    """An RGB image, possibly at a fraction of the file's size, and the file's own size (width, height)."""

    image: Image.Image
    size: tuple[int, int]
    trouble: Trouble


def resized(size: tuple[int, int], shorter: int) -> tuple[int, int]:
    """Compute width and height for a shorter side of `shorter` pixels, rounding the longer down as torchvision does."""
    width, height = size
    if width <= height:
        return shorter, int(shorter * height / width)
    return int(shorter * width / height), shorter


def decode(path: FilePath, shorter: int | None = None) -> Decoded:
    """Decode a file as RGB.

    Args:
        path: The file.
        shorter: The shorter side to which the image will be resized. The decoder then skips detail: it halves the image
            as long as it stays at least that large (libjpeg's scaled decoding). None decodes every pixel.

    Raises:
        OSError: the disk failed, or there is no such file. A damaged file is not an error.
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
        _check_size(image)
        if shorter is not None:
            image.draft(None, resized(size, shorter))
        if image.mode == "RGB":
            image.load()
            return Decoded(image, size, "none")
        return Decoded(image.convert("RGB"), size, "converted")


def _check_size(image: Image.Image) -> None:
    """Refuse an image before memory is taken for its pixels."""
    if image.width * image.height > LARGEST:
        raise Image.DecompressionBombError(f"{image.width} x {image.height} pixels")


def _decode_what_is_there(path: FilePath) -> Decoded:
    """Decode the upper part of a truncated file, PIL's grey below it; a grey image if nothing can be decoded."""
    ImageFile.LOAD_TRUNCATED_IMAGES = True
    try:
        with Image.open(path) as image:
            _check_size(image)
            return Decoded(image.convert("RGB"), image.size, "broken")
    except UNREADABLE:
        return Decoded(Image.new("RGB", (256, 256), GREY), (256, 256), "broken")
    finally:
        ImageFile.LOAD_TRUNCATED_IMAGES = False


def crop(decoded: Decoded, shorter: int, top: float, left: float, side: int) -> Bytes:
    """Crop a square from the resized image, without resizing what is not in the crop.

    The crop is moved by at most half a pixel of the decoded image, so that whole pixels can be cut out before resizing.
    torch resizes bytes more than twice as fast as PIL does.

    Args:
        decoded: The image.
        shorter: The shorter side of the resized image, in pixels.
        top: The vertical position, from 0 (uppermost) to just below 1 (lowest).
        left: The horizontal position, from 0 (leftmost) to just below 1 (rightmost).
        side: The side of the crop, in pixels, at most `shorter`.

    Returns:
        Pixels (side, side, 3).
    """
    image, (width, height) = decoded.image, resized(decoded.size, shorter)
    x, y = offset(left, width, side), offset(top, height, side)
    across, down = image.width / width, image.height / height
    box = (round(x * across), round(y * down), round((x + side) * across), round((y + side) * down))
    pixels = torch.from_numpy(np.array(image.crop(box)))[None].permute(0, 3, 1, 2)
    cut = F.interpolate(pixels, (side, side), mode="bilinear", antialias=True)
    return cut[0].permute(1, 2, 0).numpy()


def offset(place: float, length: int, side: int) -> int:
    """Compute the first pixel of a crop at position `place`, from 0 to just below 1, within `length` pixels."""
    return int(place * (length - side + 1))


def whole(decoded: Decoded, shorter: int) -> Bytes:
    """Resize the whole image to a shorter side of `shorter` pixels: (H, W, 3)."""
    return np.asarray(decoded.image.resize(resized(decoded.size, shorter), Image.Resampling.BILINEAR))


def centre(decoded: Decoded, shorter: int, side: int) -> Bytes:
    """Crop the centre of the resized image, equal to torchvision's Resize and CenterCrop in every pixel.

    Returns:
        Pixels (side, side, 3).
    """
    pixels = whole(decoded, shorter)
    top, left = (round((length - side) / 2) for length in pixels.shape[:2])
    return pixels[top : top + side, left : left + side]
