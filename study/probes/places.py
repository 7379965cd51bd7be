"""Where a network is looked at: behind its stem and behind each block."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from study.network import BasicBlock, Bottleneck, ResNet
from study.probes.batches import logits_of

Block = BasicBlock | Bottleneck


def blocks_of(net: ResNet) -> dict[str, Block]:
    """The blocks in order, by name."""
    return {name: module for name, module in net.named_modules() if isinstance(module, Block)}


def places(net: ResNet) -> dict[str, nn.Module]:
    """The stem and the blocks in order, by name."""
    return {"stem": net.stem, **blocks_of(net)}


def without(block: Block) -> nn.Module | None:
    """What is left of a block without its layers: its shortcut, or the identity in a plain network.

    None where neither has the block's shape, as at the first block of a plain network's stage.
    """
    if block.shortcut is None and block.conv1.stride != (1, 1):
        return None
    return nn.Sequential(block.shortcut or nn.Identity(), nn.ReLU())


@contextmanager
def replaced(net: ResNet, by: dict[str, nn.Module]) -> Iterator[None]:
    """Put other modules in the places of blocks, and the blocks back afterwards."""
    blocks = {name: net.get_submodule(name) for name in by}
    try:
        for name, module in by.items():
            net.set_submodule(name, module)
        yield
    finally:
        for name, block in blocks.items():
            net.set_submodule(name, block)


@contextmanager
def watched(modules: Mapping[str, nn.Module], see: Callable[[str, Tensor, Tensor], None]) -> Iterator[None]:
    """Call a function with the name, the input and the output of each of these modules whenever it has computed."""
    handles = [
        module.register_forward_hook(lambda _module, inputs, output, name=name: see(name, inputs[0], output))
        for name, module in modules.items()
    ]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


@torch.no_grad()
def outputs(net: ResNet, images: Tensor, names: list[str]) -> dict[str, Tensor]:
    """What a network computes at some places: (N, C, H, W) each."""
    found: dict[str, list[Tensor]] = {name: [] for name in names}
    modules = places(net)
    with watched({name: modules[name] for name in names}, lambda name, _, output: found[name].append(output)):
        logits_of(net, images)
    return {name: torch.cat(parts) for name, parts in found.items()}
