"""Every layer at one moment of the training, from what an evaluation has at hand: no further pass, no random number."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from study.network import BasicBlock, Bottleneck

Measured = dict[str, list[float]]  # a number for each layer of `main_layers`


def main_layers(net: nn.Module) -> dict[str, nn.Conv2d]:
    """The convolutions of the main path in order, by name; projections are left out."""
    return {n: m for n, m in net.named_modules() if isinstance(m, nn.Conv2d) and ".shortcut." not in n}


def rectified(net: nn.Module) -> dict[str, nn.Module]:
    """The module behind each of `main_layers` of whose output the ReLU takes the positive part.

    It is the batch norm; behind the last layer of a block it is the block, whose ReLU comes after the addition.
    """
    modules = dict(net.named_modules())
    found: dict[str, nn.Module] = {}
    for name in main_layers(net):
        block, _, layer = name.rpartition(".")
        found[name] = modules[f"{block}.{layer.replace('conv', 'bn')}"]
        if isinstance(modules[block], BasicBlock | Bottleneck) and not hasattr(modules[block], _next(layer)):
            found[name] = modules[block]
    return found


def _next(layer: str) -> str:
    """``conv1`` -> ``conv2``."""
    return f"conv{int(layer.removeprefix('conv')) + 1}"


def norms(net: nn.Module) -> Measured | None:
    """The Frobenius norm of each layer's weights and of their last gradient; None if there is no gradient."""
    weights = [layer.weight for layer in main_layers(net).values()]
    gradients = [weight.grad for weight in weights if weight.grad is not None]
    if len(gradients) < len(weights):
        return None
    with torch.no_grad():
        measured = {"weight": torch._foreach_norm(weights), "gradient": torch._foreach_norm(gradients)}
    return {name: _numbers(values) for name, values in measured.items()}


class Signals:
    """What the layers pass on in one forward pass.

    Attributes:
        signal: Standard deviation of each layer's response before batch norm.
        off: The share of its ReLUs that are off, over images, channels and positions.
    """

    def __init__(self) -> None:
        self._signal: list[Tensor] = []
        self._off: list[Tensor] = []

    def measured(self) -> Measured:
        """The numbers, read from the device at once."""
        return {"signal": _numbers(self._signal), "off": _numbers(self._off)}

    def hook(self, net: nn.Module) -> list[Any]:
        """Watch a network until the handles that are returned are removed."""
        seen = [layer.register_forward_hook(self._see) for layer in main_layers(net).values()]
        return seen + [module.register_forward_hook(self._count) for module in rectified(net).values()]

    def _see(self, _module: nn.Module, _inputs: Any, response: Tensor) -> None:
        self._signal.append(response.detach().float().std())

    def _count(self, _module: nn.Module, _inputs: Any, response: Tensor) -> None:
        self._off.append((response.detach() <= 0).float().mean())


@contextmanager
def watch(net: nn.Module) -> Iterator[Signals]:
    """Watch the signals of one forward pass; the network is as it was afterwards."""
    signals = Signals()
    handles = signals.hook(net)
    try:
        yield signals
    finally:
        for handle in handles:
            handle.remove()


def _numbers(values: Sequence[Tensor]) -> list[float]:
    return torch.stack([value.float() for value in values]).tolist()
