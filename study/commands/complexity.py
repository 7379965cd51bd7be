"""Parameters and multiply-adds of every network of the paper, counted on the network itself without any memory.

`reports` imports no torch, so what is counted here is kept in reports/paper/complexity.csv; a test counts again.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch

from study.network import BasicBlock, Bottleneck, build, count

COLUMNS = ("dataset", "net", "depth", "shortcut", "parameters", "multiply_adds")
CIFAR_DEPTHS = (20, 32, 44, 56, 110, 1202)
IMAGENET = ((18, "none A B C"), (34, "none A B C"), (50, "none A B C"), (101, "none B"), (152, "B"))


def rows() -> Iterator[tuple[str, str, int | str, str, int, int]]:
    """Every network of Table 1 and Table 6, the blocks of Fig. 5, and the peers that the paper counts."""
    with torch.device("meta"):
        for depth in CIFAR_DEPTHS:
            for shortcut in ("none", "A", "B"):
                yield "cifar10", "", depth, shortcut, *count(build("cifar10", depth, shortcut), (3, 32, 32))
        for depth, shortcuts in IMAGENET:
            for shortcut in shortcuts.split():
                yield "imagenet", "", depth, shortcut, *count(build("imagenet", depth, shortcut), (3, 224, 224))
        yield "block", "basic", "", "A", *count(BasicBlock(64, 64, 1, "A"), (64, 56, 56))
        for shortcut in ("A", "C"):
            yield "block", "bottleneck", "", shortcut, *count(Bottleneck(256, 64, 1, shortcut), (256, 56, 56))
        yield from _peers()


def _peers() -> Iterator[tuple[str, str, int | str, str, int, int]]:
    from torchvision.models import GoogLeNet, vgg16, vgg19

    for name, net in (("VGG-16", vgg16()), ("VGG-19", vgg19()), ("GoogLeNet", GoogLeNet(init_weights=False))):
        yield "imagenet", name, "", "", *count(net, (3, 224, 224))


def csv() -> str:
    """All rows as the text of reports/paper/complexity.csv."""
    return "\n".join(",".join(map(str, row)) for row in (COLUMNS, *rows())) + "\n"
