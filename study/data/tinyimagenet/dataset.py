"""Tiny ImageNet as a data set of the study: loading, checking, preparing."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from torch.utils.data import Dataset

from study.data.images import Arrays
from study.data.interface import Bytes, Check, DataSetInfo, Transform, checked
from study.data.tinyimagenet.prepare import FILE, SIDE, home, labels, prepare
from study.data.tinyimagenet.source import CLASSES, ROOT
from study.spec import InputError, shown

PEAK = 255  # the brightest level of a pixel
EVALUATION_BATCH = 250  # images


def load_tinyimagenet(data: Path) -> Arrays:
    """Read what ``study prepare tinyimagenet`` wrote.

    The networks have 200 outputs, also if fewer classes were declared.

    Raises:
        InputError: it is missing or damaged.
    """
    path, fix = home(data) / FILE, _fix(data)
    if not path.is_file():
        raise InputError(f"{path} is missing; {fix}")
    try:
        with np.load(path, allow_pickle=False) as parts:
            arrays = _arrays(parts["train"], parts["val"], [str(name) for name in parts["classes"]])
            is_sound = arrays.fingerprint == str(parts["fingerprint"])
    except (OSError, zipfile.BadZipFile, EOFError, KeyError, ValueError) as error:
        raise InputError(f"{path} is damaged ({shown(error)}); {fix}") from None
    if not is_sound:
        raise InputError(f"{path} is damaged (its images do not have its fingerprint); {fix}")
    return arrays


def _fix(data: Path) -> str:
    return f"run: python -m study prepare tinyimagenet --source=PATH --data={data}"


def _arrays(train: Bytes, val: Bytes, classes: Sequence[str]) -> Arrays:
    count = len(classes)
    names = (*classes, *(f"unused {i}" for i in range(count, CLASSES)))
    train_labels, val_labels = labels("train", count), labels("val", count)
    extent = f"{count} of {CLASSES} classes" if count < CLASSES else None
    return Arrays(train, train_labels, val, val_labels, PEAK, names, EVALUATION_BATCH, extent)


def check_tinyimagenet(data: Path) -> Iterator[Check]:
    """Report for ``study doctor`` whether Tiny ImageNet is absent, sound, or damaged."""

    def describe() -> str:
        images = load_tinyimagenet(data)
        return f"{images.extent or 'complete'} in {home(data)}: {images.train_size:,} and {images.test_size:,} images"

    if (home(data) / FILE).exists():
        yield checked("tinyimagenet", describe)
    else:
        yield Check("tinyimagenet", "absent", f"not in {data}; {_fix(data)}")


def _as_torchvision_reads_it(data: Path, transform: Transform) -> Dataset[Any]:
    """The JPEG files, which are not needed otherwise."""
    from torchvision.datasets import ImageFolder

    folder = data / ROOT / "train"
    if not folder.is_dir():
        raise InputError(
            f"the arm loader reads JPEG files, and {folder} is missing; unpack tiny-imagenet-200.zip there"
        )
    images: Dataset[Any] = ImageFolder(str(folder), transform=transform)
    return images


INFO = DataSetInfo(
    name="tinyimagenet",
    title="Tiny ImageNet",
    image_size=(3, SIDE, SIDE),
    in_memory=True,
    protocols=("10crop", "1crop"),
    torchvision=_as_torchvision_reads_it,
    load=load_tinyimagenet,
    check=check_tinyimagenet,
    prepare=prepare,
    declares=("--classes",),
)
