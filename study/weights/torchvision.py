"""torchvision's published ResNet weights, loaded into our networks.

With ImageNet and these weights, the test protocols can be compared with published errors:
``python -m study test resnet50-0676ba61.pth --protocol=1crop`` should print a top-1 error of 100 - 76.130 %, and
resnet18-f37072fd.pth one of 100 - 69.758 %.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from pickle import UnpicklingError

import numpy as np
import torch
from torch import Tensor

from study.data.imagenet.folder import Mean
from study.data.imagenet.readers import CROP
from study.network import IMAGENET_BLOCKS, ResNet, architecture, build
from study.spec import InputError

DATASET = "imagenet"  # on which the published weights were trained
# torchvision's normalisation of RGB on [0, 1]; its published weights expect it
CHANNEL_MEAN, CHANNEL_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
NAMES = (
    (r"^conv1\.", "stem.conv."),
    (r"^bn1\.", "stem.bn."),
    (r"^layer", "stage"),
    (r"\.downsample\.0\.", ".shortcut.conv."),
    (r"\.downsample\.1\.", ".shortcut.bn."),
    (r"^fc\.", "head."),
)


def from_torchvision(state: Mapping[str, Tensor], normalised: bool = True) -> ResNet:
    """Put the weights of a torchvision ResNet of Table 1 into our network (option B, stride in the 3x3 layer).

    Args:
        state: The state dict of V1 weights, or any of that shape.
        normalised: Whether the weights expect inputs divided by the channels' standard deviations. Ours are not
            divided, so the division moves into the first layer.

    Raises:
        InputError: the state dict is that of another network.
    """
    depth = _depth(state)
    net = build(DATASET, depth, "B", stride_in="3x3")
    renamed = {_rename(name): tensor.clone() for name, tensor in state.items()}
    if normalised:
        renamed["stem.conv.weight"] /= torch.tensor(CHANNEL_STD)[None, :, None, None]
    try:
        net.load_state_dict(renamed)
    except RuntimeError as error:
        raise InputError(
            f"these are not the weights of torchvision's ResNet-{depth}: {str(error).splitlines()[1]}"
        ) from None
    return net


def _rename(name: str) -> str:
    """Translate the name of a tensor from torchvision's to ours."""
    for theirs, ours in NAMES:
        name = re.sub(theirs, ours, name)
    return name


def _depth(state: Mapping[str, Tensor]) -> int:
    """Recognise the network by its blocks per stage and whether they have three layers."""
    blocks = tuple(len({name.split(".")[1] for name in state if name.startswith(f"layer{i}.")}) for i in range(1, 5))
    bottleneck = "layer1.0.conv3.weight" in state
    for depth in IMAGENET_BLOCKS:
        net = architecture(DATASET, depth)
        if (net.blocks, net.bottleneck) == (blocks, bottleneck):
            return depth
    raise InputError(f"no ResNet of Table 1 has {blocks} blocks; give torchvision's weights of 18 to 152 layers")


def read_torchvision(path: Path) -> tuple[ResNet, Mean]:
    """Load a file of torchvision's weights.

    Returns:
        Our network with these weights, and the mean (224, 224, 3) to subtract from its inputs, in levels from 0 to 255.

    Raises:
        InputError: the file cannot be read or holds something else.
    """
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
        net = from_torchvision(state)
    except (OSError, EOFError, RuntimeError, UnpicklingError, AttributeError, TypeError, ValueError) as error:
        reason = error if isinstance(error, InputError) else "it holds no state dict"
        raise InputError(f"{path} cannot be read as torchvision's weights: {reason}") from None
    return net, np.broadcast_to(255 * np.array(CHANNEL_MEAN, np.float32), (CROP, CROP, 3)).copy()
