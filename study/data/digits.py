"""Digits: scikit-learn's bundled set of 1,797 handwritten digits, 8x8 pixels in 16 grey levels."""

from __future__ import annotations

import numpy as np

from study.data.images import Arrays

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
