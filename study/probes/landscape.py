"""A slice of the loss around a trained network, along two random directions (Li et al. 2018).

A direction has the norm of the network's own weights in every filter, so that slices of networks whose weights have
different scales can be compared. Batch norm's parameters and statistics stay as they are.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import deepcopy

import torch
from torch import Tensor
from torch.nn import functional as F

from study.data.images import Images
from study.network import ResNet
from study.probes.batches import logits_of
from study.recording.evaluation import Row
from study.recording.progress import progress
from study.spec import Spec

IMAGES = 250  # training images, uncropped, on which the loss is computed
POINTS = 15  # on each axis, an odd number, so that the network itself is one of them
REACH = 1.0  # the last point of an axis, in norms of each filter


def landscape(net: ResNet, spec: Spec, images: Images) -> Row:
    """Compute the mean cross-entropy on a grid around a network, in evaluation mode.

    Returns:
        images, reach: what it was computed on, and how far it goes. loss: (POINTS, POINTS), the network in the middle.
    """
    net = deepcopy(net).eval()
    inputs, labels = images.train_batch(0, min(IMAGES, images.train_size))
    weights = [parameter for parameter in net.parameters() if parameter.ndim > 1]
    directions = [direction(weights, spec.seed + number) for number in range(2)]
    loss = slice_through(lambda: float(F.cross_entropy(logits_of(net, inputs), labels)), weights, directions)
    return {"images": len(labels), "reach": REACH, "loss": loss}


def direction(weights: Sequence[Tensor], seed: int) -> list[Tensor]:
    """A random direction: every filter, or row of a linear layer, has the norm of the network's own."""
    generator = torch.Generator().manual_seed(seed)
    found = []
    for weight in weights:
        drawn = torch.randn(weight.shape, generator=generator).to(weight.device)
        norms, lengths = (one.detach().flatten(1).norm(dim=1) for one in (weight, drawn))
        found.append(drawn * (norms / lengths).reshape(-1, *[1] * (weight.ndim - 1)))
    return found


@torch.no_grad()
def slice_through(
    loss: Callable[[], float], weights: Sequence[Tensor], directions: Sequence[Sequence[Tensor]]
) -> list[list[float]]:
    """Evaluate a loss on a grid: rows go along the first direction, columns along the second.

    Args:
        loss: Computes it from `weights`, which are set for each point and put back at the end.
        weights: The middle of the grid.
        directions: Two, each with a tensor for each of the weights.
    """
    middle = [weight.clone() for weight in weights]
    places = torch.linspace(-REACH, REACH, POINTS).tolist()
    rows: list[list[float]] = []
    for a in progress(places, "landscape"):
        rows.append([])
        for b in places:
            for weight, at, first, second in zip(weights, middle, *directions, strict=True):
                weight.copy_(at + a * first + b * second)
            rows[-1].append(loss())
    for weight, at in zip(weights, middle, strict=True):
        weight.copy_(at)
    return rows
