"""Standard deviations of layer responses: the measurement of Fig. 7."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn


def layer_responses(net: nn.Module, images: Tensor) -> dict[str, float]:
    """Measure the standard deviation of each layer's response (Fig. 7): after batch norm, before ReLU or addition.

    It is taken over images, channels and positions, in the network's present mode. Projections are left out.

    Args:
        net: A network of `study.network`.
        images: (N, C, H, W).

    Returns:
        The standard deviation by the name of the batch-norm layer, in the order of the layers.
    """
    stds: dict[str, float] = {}

    def hook(name: str) -> Any:
        return lambda _module, _inputs, output: stds.update({name: float(output.double().std(correction=0))})

    norms = {n: m for n, m in net.named_modules() if isinstance(m, nn.BatchNorm2d) and ".shortcut." not in n}
    handles = [norm.register_forward_hook(hook(name)) for name, norm in norms.items()]
    with torch.inference_mode():
        net(images)
    for handle in handles:
        handle.remove()
    return stds
