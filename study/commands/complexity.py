"""``study complexity``: parameters and multiply-adds of every network of the paper.

They are counted on the networks themselves, on torch's "meta" device, which holds no memory. `reports` imports no
torch, so the counts are kept in a file: ``python -m study complexity > reports/paper/complexity.csv``. A test compares
that file with the networks.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator

from study.commands.flags import Verbs
from study.spec import Shortcut

Row = tuple[str, str, int | str, str, int, int]
COLUMNS = ("dataset", "net", "depth", "shortcut", "parameters", "multiply_adds")
CIFAR_DEPTHS = (20, 32, 44, 56, 110, 1202)
CIFAR_SHORTCUTS: tuple[Shortcut, ...] = ("none", "A", "B")
IMAGENET: tuple[tuple[int, tuple[Shortcut, ...]], ...] = (
    (18, ("none", "A", "B", "C")),
    (34, ("none", "A", "B", "C")),
    (50, ("none", "A", "B", "C")),
    (101, ("none", "B")),
    (152, ("B",)),
)


def add_parser(verbs: Verbs) -> None:
    """Add the verb, which has no options."""
    parser = verbs.add_parser("complexity", help="count parameters and multiply-adds of the paper's networks, as CSV")
    parser.set_defaults(run=run)


def run(_: argparse.Namespace) -> int:
    """Print the counts as CSV."""
    print(csv(), end="")
    return 0


def rows() -> Iterator[Row]:
    """Count every network of Table 1 and Table 6, the blocks of Fig. 5, and the peers that the paper counts."""
    import torch

    with torch.device("meta"):
        yield from _networks()
        yield from _blocks()
        yield from _peers()


def _networks() -> Iterator[Row]:
    from study.network import build, count

    for depth in CIFAR_DEPTHS:
        for shortcut in CIFAR_SHORTCUTS:
            yield "cifar10", "", depth, shortcut, *count(build("cifar10", depth, shortcut), (3, 32, 32))
    for dataset, side in (("imagenet", 224), ("tinyimagenet", 64)):
        for depth, shortcuts in IMAGENET:
            for shortcut in shortcuts:
                yield dataset, "", depth, shortcut, *count(build(dataset, depth, shortcut), (3, side, side))


def _blocks() -> Iterator[Row]:
    from study.network import BasicBlock, Bottleneck, count

    yield "block", "basic", "", "A", *count(BasicBlock(64, 64, 1, "A"), (64, 56, 56))
    for shortcut in ("A", "C"):
        yield "block", "bottleneck", "", shortcut, *count(Bottleneck(256, 64, 1, shortcut), (256, 56, 56))


def _peers() -> Iterator[Row]:
    from torchvision.models import GoogLeNet, vgg16, vgg19

    from study.network import count

    for name, net in (("VGG-16", vgg16()), ("VGG-19", vgg19()), ("GoogLeNet", GoogLeNet(init_weights=False))):
        yield "imagenet", name, "", "", *count(net, (3, 224, 224))


def csv() -> str:
    """All rows as the text of reports/paper/complexity.csv."""
    lines = [",".join(map(str, row)) for row in (COLUMNS, *rows())]
    return "\n".join(lines) + "\n"
