"""Entry points of torch.hub: every CIFAR-10 and ImageNet network of the paper, by its name.

    torch.hub.load(".", "resnet56", source="local")                       # with initial weights
    torch.hub.load(".", "plain20", source="local", pretrained=True)       # trained, where the study has shipped it

Needs torch; `pretrained=True` needs safetensors too.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from study.network import ResNet, Shortcut, build
from study.spec import InputError, title
from study.weights.load import load

dependencies = ["torch"]

SHIPPED = Path(__file__).parent / "reports" / "results" / "weights"
CIFAR_DEPTHS = (20, 32, 44, 56, 110, 1202)  # Table 6


NETWORKS: dict[str, tuple[str, int, Shortcut]] = {
    **{f"plain{depth}": ("cifar10", depth, "none") for depth in CIFAR_DEPTHS},
    **{f"resnet{depth}": ("cifar10", depth, "A") for depth in CIFAR_DEPTHS},
    **{f"plain{depth}": ("imagenet", depth, "none") for depth in (18, 34)},
    **{f"resnet{depth}": ("imagenet", depth, "A") for depth in (18, 34)},
    **{f"resnet{depth}": ("imagenet", depth, "B") for depth in (50, 101, 152)},
}


def _entry(name: str) -> Callable[[bool], ResNet]:
    dataset, depth, shortcut = NETWORKS[name]

    def build_or_load(pretrained: bool = False) -> ResNet:
        return _load(dataset, depth, shortcut) if pretrained else build(dataset, depth, shortcut)

    build_or_load.__name__ = name
    build_or_load.__doc__ = (
        f"Build {title(dataset, depth, shortcut)} for {dataset}, or load it as the study trained it."
    )
    return build_or_load


def _load(dataset: str, depth: int, shortcut: Shortcut) -> ResNet:
    """Load the trained network that the repository ships; it has ``preprocess``."""
    found = sorted(SHIPPED.glob(f"{dataset}-{depth}-{shortcut}-paper-s*"))
    if not found:
        shipped = ", ".join(sorted(path.name for path in SHIPPED.glob("*-*"))) or "none"
        raise InputError(f"no {title(dataset, depth, shortcut)} at full length is shipped; those that are: {shipped}")
    return load(found[0])


globals().update({name: _entry(name) for name in NETWORKS})
