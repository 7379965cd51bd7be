"""Lesions (Veit et al. 2016): the test error with several blocks left out at random, or with blocks exchanged."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from copy import deepcopy
from random import Random

from torch import Tensor, nn

from study.data.images import Images
from study.network import ResNet
from study.probes.batches import evaluation_images, logits_of, top1_error
from study.probes.places import blocks_of, replaced, without
from study.recording.evaluation import Row
from study.recording.progress import progress
from study.spec import Spec

IMAGES = 1_000  # test images on which the errors are counted
DRAWS = 3  # random choices for each number of blocks
MOST = 10  # blocks that are left out, and pairs that are exchanged
Change = dict[str, nn.Module]  # a module by the name of the block whose place it takes


def lesions(net: ResNet, spec: Spec, images: Images) -> list[Row]:
    """Count test errors with more and more blocks changed.

    Returns:
        A row for each choice. change: ``removed`` for blocks replaced by their shortcuts, or by the identity in a plain
        network; ``exchanged`` for blocks of one stage and one shape that took each other's place. count: how many
        blocks, or pairs of them. error: in percent, on at most `IMAGES` test images.
    """
    net, random = deepcopy(net).eval(), Random(spec.seed)
    tests, labels = (part[:IMAGES] for part in evaluation_images(images))
    rows: list[Row] = [{"change": kind, "count": 0, "error": _error(net, {}, tests, labels)} for kind in CHANGES]
    chosen = [choice for kind in CHANGES for choice in _choices(net, kind, random)]
    for kind, count, change in progress(chosen, "lesions"):
        rows.append({"change": kind, "count": count, "error": _error(net, change, tests, labels)})
    return rows


def _error(net: ResNet, change: Change, tests: Tensor, labels: Tensor) -> float:
    with replaced(net, change):
        return top1_error(logits_of(net, tests), labels)


def _choices(net: ResNet, kind: str, random: Random) -> Iterator[tuple[str, int, Change]]:
    """Random changes of every number of blocks that the network has enough of."""
    for count in range(1, MOST + 1):
        changes = [CHANGES[kind](net, count, random) for _ in range(DRAWS)]
        yield from ((kind, count, change) for change in changes if change)


def removed(net: ResNet, count: int, random: Random) -> Change:
    """So many blocks replaced by what is left without their layers; empty if the network has not as many."""
    rests = {name: rest for name, block in blocks_of(net).items() if (rest := without(block)) is not None}
    return {name: rests[name] for name in random.sample(list(rests), count)} if count < len(rests) else {}


def exchanged(net: ResNet, count: int, random: Random) -> Change:
    """So many disjoint pairs of blocks of one stage, each in the other's place; empty if there are not as many."""
    blocks = blocks_of(net)
    pairs = [pair for stage in _exchangeable(net) for pair in _pairs(stage, random)]
    if count > len(pairs):
        return {}
    chosen = random.sample(pairs, count)
    return {here: blocks[there] for a, b in chosen for here, there in ((a, b), (b, a))}


def _exchangeable(net: ResNet) -> list[list[str]]:
    """The names of the blocks of each stage that have one shape: all but the first, which may change it."""
    stages: defaultdict[str, list[str]] = defaultdict(list)
    for name in blocks_of(net):
        stages[name.partition(".")[0]].append(name)
    return [names[1:] for names in stages.values()]


def _pairs(names: Sequence[str], random: Random) -> list[tuple[str, str]]:
    """As many disjoint pairs as there are, at random."""
    shuffled = random.sample(names, len(names))
    return list(zip(shuffled[::2], shuffled[1::2], strict=False))


CHANGES: dict[str, Callable[[ResNet, int, Random], Change]] = {"removed": removed, "exchanged": exchanged}
