"""``study prepare tinyimagenet``: check every image, and write their pixels into one file.

DATA/tinyimagenet/images.npz holds, uncompressed, the images of both splits class by class (N, 64, 64, 3), the names of
the classes, how many images were grey, and the fingerprint of all. It is written image by image, as the whole set takes
1.4 GB.
"""

from __future__ import annotations

import hashlib
import io
import os
import sys
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO

import numpy as np
from numpy.lib import format as npy
from PIL import Image
from rich.console import Console
from rich.progress import track

from study.data.imagenet.jpeg import UNREADABLE
from study.data.images import header
from study.data.interface import Declared, Ints
from study.data.tinyimagenet import source as official
from study.data.tinyimagenet.source import Source
from study.spec import InputError, shown

SIDE = 64  # pixels
FILE = "images.npz"
KINDS = (("RGB", (SIDE, SIDE)), ("L", (SIDE, SIDE)))


def home(data: Path) -> Path:
    """The folder of Tiny ImageNet in the data folder."""
    return data / "tinyimagenet"


def prepare(data: Path, source: Path | None, declared: Declared) -> str:
    """Make Tiny ImageNet ready for training.

    Args:
        data: The folder that is to hold ``tinyimagenet``.
        source: The archive ``tiny-imagenet-200.zip``, or the folder that it unpacks to.
        declared: How many classes there are, if not all 200.

    Returns:
        One line on what there is.

    Raises:
        InputError: the source is not Tiny ImageNet, or the file cannot be written.
    """
    if source is None:
        raise InputError("Tiny ImageNet is not downloaded; give its archive or folder with --source=PATH")
    if declared.classes is not None and not 1 <= declared.classes <= official.CLASSES:
        raise InputError(f"--classes={declared.classes} is not a number of classes from 1 to {official.CLASSES}")
    with official.opened(source) as files:
        classes = official.classes(files, declared.classes)
        splits = {"train": official.train_images(files, classes), "val": official.val_images(files, classes)}
        grey = _write(home(data), files, classes, splits)
    counts = " and ".join(
        f"{len(splits[split]):,} {kind}" for split, kind in (("train", "training"), ("val", "validation"))
    )
    return f"Tiny ImageNet is ready in {home(data)}: {len(classes)} classes, {counts} images, {grey:,} of them grey"


def labels(split: str, classes: int) -> Ints:
    """The labels of a split's images, which come class by class: positions of their classes in order."""
    return np.repeat(np.arange(classes), official.IMAGES[split])


def _write(folder: Path, files: Source, classes: Sequence[str], splits: Mapping[str, Sequence[str]]) -> int:
    """Write the file under a temporary name, then rename it; return how many images were grey.

    Raises:
        InputError: An image is damaged or of another size, or the folder cannot be written.
    """
    temporary = folder / "images.tmp"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with temporary.open("wb") as file:
            grey = _pack(file, files, classes, splits)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, folder / FILE)
    except OSError as error:
        raise InputError(
            f"{folder} cannot be written ({error.strerror}); make room, or give another folder with --data=PATH"
        ) from None
    finally:
        with suppress(OSError):
            temporary.unlink()
    return grey


def _pack(file: IO[bytes], files: Source, classes: Sequence[str], splits: Mapping[str, Sequence[str]]) -> int:
    """Write an archive that `numpy.load` reads, image by image."""
    digest, grey = hashlib.sha256(), 0
    with zipfile.ZipFile(file, "w") as packed:
        for split, names in splits.items():
            shape = (len(names), SIDE, SIDE, 3)
            digest.update(header(np.dtype(np.uint8), shape))
            with packed.open(f"{split}.npy", "w", force_zip64=True) as part:
                npy.write_array_header_1_0(part, {"descr": "|u1", "fortran_order": False, "shape": shape})
                for pixels, is_grey in _decoded(files, split, names):
                    part.write(pixels)
                    digest.update(pixels)
                    grey += is_grey
            numbers = labels(split, len(classes))
            digest.update(header(numbers.dtype, numbers.shape) + numbers.tobytes())
        for name, value in {"classes": list(classes), "grey": grey, "fingerprint": digest.hexdigest()}.items():
            with packed.open(f"{name}.npy", "w") as part:
                npy.write_array(part, np.asarray(value), allow_pickle=False)
    return grey


def _decoded(files: Source, split: str, names: Sequence[str]) -> Iterator[tuple[bytes, bool]]:
    """The pixels of each image, and whether it is grey."""
    quiet = not sys.stderr.isatty()
    for name in track(names, split, console=Console(stderr=True), disable=quiet):
        yield _decode(files, name)


def _decode(files: Source, name: str) -> tuple[bytes, bool]:
    """Decode one image as RGB.

    Raises:
        InputError: It is damaged, of another size, or neither RGB nor grey.
    """
    content = files.read(name)
    try:
        with Image.open(io.BytesIO(content), formats=["JPEG"]) as image:
            kind = image.mode, image.size
            pixels = image.convert("RGB").tobytes() if image.size == (SIDE, SIDE) else b""
    except UNREADABLE as error:
        raise files.error(f"{name} cannot be decoded ({shown(error)})") from None
    if kind not in KINDS:
        raise files.error(f"{name} is {kind[0]} of {kind[1][0]}x{kind[1][1]} pixels, not RGB or grey of {SIDE}x{SIDE}")
    return pixels, kind[0] == "L"
