"""The cell: one training run of the study, named by its five factors and by nothing else.

Everything here is standard library, so that a wrong command line is refused before torch is imported.
"""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass
from typing import Literal, get_args

Dataset = Literal["digits", "cifar10", "imagenet"]
Shortcut = Literal["none", "A", "B", "C"]

DATASETS: tuple[str, ...] = get_args(Dataset)
SHORTCUTS: tuple[str, ...] = get_args(Shortcut)
IMAGENET_DEPTHS = (18, 34, 50, 101, 152)  # Table 1
RENAMED_RECIPES = {
    ("digits", "paper"): "mini"
}  # on 2026-11-25; older flags, sweeps and records are read under the new name


class InputError(ValueError):
    """What a user can fix: one line that says what is wrong and what to do (exit status 2)."""


@dataclass(frozen=True, order=True)
class Spec:
    """One cell of the study.

    A recipe that was renamed is read under its new name.

    Raises:
        InputError: a factor is outside what the paper's family of networks allows.
    """

    dataset: Dataset
    depth: int
    shortcut: Shortcut
    recipe: str = "paper"
    seed: int = 0

    def __post_init__(self) -> None:
        check_choice("dataset", self.dataset, DATASETS)
        check_choice("shortcut", self.shortcut, SHORTCUTS)
        _check_depth(self.dataset, self.depth)
        object.__setattr__(self, "recipe", RENAMED_RECIPES.get((self.dataset, self.recipe), self.recipe))
        if not re.fullmatch(r"[a-z0-9]+", self.recipe):
            raise InputError(
                f"recipe {self.recipe!r} is no name of a recipe: small letters and digits only, as in 'paper'"
            )
        if not isinstance(self.seed, int) or not 0 <= self.seed < 2**31:
            raise InputError(f"seed {self.seed!r} must be a whole number from 0 to 2147483647")

    @property
    def name(self) -> str:
        """The run's name on disk, in W&B, in sweeps and in tables: ``cifar10-56-none-paper-s0``."""
        return f"{self.group}-s{self.seed}"

    @property
    def former_name(self) -> str | None:
        """The run's name before its recipe was renamed, None for most."""
        for (dataset, before), now in RENAMED_RECIPES.items():
            if (self.dataset, self.recipe) == (dataset, now):
                return f"{self.dataset}-{self.depth}-{self.shortcut}-{before}-s{self.seed}"
        return None

    @property
    def group(self) -> str:
        """The cell without its seed: what a mean over seeds is taken over."""
        return f"{self.dataset}-{self.depth}-{self.shortcut}-{self.recipe}"

    @property
    def title(self) -> str:
        """The name in the paper's words: ``plain-56``, ``ResNet-56``, ``ResNet-34 B``."""
        return title(self.dataset, self.depth, self.shortcut)

    @property
    def factors(self) -> dict[str, str | int]:
        """The five factors as plain values, in order."""
        return asdict(self)

    @classmethod
    def parse(cls, name: str) -> Spec:
        """Read a cell's name back.

        Raises:
            InputError: the name is not one that `name` can have produced.
        """
        match = re.fullmatch(r"([a-z0-9]+)-(\d+)-(none|A|B|C)-([a-z0-9]+)-s(\d+)", name)
        if match is None:
            raise InputError(f"{name!r} is not a run name; one looks like cifar10-56-none-paper-s0")
        dataset, depth, shortcut, recipe, seed = match.groups()
        return cls(dataset, int(depth), shortcut, recipe, int(seed))  # type: ignore[arg-type]


def title(dataset: str, depth: int, shortcut: str) -> str:
    """The paper's name of a network: the option stays unsaid where the paper uses one throughout (Secs. 4.1, 4.2)."""
    if shortcut == "none":
        return f"plain-{depth}"
    usual = ("B" if depth >= 50 else "") if dataset == "imagenet" else "A"
    return f"ResNet-{depth}" if shortcut == usual else f"ResNet-{depth} {shortcut}"


def check_choice(what: str, value: object, choices: tuple[str, ...]) -> None:
    """Refuse a value that is not among the choices, naming them."""
    if value not in choices:
        raise InputError(f"{what} {str(value)!r} is unknown; choose one of: {', '.join(choices)}")


def _check_depth(dataset: str, depth: object) -> None:
    if not isinstance(depth, int) or isinstance(depth, bool):
        raise InputError(f"depth {depth!r} must be a whole number")
    if dataset == "imagenet":
        if depth not in IMAGENET_DEPTHS:
            raise InputError(f"depth {depth} is no ImageNet net of Table 1; choose one of: 18, 34, 50, 101, 152")
    elif depth < 8 or (depth - 2) % 6:
        below = max(8, depth - (depth - 2) % 6)
        raise InputError(
            f"depth {depth} is not 6n+2, as the nets of Sec. 4.2 are; the nearest are {below} and {below + 6}"
        )
