"""Sampler: the images of each batch, a pure function of seed and step that ranks and interruptions do not change.

Everything random about a step is drawn from numpy's counter-based generator, keyed by seed and step, for the whole
global batch, of which a rank takes its slice.
"""

from __future__ import annotations

from functools import lru_cache
from itertools import pairwise

import numpy as np

from study.data.interface import Ints


def generator(seed: int, step: int) -> np.random.Generator:
    """Make the random generator of one step: Philox with seed and step as its key."""
    return np.random.Generator(np.random.Philox(key=(seed << 64) + step))


def visited(images: int, batch: int, seed: int, step: int) -> Ints:
    """List the numbers of the images in batch number `step`, as (B,).

    Epochs follow each other without a gap: a batch that reaches the end of one is completed from the next.
    """
    epochs, places = np.divmod(np.arange(step * batch, (step + 1) * batch), images)
    parts = [_order(images, seed, epoch)[places[epochs == epoch]] for epoch in np.unique(epochs).tolist()]
    return np.concatenate(parts)


@lru_cache(maxsize=4)
def _order(images: int, seed: int, epoch: int) -> Ints:
    """Shuffle the images for epoch number `epoch`."""
    return np.random.default_rng([seed, epoch]).permutation(images)


def rank_slice(batch: int, rank: int, world_size: int) -> slice:
    """Locate the part of a global batch that one rank trains on."""
    size = batch // world_size
    return slice(rank * size, (rank + 1) * size)


def evaluation_shares(images: int, limit: int, rank: int, world_size: int) -> list[tuple[int, int]]:
    """Split the test set over ranks: one rank's (start, stop) pairs of at most `limit` images each.

    Over all ranks each image occurs once, without padding. Every rank gets the same number of pairs, as the ranks
    communicate after each.

    >>> [evaluation_shares(10, 3, rank, world_size=2) for rank in range(2)]
    [[(0, 2), (2, 5)], [(5, 7), (7, 10)]]
    """
    parts = -(-images // (limit * world_size))
    edges = [images * i // (parts * world_size) for i in range(rank * parts, (rank + 1) * parts + 1)]
    return list(pairwise(edges))
