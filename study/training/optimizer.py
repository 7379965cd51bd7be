"""The paper's optimiser: SGD with momentum and weight decay (Secs. 3.4 and 4.2)."""

from __future__ import annotations

from torch import nn
from torch.optim import SGD

from study.recipes import Recipe


def sgd(net: nn.Module, recipe: Recipe, decays_norms: bool, fused: bool = False) -> SGD:
    """SGD with the momentum and the weight decay of a recipe, at its first rate.

    Args:
        net: The network.
        recipe: How it is trained.
        decays_norms: Whether every parameter decays, or neither scales nor biases.
        fused: Whether one kernel updates all weights.
    """
    every = list(net.parameters())
    free = [] if decays_norms else [parameter for parameter in every if parameter.ndim == 1]
    decayed = every if decays_norms else [parameter for parameter in every if parameter.ndim > 1]
    optimizer = SGD(decayed, recipe.lr, recipe.momentum, weight_decay=recipe.weight_decay, fused=fused)
    if free:
        optimizer.add_param_group({"params": free, "weight_decay": 0.0})
    return optimizer
