"""Every network of the paper in one file: a plain network is a residual network whose shortcut is ``none``.

Imports torch and nothing else of the study. Images (N, C, H, W) go in, logits (N, classes) come out.
"""

from __future__ import annotations

from functools import partial
from typing import Literal, NamedTuple, get_args

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

Shortcut = Literal["none", "A", "B", "C"]
StrideIn = Literal["1x1", "3x3"]
SHORTCUTS: tuple[Shortcut, ...] = get_args(Shortcut)


class Task(NamedTuple):
    """What a data set asks of its networks: input channels, classes, the family they come from, and the stem's pooling.

    An image of 64x64 pixels would be 16x16 after the stem of Table 1, and 2x2 in the last stage. Without the stem's max
    pooling the stages are 32, 16, 8 and 4 pixels wide, and all layers are those of Table 1.
    """

    channels: int
    classes: int
    family: Literal["cifar", "imagenet"]
    pools: bool = True


TASKS = {
    "digits": Task(1, 10, "cifar"),
    "cifar10": Task(3, 10, "cifar"),
    "imagenet": Task(3, 1000, "imagenet"),
    "tinyimagenet": Task(3, 200, "imagenet", pools=False),
}


class Architecture(NamedTuple):
    """The sizes of a network, derived from data set and depth: stage widths, blocks per stage, kind of block, stem."""

    channels: int
    classes: int
    widths: tuple[int, ...]
    blocks: tuple[int, ...]
    bottleneck: bool
    pools: bool = False


IMAGENET_BLOCKS = {
    18: (2, 2, 2, 2),
    34: (3, 4, 6, 3),
    50: (3, 4, 6, 3),
    101: (3, 4, 23, 3),
    152: (3, 8, 36, 3),
}  # Table 1
FIRST_BOTTLENECK_DEPTH = 50  # Table 1


def architecture(dataset: str, depth: int) -> Architecture:
    """Derive a network's sizes: three stages of n blocks for 6n+2 layers (Sec. 4.2), or a network of Table 1.

    Raises:
        ValueError: the data set is unknown, or its family has no network of this depth.
    """
    if dataset not in TASKS:
        raise ValueError(f"data set {dataset!r} is unknown; choose one of: {', '.join(TASKS)}")
    task = TASKS[dataset]
    match task.family:
        case "cifar":
            return _cifar(task, depth)
        case "imagenet":
            return _imagenet(task, depth)


def _cifar(task: Task, depth: int) -> Architecture:
    if (depth - 2) % 6 or depth < 8:
        raise ValueError(f"depth {depth} is not 6n+2, as in 8, 20, 56 or 110")
    blocks = (depth - 2) // 6
    return Architecture(task.channels, task.classes, (16, 32, 64), (blocks, blocks, blocks), bottleneck=False)


def _imagenet(task: Task, depth: int) -> Architecture:
    if depth not in IMAGENET_BLOCKS:
        depths = ", ".join(map(str, IMAGENET_BLOCKS))
        raise ValueError(f"depth {depth} is not an ImageNet network of Table 1; choose one of: {depths}")
    widths, bottleneck = (64, 128, 256, 512), depth >= FIRST_BOTTLENECK_DEPTH
    return Architecture(task.channels, task.classes, widths, IMAGENET_BLOCKS[depth], bottleneck, task.pools)


class PadShortcut(nn.Module):
    """Option A (Sec. 3.3): identity; extra channels are zeros, pixels are skipped where the size changes."""

    def __init__(self, extra: int, stride: int) -> None:
        super().__init__()
        self.extra, self.stride = extra, stride

    def forward(self, x: Tensor) -> Tensor:
        """Skip pixels and add channels of zeros: (N, C, H, W) -> (N, C + extra, H / stride, W / stride)."""
        # The average of one pixel, and not a slice, whose gradient would leave the channels-last memory format.
        kept = F.avg_pool2d(x, 1, self.stride) if self.stride > 1 else x
        return F.pad(kept, (0, 0, 0, 0, 0, self.extra))


class Projection(nn.Sequential):
    """Options B and C (Eqn. 2): a 1x1 convolution, then batch norm."""

    def __init__(self, width_in: int, width_out: int, stride: int) -> None:
        super().__init__()
        self.conv = conv(width_in, width_out, kernel=1, stride=stride)
        self.bn = nn.BatchNorm2d(width_out)


def shortcut(kind: Shortcut, width_in: int, width_out: int, stride: int) -> nn.Module | None:
    """Make the shortcut around one block: None in a plain network, else option A, B or C (Sec. 4.1)."""
    changes = stride != 1 or width_in != width_out
    if kind == "none":
        return None
    if kind == "C" or (kind == "B" and changes):
        return Projection(width_in, width_out, stride)
    if kind in ("A", "B"):
        return PadShortcut(width_out - width_in, stride) if changes else nn.Identity()
    raise ValueError(f"shortcut {kind!r} is unknown; choose one of: {', '.join(SHORTCUTS)}")


def conv(width_in: int, width_out: int, kernel: int, stride: int = 1) -> nn.Conv2d:
    """Make a convolution that keeps the size at stride 1, without bias, as batch norm follows each (Sec. 3.4)."""
    return nn.Conv2d(width_in, width_out, kernel, stride, padding=kernel // 2, bias=False)


class BasicBlock(nn.Module):
    """A block of two 3x3 layers (Fig. 5 left); `shortcut` is None in a plain network."""

    expansion = 1

    def __init__(self, width_in: int, width: int, stride: int, kind: Shortcut) -> None:
        super().__init__()
        self.conv1, self.bn1 = conv(width_in, width, 3, stride), nn.BatchNorm2d(width)
        self.conv2, self.bn2 = conv(width, width, 3), nn.BatchNorm2d(width)
        self.shortcut = shortcut(kind, width_in, width, stride)

    def forward(self, x: Tensor) -> Tensor:
        """Compute y = F(x) + x (Eqn. 1), or F(x) alone; the last ReLU comes after the addition."""
        y = F.relu(self.bn1(self.conv1(x)), inplace=True)
        return _join(self.bn2(self.conv2(y)), x, self.shortcut)


class Bottleneck(nn.Module):
    """A block of 1x1, 3x3 and 1x1 layers (Fig. 5 right), four times wider outside; the stride is in the first layer.

    With `stride_in` ``3x3`` the stride is in the second layer, as in torchvision's networks and fb.resnet.torch's.
    """

    expansion = 4

    def __init__(self, width_in: int, width: int, stride: int, kind: Shortcut, stride_in: StrideIn = "1x1") -> None:
        super().__init__()
        first, second = (stride, 1) if stride_in == "1x1" else (1, stride)
        self.conv1, self.bn1 = conv(width_in, width, 1, first), nn.BatchNorm2d(width)
        self.conv2, self.bn2 = conv(width, width, 3, second), nn.BatchNorm2d(width)
        self.conv3, self.bn3 = conv(width, 4 * width, 1), nn.BatchNorm2d(4 * width)
        self.shortcut = shortcut(kind, width_in, 4 * width, stride)

    def forward(self, x: Tensor) -> Tensor:
        """Compute y = F(x) + x (Eqn. 1), or F(x) alone; the last ReLU comes after the addition."""
        y = F.relu(self.bn1(self.conv1(x)), inplace=True)
        y = F.relu(self.bn2(self.conv2(y)), inplace=True)
        return _join(self.bn3(self.conv3(y)), x, self.shortcut)


def _join(y: Tensor, x: Tensor, around: nn.Module | None) -> Tensor:
    """Add the shortcut and rectify, in place: batch norm keeps its input for the backward pass, not its output."""
    return F.relu(y if around is None else y.add_(around(x)), inplace=True)


class ResNet(nn.Sequential):
    """A network of stem, stage1, stage2, ..., pool and head: images (N, C, H, W) in, logits (N, classes) out."""

    def __init__(self, net: Architecture, kind: Shortcut, stride_in: StrideIn = "1x1") -> None:
        super().__init__()
        block = partial(Bottleneck, stride_in=stride_in) if net.bottleneck else BasicBlock
        expansion = Bottleneck.expansion if net.bottleneck else BasicBlock.expansion
        self.stem = _stem(net)
        width_in = net.widths[0]
        for i, (width, count) in enumerate(zip(net.widths, net.blocks, strict=True), start=1):
            stage = nn.Sequential()
            for j in range(count):
                stage.append(block(width_in, width, stride=2 if i > 1 and j == 0 else 1, kind=kind))
                width_in = width * expansion
            self.add_module(f"stage{i}", stage)
        self.pool = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())  # Table 1: the global average
        self.head = nn.Linear(width_in, net.classes)


def _stem(net: Architecture) -> nn.Sequential:
    """Make the first layers: one 3x3 (Sec. 4.2), or a 7x7 with stride 2 and, for large images, a 3x3 max pooling."""
    stem = nn.Sequential()
    large = len(net.widths) == 4
    stem.add_module("conv", conv(net.channels, net.widths[0], 7 if large else 3, 2 if large else 1))
    stem.add_module("bn", nn.BatchNorm2d(net.widths[0]))
    stem.add_module("relu", nn.ReLU(inplace=True))
    if net.pools:
        stem.add_module("pool", nn.MaxPool2d(3, stride=2, padding=1))
    return stem


def initialise(net: nn.Module, generator: torch.Generator) -> None:
    """Draw the initial weights from He's normal distribution (Sec. 3.4, [13]), those of projections last.

    So networks that differ only in their shortcuts start with equal weights in all layers that they share.
    """
    layers = [(name, m) for name, m in net.named_modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    for _, layer in sorted(layers, key=lambda item: ".shortcut." in item[0]):
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu", generator=generator)
        else:
            nn.init.kaiming_normal_(layer.weight, nonlinearity="linear", generator=generator)
            nn.init.zeros_(layer.bias)


def build(dataset: str, depth: int, shortcut: Shortcut, stride_in: StrideIn = "1x1") -> ResNet:
    """Build one network of the paper, with initial weights from torch's global random state (one draw).

    Args:
        dataset: A name in TASKS: ``digits``, ``cifar10``, ``imagenet`` or ``tinyimagenet``.
        depth: Weighted layers: 6n+2, or for ImageNet and Tiny ImageNet a key of IMAGENET_BLOCKS.
        shortcut: ``none`` (a plain network), ``A``, ``B`` or ``C``.
        stride_in: Which layer of a bottleneck has the stride: ``1x1`` as in the paper, or ``3x3`` for others' weights.

    Raises:
        ValueError: there is no such data set, depth or shortcut; the message names the choices.

    >>> sum(weights.numel() for weights in build("cifar10", 20, "A").parameters())
    269722
    """
    generator = torch.Generator().manual_seed(int(torch.randint(2**62, (), device="cpu")))
    net = ResNet(architecture(dataset, depth), shortcut, stride_in)
    if next(net.parameters()).device.type != "meta":
        initialise(net, generator)
    return net


def count(net: nn.Module, image: tuple[int, int, int]) -> tuple[int, int]:
    """Count trainable parameters, and multiply-adds of convolutions and linear layers for one image (C, H, W).

    The network must be on the meta device, and is left in evaluation mode.

    >>> with torch.device("meta"):
    ...     count(build("cifar10", 20, "A"), (3, 32, 32))
    (269722, 40551040)
    """
    with FlopCounterMode(display=False) as counter:
        net.eval()(torch.empty(1, *image, device="meta"))
    return sum(p.numel() for p in net.parameters()), counter.get_total_flops() // 2
