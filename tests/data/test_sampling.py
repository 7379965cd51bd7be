"""Batch order and evaluation shares, for any numbers of images, ranks and steps."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from study.data.sampling import evaluation_shares, visited
from tests.strategies import SEEDS


@given(st.integers(1, 2_000), st.integers(1, 300), st.integers(1, 16))
def test_ranks_evaluate_each_image_once_in_parts_of_bounded_size(images: int, limit: int, ranks: int) -> None:
    shares = [evaluation_shares(images, limit, rank, ranks) for rank in range(ranks)]
    assert [i for share in shares for part in share for i in range(*part)] == list(range(images))
    assert all(stop - start <= limit for share in shares for start, stop in share)
    assert len({len(share) for share in shares}) == 1, "every rank has as many parts"


@given(st.integers(1, 200), st.integers(1, 300), SEEDS, st.integers(1, 3))
def test_each_epoch_visits_each_image_once_whatever_the_batch(images: int, batch: int, seed: int, epochs: int) -> None:
    steps = -(-epochs * images // batch)
    order = np.concatenate([visited(images, batch, seed, step) for step in range(steps)])
    for epoch in range(epochs):
        assert sorted(order[epoch * images : (epoch + 1) * images]) == list(range(images))


@given(st.integers(1, 200), st.integers(1, 300), SEEDS, st.integers(0, 50))
def test_a_batch_visits_what_a_loop_over_its_places_does(images: int, batch: int, seed: int, step: int) -> None:
    places = range(step * batch, (step + 1) * batch)
    expected = [np.random.default_rng([seed, place // images]).permutation(images)[place % images] for place in places]
    assert visited(images, batch, seed, step).tolist() == expected
