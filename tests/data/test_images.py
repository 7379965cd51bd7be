from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import torch

from study.data.digits import load_digits
from study.data.images import Arrays, Images, plan, subset
from study.recipes import RECIPES

PAPER = RECIPES["cifar10"]["paper"]
CPU = torch.device("cpu")


def test_a_batch_is_what_a_plain_loop_makes_of_its_plan(arrays: Arrays) -> None:
    """Per image: subtract the per-pixel mean, pad with zeros, crop, flip (Sec. 4.2)."""
    images, labels = Images(arrays, PAPER, CPU).batch(seed=3, step=1_000)
    mean = arrays.train_images.astype(np.float64).mean(axis=0)
    chosen = plan(PAPER, len(arrays.train_labels), seed=3, step=1_000)
    for i, (image, top, left, flip) in enumerate(zip(*chosen, strict=True)):
        padded = np.pad((arrays.train_images[image] - mean) / 255, ((4, 4), (4, 4), (0, 0)))
        crop = padded[top : top + 32, left : left + 32]
        expected = (crop[:, ::-1] if flip else crop).transpose(2, 0, 1)
        np.testing.assert_allclose(images[i].numpy(), expected, atol=1e-6)
        assert labels[i] == arrays.train_labels[image]


def test_test_images_are_the_one_original_view(arrays: Arrays) -> None:
    images, labels = Images(arrays, PAPER, CPU).test_batch(arrays.test_size - 10, arrays.test_size)
    mean = arrays.train_images.astype(np.float64).mean(axis=0)
    expected = ((arrays.test_images[-10:] - mean) / 255).transpose(0, 3, 1, 2)
    np.testing.assert_allclose(images.numpy(), expected, atol=1e-6)
    assert labels.tolist() == arrays.test_labels[-10:].tolist()


def test_batches_are_a_pure_function_of_seed_and_step_and_differ(arrays: Arrays) -> None:
    one, other = Images(arrays, PAPER, CPU), Images(arrays, PAPER, CPU)
    other.batch(0, 7)  # what was drawn before does not matter
    assert torch.equal(one.batch(0, 400)[0], other.batch(0, 400)[0])
    assert not torch.equal(one.batch(0, 400)[0], one.batch(0, 401)[0])
    assert not torch.equal(one.batch(0, 400)[0], one.batch(1, 400)[0])


@pytest.mark.parametrize("world_size", [2, 4, 8])
def test_the_slices_of_the_ranks_are_the_whole_batch(arrays: Arrays, world_size: int) -> None:
    images = Images(arrays, PAPER, CPU)
    whole = images.batch(0, 390)
    parts = [images.batch(0, 390, rank, world_size) for rank in range(world_size)]
    for i in range(2):
        assert torch.equal(torch.cat([part[i] for part in parts]), whole[i])


def test_each_epoch_shows_each_image_once_though_batches_run_on() -> None:
    seen = np.concatenate([plan(PAPER, 1_000, seed=1, step=step).image for step in range(1_000 // 8)])  # 16 epochs
    for epoch in range(16):
        assert sorted(seen[epoch * 1_000 : (epoch + 1) * 1_000]) == list(range(1_000))
    assert not np.array_equal(seen[:1_000], seen[1_000:2_000])


def test_all_81_crops_and_both_flips_occur_equally() -> None:
    plans = [plan(PAPER, 50_000, seed=0, step=step) for step in range(400)]
    counts = Counter(
        (t, le, f) for p in plans for t, le, f in zip(p.top.tolist(), p.left.tolist(), p.flip.tolist(), strict=True)
    )
    assert len(counts) == 81 * 2
    expected = 400 * 128 / 162
    chi2 = sum((n - expected) ** 2 / expected for n in counts.values())
    assert chi2 < 220  # the 99.9 % point of chi-squared with 161 degrees of freedom is 220


def test_seeds_are_not_confused_with_steps() -> None:
    drawn = {plan(PAPER, 50_000, seed, step).top.tobytes() for seed in range(5) for step in range(200)}
    assert len(drawn) == 1_000


def test_digits_are_not_augmented() -> None:
    arrays, recipe = load_digits(), RECIPES["digits"]["mini"]
    assert (len(arrays.train_labels), len(arrays.test_labels)) == (1_437, 360)
    chosen = plan(recipe, 1_437, 0, 5)
    assert not chosen.top.any() and not chosen.left.any() and not chosen.flip.any()


def test_a_subset_is_class_balanced_and_fixed(arrays: Arrays) -> None:
    fifth, most = len(arrays.train_labels) // 5, len(arrays.train_labels) * 9 // 10
    keep = subset(arrays.train_labels, fifth)
    assert Counter(arrays.train_labels[keep].tolist()) == dict.fromkeys(range(10), fifth // 10)
    assert len(set(keep.tolist())) == fifth
    assert Images(arrays, replace(PAPER, train_images=most), CPU).train_size == most


def test_a_gpu_evaluates_more_images_at_a_time(arrays: Arrays) -> None:
    assert arrays.evaluation_part(CPU) == 500 and arrays.evaluation_part(torch.device("cuda")) == 2_500
