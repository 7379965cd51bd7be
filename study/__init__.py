"""Deep Residual Learning for Image Recognition, reproduced: its networks, its recipes, and runs that train them.

Training is started from the command line, as in
``python -m study train --dataset=digits --depth=8 --shortcut=A --recipe=smoke --seed=3``.
From Python, build any network of the paper, look up how it is trained, and load a trained one:

>>> import torch
>>> from study import RECIPES, Spec, build, load
>>> untrained = build("cifar10", depth=56, shortcut="none")
>>> spec = Spec("digits", depth=8, shortcut="A", recipe="smoke", seed=3)
>>> RECIPES[spec.dataset][spec.recipe].steps
40
>>> net = load(f"runs/{spec.name}")
>>> net(torch.zeros(1, 1, 8, 8)).shape
torch.Size([1, 10])

``import study`` is quick: torch is imported when `build` or `load` is first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from study.network import build
    from study.recipes import RECIPES
    from study.spec import Spec
    from study.weights.load import load

__all__ = ["RECIPES", "Spec", "build", "load"]

_MODULES = {
    "RECIPES": "study.recipes",
    "Spec": "study.spec",
    "build": "study.network",
    "load": "study.weights.load",
}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used (PEP 562)."""
    if name not in _MODULES:
        raise AttributeError(f"module 'study' has no attribute {name!r}")
    return getattr(import_module(_MODULES[name]), name)


def __dir__() -> list[str]:
    """List the public names, imported or not."""
    return sorted({*globals(), *__all__})
