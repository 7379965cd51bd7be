"""A network's outputs for all views of one test image, averaged after softmax as in [21] and VGG."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from study.network import ResNet
from study.protocols.views import Protocol

POOL = 7  # Table 1: the last stage is 7x7 at 224


def probabilities(protocol: Protocol, net: ResNet, images: Sequence[Tensor]) -> Tensor:
    """Average a network's probabilities over all views of one image: (classes,).

    Args:
        protocol: How images are seen, and how often.
        net: A network in evaluation mode.
        images: The views, normalised, each (N, 3, H, W).
    """
    logits = dense_logits if protocol == "dense" else nn.Module.__call__
    mirrored = [view if protocol == "1crop" else torch.cat([view, view.flip(3)]) for view in images]
    return torch.stack([logits(net, view).float().softmax(1).mean(0) for view in mirrored]).mean(0)


def dense_logits(net: ResNet, images: Tensor) -> Tensor:
    """Apply a network fully convolutionally: images (N, 3, H, W) -> logits (N, classes).

    The average pooling slides over the last stage, the classifier is a 1x1 convolution, and the resulting map of logits
    is averaged over positions. Classifier and average are linear, so the average is taken first.

    Args:
        net: A network in evaluation mode.
        images: At least 224 pixels a side.
    """
    layers = dict(net.named_children())
    head = layers.pop("head")
    layers.pop("pool")
    for layer in layers.values():
        images = layer(images)
    logits: Tensor = head(F.avg_pool2d(images, POOL, stride=1).mean((2, 3)))
    return logits


def resize_mean(mean: Tensor, size: Sequence[int]) -> Tensor:
    """Resize the per-pixel mean bilinearly; the paper does not say how it was used at sizes other than 224x224."""
    if mean.shape[:2] == tuple(size):
        return mean
    image = mean.permute(2, 0, 1)[None]
    return F.interpolate(image, tuple(size), mode="bilinear", align_corners=False)[0].permute(1, 2, 0)
