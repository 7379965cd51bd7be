"""Digits: scikit-learn's bundled set of 1,797 handwritten digits, 8x8 pixels in 16 grey levels."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from study.data.images import Arrays
from study.data.interface import Check, DataSetInfo, Declared

TEST_IMAGES = 360
PEAK = 16  # the brightest grey level


def load_digits() -> Arrays:
    """Read the digits, in one fixed split: 1,437 training and 360 test images, balanced by class."""
    from sklearn import datasets
    from sklearn.model_selection import train_test_split

    digits = datasets.load_digits()
    images = digits.images.astype(np.uint8)[..., None]
    numbers = np.arange(len(images))
    train, test = train_test_split(numbers, test_size=TEST_IMAGES, stratify=digits.target, random_state=0)
    labels = digits.target.astype(np.int64)
    names = tuple(str(name) for name in digits.target_names)
    return Arrays(images[train], labels[train], images[test], labels[test], PEAK, names)


def check_digits(_: Path) -> Iterator[Check]:
    """Report for ``study doctor``."""
    yield Check("digits", "sound", "come with scikit-learn")


def prepare_digits(_data: Path, _source: Path | None, _declared: Declared) -> str:
    """Do nothing, as the images come with scikit-learn, and say so."""
    return "digits come with scikit-learn; there is nothing to prepare"


INFO = DataSetInfo(
    name="digits",
    title="digits",
    image_size=(1, 8, 8),
    in_memory=True,
    protocols=("single",),
    torchvision=None,
    load=lambda _: load_digits(),
    check=check_digits,
    prepare=prepare_digits,
)
