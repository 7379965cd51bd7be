"""A deeper network that copies a trained one: Sec. 1 argues that it exists, so that depth alone cannot hurt."""

from __future__ import annotations

from copy import deepcopy

import torch
from torch import Tensor, nn

from study import network
from study.data.images import Images
from study.network import BasicBlock, Projection, ResNet
from study.probes.batches import evaluation_images, logits_of, top1_error, training_loss, unseen_batch
from study.recording.evaluation import Row
from study.spec import InputError, Spec


def copy(net: ResNet, spec: Spec, images: Images) -> Row:
    """Build a network of twice as many blocks that computes the same, and measure how close it comes.

    Returns:
        depth: of the deeper network. difference: the largest between the two networks' logits; largest_score: the
        largest logit. error, copy_error: on test images, in percent. training_loss, copy_training_loss: in training
        mode, where a plain network's copying layers see another batch than the one whose mean and standard deviation
        they were given.
    """
    tests, labels = evaluation_images(images)
    twice = tuple(2 * count for count in network.architecture(spec.dataset, spec.depth).blocks)
    deep = deeper(net, spec, twice, unseen_batch(spec, images, 1)[0])
    logits, copied = (logits_of(one.eval(), tests) for one in (net, deep))
    with torch.no_grad():
        losses = [float(training_loss(deepcopy(one), *unseen_batch(spec, images, 0))) for one in (net, deep)]
    return {
        "depth": 2 * spec.depth - 2,
        "difference": float((logits - copied).abs().max()),
        "largest_score": float(logits.abs().max()),
        "error": top1_error(logits, labels),
        "copy_error": top1_error(copied, labels),
        "training_loss": losses[0],
        "copy_training_loss": losses[1],
    }


def deeper(net: ResNet, spec: Spec, blocks: tuple[int, ...], images: Tensor) -> ResNet:
    """Build a network of more blocks that computes what `net` does.

    The added blocks at the end of each stage return their input. In a plain network they can do so only for inputs
    of known mean and standard deviation, which are measured on `images`.

    Args:
        net: The trained network.
        spec: Its cell.
        blocks: How many the deeper network has in each stage, at least as many as `net`.
        images: A training batch (N, C, H, W).
    """
    sizes = network.architecture(spec.dataset, spec.depth)._replace(blocks=blocks)
    deep = ResNet(sizes, spec.shortcut).to(images.device)
    x = images
    for name, part in deepcopy(net).train().named_children():
        with torch.no_grad():
            x = part(x)
        twin = deep.get_submodule(name)
        twin.load_state_dict(net.get_submodule(name).state_dict(), strict=False)
        if name.startswith("stage"):
            for block in list(twin.children())[len(list(part.children())) :]:
                assert isinstance(block, BasicBlock)
                _make_identity(block, *torch.std_mean(x, (0, 2, 3), correction=0))
    return deep


def block_counts(spec: Spec, depth: int) -> tuple[int, ...]:
    """The blocks in each stage of a network that is as deep as this, made by adding blocks to those of a cell.

    Raises:
        InputError: There is no such network, or the cell's has bottlenecks, blocks of another kind or more of them.
    """
    try:
        mine, deep = (network.architecture(spec.dataset, layers) for layers in (spec.depth, depth))
    except ValueError as error:
        raise InputError(str(error)) from None
    if mine.bottleneck or deep.bottleneck:
        raise InputError(
            f"blocks can only be added to networks of basic blocks, not from {spec.depth} to {depth} layers"
        )
    if any(more < count for count, more in zip(mine.blocks, deep.blocks, strict=True)):
        raise InputError(f"{spec.title} cannot be made shallower; give a --depth from {spec.depth} on")
    return deep.blocks


def _make_identity(block: BasicBlock, std: Tensor, mean: Tensor) -> None:
    """Make a block return its input, given that no value of it is negative, as holds for every block's output."""
    if block.shortcut is None:
        _make_copy(block.conv1, block.bn1, std, mean)
        _make_copy(block.conv2, block.bn2, std, mean)
        return
    nn.init.zeros_(block.bn2.weight)
    nn.init.zeros_(block.bn2.bias)
    if isinstance(block.shortcut, Projection):
        _make_copy(block.shortcut.conv, block.shortcut.bn, std, mean)


def _make_copy(conv: nn.Conv2d, bn: nn.BatchNorm2d, std: Tensor, mean: Tensor) -> None:
    """Make a convolution copy its input, and a batch norm restore the mean and deviation that it removes."""
    nn.init.dirac_(conv.weight)
    with torch.no_grad():
        bn.running_mean.copy_(mean)  # type: ignore[union-attr]
        bn.running_var.copy_(std.square())  # type: ignore[union-attr]
        bn.weight.copy_((std.square() + bn.eps).sqrt())
        bn.bias.copy_(mean)
