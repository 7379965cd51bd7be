"""Centred kernel alignment (CKA) between the blocks of two networks: do they represent the images alike?

Kornblith et al. (2019) with a linear kernel. The estimator of Song et al. (2012) is unbiased, so that its mean over
batches is the same for batches of any size (Nguyen et al. 2021), and independent features have 0 and not more.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import torch
from torch import Tensor

from study.network import ResNet
from study.probes.places import places, watched
from study.recording.evaluation import Row

SIMILARITY = "similarity"  # of every two of the given networks, and of each with itself
COMPARED = 1_000  # test images on which networks are compared
BATCH = 250  # images whose kernels are in memory at a time: 0.25 MB for each place of each network


def compared(first: ResNet, second: ResNet, images: Tensor, theirs: Tensor) -> Row:
    """Compare two networks on the same images as each of them expects them: (N, C, H, W).

    Returns:
        images: N. blocks, others: the names of the places of the first and the second. cka: see `similarity`.
    """
    batches = zip(torch.split(images, BATCH), torch.split(theirs, BATCH), strict=True)
    values = similarity(first.eval(), second.eval(), batches)
    return {
        "images": len(images),
        "blocks": list(places(first)),
        "others": list(places(second)),
        "cka": [[round(value, 4) for value in line] for line in values],
    }


def with_other(rows: Sequence[Row], named: Row, measure: Callable[[], Row]) -> list[Row]:
    """Add a comparison to those on record, unless it is there.

    Args:
        rows: What is on record.
        named: The other network: its name under ``with``, and its weights. A row of the same name with other weights is
            of a network that has been trained again, and is replaced.
        measure: Compares the two.
    """
    if any(named.items() <= row.items() for row in rows):
        return list(rows)
    return [*(row for row in rows if row["with"] != named["with"]), named | measure()]


def similarity(first: ResNet, second: ResNet, batches: Iterable[tuple[Tensor, Tensor]]) -> list[list[float]]:
    """The CKA of every place of one network (rows) with every place of another (columns).

    Args:
        first: A network in evaluation mode.
        second: Another, or the same.
        batches: The same images as each of them expects them: (N, C, H, W) each, N of at least four.

    Returns:
        Numbers up to 1, which features have that are equal but for a rotation and a factor. Those of features that have
        nothing in common lie around 0, on both sides of it.
    """
    crossed = mine = others = torch.zeros(())
    for images, theirs in batches:
        left, right = kernels(first, images), kernels(second, theirs)
        crossed = crossed + hsic(left, right)
        mine, others = mine + hsic(left, left).diagonal(), others + hsic(right, right).diagonal()
    return (crossed / (mine[:, None] * others[None, :]).clamp_min(1e-30).sqrt()).tolist()


@torch.no_grad()
def kernels(net: ResNet, images: Tensor) -> Tensor:
    """The linear kernel of the images at each place of a network, without its diagonal: (places, N, N)."""
    found: list[Tensor] = []

    def keep(_name: str, _before: Tensor, output: Tensor) -> None:
        features = output.flatten(1).double()
        found.append((features @ features.T).fill_diagonal_(0))

    with watched(places(net), keep):
        net(images)
    return torch.stack(found)


def hsic(left: Tensor, right: Tensor) -> Tensor:
    """The unbiased Hilbert-Schmidt independence criterion of every pair of kernels.

    Args:
        left: (L, N, N), with diagonals of zeros.
        right: (R, N, N), with diagonals of zeros.

    Returns:
        (L, R).
    """
    n = left.shape[-1]
    rows, columns = left.sum(2), right.sum(2)
    traces = left.flatten(1) @ right.flatten(1).T
    sums = torch.outer(rows.sum(1), columns.sum(1)) / ((n - 1) * (n - 2))
    return (traces + sums - 2 / (n - 2) * rows @ columns.T) / (n * (n - 3))
