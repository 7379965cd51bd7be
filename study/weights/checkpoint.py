"""A run's checkpoint, read as a network."""

from __future__ import annotations

from pathlib import Path

import torch

from study import network
from study.spec import Spec


def trained(spec: Spec, checkpoint: Path) -> tuple[network.ResNet, int]:
    """The network of a cell's checkpoint, on the CPU, and how many steps it has taken."""
    net = network.build(spec.dataset, spec.depth, spec.shortcut)
    saved = torch.load(checkpoint, map_location="cpu", weights_only=True)
    net.load_state_dict({name.removeprefix("net."): tensor for name, tensor in saved["state_dict"].items()})
    return net, saved["cell"]["step"]
