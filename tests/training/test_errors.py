"""Errors counted batch by batch on the device equal those counted one image at a time."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from study.recording.evaluation import Errors
from study.training.errors import ConfusionMatrix, Tally


@pytest.fixture
def batches() -> list[tuple[Tensor, Tensor]]:
    """Seven batches of 30 images in ten classes: logits and labels."""
    rng = np.random.default_rng(0)
    logits, labels = torch.from_numpy(rng.normal(size=(7, 30, 10))), torch.from_numpy(rng.integers(0, 10, (7, 30)))
    return list(zip(logits, labels, strict=True))


def unreduced(value: Tensor) -> Tensor:
    """The sum over one rank."""
    return value


def by_hand(batches: list[tuple[Tensor, Tensor]]) -> list[tuple[int, int]]:
    """The true and the predicted class of each image."""
    pairs = []
    for logits, labels in batches:
        for image, label in zip(logits.tolist(), labels.tolist(), strict=True):
            pairs.append((label, max(range(10), key=image.__getitem__)))
    return pairs


def test_errors_are_counted_as_by_hand(batches: list[tuple[Tensor, Tensor]]) -> None:
    tally = Tally(torch.device("cpu"))
    for logits, labels in batches:
        tally.add(logits, labels, F.cross_entropy(logits, labels))
    wrong = sum(label != predicted for label, predicted in by_hand(batches))
    errors = tally.take(unreduced)
    assert (errors.wrong, errors.seen, errors.percent) == (wrong, 210, 100 * wrong / 210)
    logits, labels = (torch.cat(parts) for parts in zip(*batches, strict=True))
    assert errors.loss == pytest.approx(float(F.cross_entropy(logits, labels)))
    assert tally.take(unreduced).seen == 0


def test_counts_of_a_checkpoint_are_continued(batches: list[tuple[Tensor, Tensor]]) -> None:
    whole, first, second = (Tally(torch.device("cpu")) for _ in range(3))
    for number, (logits, labels) in enumerate(batches):
        loss = F.cross_entropy(logits, labels)
        whole.add(logits, labels, loss)
        if number == 4:
            second.restore(first.counts(unreduced))
        (first if number < 4 else second).add(logits, labels, loss)
    assert second.take(unreduced) == whole.take(unreduced)


def test_errors_are_summed_over_ranks(batches: list[tuple[Tensor, Tensor]]) -> None:
    tally = Tally(torch.device("cpu"))
    logits, labels = batches[0]
    tally.add(logits, labels, torch.tensor(0.5))
    one, three = tally.counts(unreduced), tally.take(lambda value: 3 * value)
    assert three == Errors(3 * int(one[0]), 90, pytest.approx(0.5))


def test_the_confusion_matrix_is_the_one_by_hand(batches: list[tuple[Tensor, Tensor]]) -> None:
    matrix = ConfusionMatrix(10, torch.device("cpu"))
    for logits, labels in batches:
        matrix.add(logits, labels)
    matrix.sum_over_ranks(unreduced)
    expected = torch.zeros(10, 10, dtype=torch.int64)
    for label, predicted in by_hand(batches):
        expected[label, predicted] += 1
    assert torch.equal(matrix.counts, expected)
