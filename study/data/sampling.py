"""Which images come when: a pure function of (seed, step) that neither ranks nor interruptions change.

Everything random about a step is drawn from numpy's counter-based generator, keyed by seed and step, for the whole
global batch; a rank takes its slice of it.
"""

from __future__ import annotations

from functools import lru_cache
from itertools import pairwise

import numpy as np

from study.data.interface import Ints


def generator(seed: int, step: int) -> np.random.Generator:
    """The source of all that is random in one step."""
    return np.random.Generator(np.random.Philox(key=(seed << 64) + step))


def visited(images: int, batch: int, seed: int, step: int) -> Ints:
    """Numbers of the images in batch number `step`, as (B,).

    Epochs follow each other without a gap: a batch that reaches the end of one takes the rest from the next.
    """
    place = np.arange(step * batch, (step + 1) * batch)
    orders = {epoch: _order(images, seed, epoch) for epoch in range(place[0] // images, place[-1] // images + 1)}
    return np.array([orders[p // images][p % images] for p in place.tolist()])


@lru_cache(maxsize=4)
def _order(images: int, seed: int, epoch: int) -> Ints:
    """The order in which epoch number `epoch` visits the images."""
    return np.random.default_rng([seed, epoch]).permutation(images)


def rank_slice(batch: int, rank: int, world_size: int) -> slice:
    """The part of a global batch that one rank trains on."""
    size = batch // world_size
    return slice(rank * size, (rank + 1) * size)


def evaluation_shares(images: int, limit: int, rank: int, world_size: int) -> list[tuple[int, int]]:
    """One rank's share of the test set as (start, stop) pairs of at most `limit` images: each once, none padded.

    Every rank gets as many pairs as the others, for they talk to each other at each.
    """
    parts = -(-images // (limit * world_size))
    edges = [images * i // (parts * world_size) for i in range(rank * parts, (rank + 1) * parts + 1)]
    return list(pairwise(edges))
