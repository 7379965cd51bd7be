"""The batches on which a network is probed, and its outputs, its loss and its error on them."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from study.data.images import Images
from study.spec import Spec

MOST_IMAGES = 2_000  # training images that classifiers are fitted to, and the most test images that errors use
PART = 100  # images at a time, whose activations stay in a processor's cache: half the time of 1,000 at a time


def unseen_batch(spec: Spec, images: Images, number: int) -> tuple[Tensor, Tensor]:
    """Make a training batch that the run did not use, as its step number lies beyond the last: images and labels.

    Args:
        spec: The cell of the run.
        images: Its images, on a device.
        number: 0 for the first batch after the run's last, 1 for the second, and so on.
    """
    return images.batch(spec.seed, images.recipe.steps + number)


def evaluation_images(images: Images) -> tuple[Tensor, Tensor]:
    """Make the test images on which errors are counted, at most MOST_IMAGES, and their labels."""
    return images.test_batch(0, min(MOST_IMAGES, images.test_size))


@torch.no_grad()
def logits_of(net: nn.Module, images: Tensor) -> Tensor:
    """Compute the logits (N, classes) of images (N, C, H, W), part by part, with the network in its present mode."""
    return torch.cat([net(part) for part in torch.split(images, PART)])


def top1_error(logits: Tensor, labels: Tensor) -> float:
    """Compute the top-1 error in percent: logits (N, classes), labels (N,)."""
    return 100 * int((logits.argmax(1) != labels).sum()) / len(labels)


def training_loss(net: nn.Module, images: Tensor, labels: Tensor) -> Tensor:
    """Compute the mean cross-entropy with the network in training mode, where batch norm uses the batch's statistics.

    The network stays in training mode, and its running statistics change.
    """
    return F.cross_entropy(net.train()(images), labels)
