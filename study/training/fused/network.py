"""The training forward of a network with fused kernels; `study.network` is the reference, and stays as it is.

Each batch norm goes with the addition and the ReLU that follow it, and the weights of all convolutions are cast to
bf16 by one operation, as are their gradients back. Parameters, statistics and state dict are the network's own.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from study.network import BasicBlock, Bottleneck, Projection, ResNet
from study.training.fused.norm import norm_add_relu
from study.training.step import Forward, blocks

Weights = dict[nn.Conv2d, Tensor]  # of each convolution, in the precision of its arithmetic
Pair = tuple[Tensor, Tensor]  # one activation twice: for the layers of a block, and for its shortcut


class _Cast(torch.autograd.Function):
    """Casts of many tensors by one operation, forward and backward."""

    @staticmethod
    def forward(ctx: Any, kind: torch.dtype, *weights: Tensor) -> tuple[Tensor, ...]:
        ctx.kind = weights[0].dtype
        return _cast(kind, weights)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        return None, *_cast(ctx.kind, gradients)


def _cast(kind: torch.dtype, tensors: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    cast = [torch.empty_like(tensor, dtype=kind) for tensor in tensors]
    torch._foreach_copy_(cast, list(tensors))
    return tuple(cast)


def fused(net: ResNet) -> Forward:
    """The forward pass of a network in training: images (B, C, H, W) to logits (B, classes).

    Convolutions compute in bf16 inside an autocast to it, else in fp32; batch norm always in fp32. The result differs
    from the network's own by the rounding between batch norm, addition and ReLU, which is left out here.
    """
    convolutions = [module for module in net.modules() if isinstance(module, nn.Conv2d)]

    def forward(images: Tensor) -> Tensor:
        weights = dict(zip(convolutions, _weights(convolutions, images.device.type), strict=True))
        pair = _stem(net, images, weights)
        for block in blocks(net):
            assert isinstance(block, BasicBlock | Bottleneck)
            pair = _block(block, pair, weights)
        logits: Tensor = net.head(net.pool(pair[0]))
        return logits

    return forward


def _weights(convolutions: list[nn.Conv2d], device: str) -> tuple[Tensor, ...]:
    weights = tuple(convolution.weight for convolution in convolutions)
    if not torch.is_autocast_enabled(device):
        return weights
    cast: tuple[Tensor, ...] = _Cast.apply(torch.get_autocast_dtype(device), *weights)
    return cast


def _stem(net: ResNet, images: Tensor, weights: Weights) -> Pair:
    convolution, norm = net.stem.get_submodule("conv"), net.stem.get_submodule("bn")
    assert isinstance(convolution, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d)
    x, again = norm_add_relu(_convolve(images, convolution, weights), None, norm)
    if "pool" in dict(net.stem.named_children()):
        pooled: Tensor = net.stem.get_submodule("pool")(x)
        return pooled, pooled
    return x, again


def _block(block: BasicBlock | Bottleneck, pair: Pair, weights: Weights) -> Pair:
    """All layers of a block, the addition and the last ReLU in its last batch norm."""
    x, around = pair
    layers = [(block.conv1, block.bn1), (block.conv2, block.bn2)]
    if isinstance(block, Bottleneck):
        layers.append((block.conv3, block.bn3))
    for convolution, norm in layers[:-1]:
        x, _ = norm_add_relu(_convolve(x, convolution, weights), None, norm)
    convolution, norm = layers[-1]
    return norm_add_relu(_convolve(x, convolution, weights), _shortcut(block.shortcut, around, weights), norm)


def _shortcut(shortcut: nn.Module | None, x: Tensor, weights: Weights) -> Tensor | None:
    if shortcut is None:
        return None
    if isinstance(shortcut, Projection):
        return norm_add_relu(_convolve(x, shortcut.conv, weights), None, shortcut.bn, rectifies=False)[0]
    passed: Tensor = shortcut(x)
    return passed


def _convolve(x: Tensor, convolution: nn.Conv2d, weights: Weights) -> Tensor:
    weight = weights[convolution]
    return F.conv2d(x.to(weight.dtype), weight, None, convolution.stride, convolution.padding)
