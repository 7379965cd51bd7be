"""The cell: one combination of data set, depth, shortcut, recipe and seed, and the name of the run that trains it.

Standard library only, so that a wrong command line is refused before torch is imported.
"""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass, fields
from typing import Literal, get_args

Dataset = Literal["digits", "cifar10", "imagenet", "tinyimagenet"]
Shortcut = Literal["none", "A", "B", "C"]
Family = Literal["cifar", "imagenet"]

# The family of networks that each data set is trained with: Sec. 4.2's, or those of Table 1.
FAMILIES: dict[str, Family] = {
    "digits": "cifar",
    "cifar10": "cifar",
    "imagenet": "imagenet",
    "tinyimagenet": "imagenet",
}
DATASETS: tuple[str, ...] = tuple(FAMILIES)
SHORTCUTS: tuple[str, ...] = get_args(Shortcut)
IMAGENET_DEPTHS = (18, 34, 50, 101, 152)  # Table 1
FIRST_BOTTLENECK_DEPTH = 50  # Table 1: deeper networks have bottleneck blocks and projections (option B)
LARGEST_SEED = 2**31 - 1
LARGEST_DEPTH = 10_000  # eight times the paper's deepest; a larger number is a slip
# Renamed on 2026-11-25: older flags, sweep files and records are read under the new name.
RENAMED_RECIPES = {("digits", "paper"): "mini"}


class InputError(ValueError):
    """Wrong input that the user can correct: one line that says what is wrong and what to do (exit status 2)."""


class MachineError(RuntimeError):
    """What the user asked for was right, but the machine could not go on: one line with what to do (exit status 1)."""


@dataclass(frozen=True, order=True)
class Spec:
    """One cell: the five factors that name a run and decide everything about it.

    A recipe that was renamed is read under its new name.

    Attributes:
        dataset: The name of a data set, one of DATASETS.
        depth: Weighted layers: 6n+2 on CIFAR-10 and digits, one of IMAGENET_DEPTHS on ImageNet and Tiny ImageNet.
        shortcut: ``none`` (a plain network), or option ``A``, ``B`` or ``C`` (Sec. 4.1).
        recipe: How the network is trained, a key of ``study.recipes.RECIPES[dataset]``.
        seed: Of the initial weights and the batches.

    Raises:
        InputError: a factor has a value for which the study has no network or data set.

    >>> Spec("cifar10", 56, "none").name
    'cifar10-56-none-paper-s0'
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
                f"recipe {shown(self.recipe)} is not a name of one, which has small letters and digits only, as 'paper'"
            )
        if not isinstance(self.seed, int) or not 0 <= self.seed <= LARGEST_SEED:
            raise InputError(f"seed {shown(self.seed)} must be a whole number from 0 to {LARGEST_SEED}")

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
        """The name without the seed: runs that differ only in their seed share it, and means are taken over them."""
        return f"{self.dataset}-{self.depth}-{self.shortcut}-{self.recipe}"

    @property
    def family(self) -> Family:
        """The family of networks that the data set is trained with."""
        return FAMILIES[self.dataset]

    @property
    def title(self) -> str:
        """The network's name in the paper's words: ``plain-56``, ``ResNet-56``, ``ResNet-34 B``."""
        return title(self.dataset, self.depth, self.shortcut)

    @property
    def flags(self) -> list[str]:
        """The five factors as flags of ``study train``."""
        return [f"--{name}={value}" for name, value in self.factors.items()]

    @property
    def factors(self) -> dict[str, str | int]:
        """The five factors as plain values, in order."""
        return asdict(self)

    @classmethod
    def parse(cls, name: str) -> Spec:
        """Read a run's name.

        Raises:
            InputError: the name is not one that `Spec.name` can produce.
        """
        match = NAME.fullmatch(name)
        if match is None:
            raise InputError(f"{shown(name)} is not a run name; one looks like cifar10-56-none-paper-s0")
        dataset, depth, shortcut, recipe, seed = match.groups()
        return cls(dataset, int(depth), shortcut, recipe, int(seed))  # type: ignore[arg-type]


FACTORS: tuple[str, ...] = tuple(field.name for field in fields(Spec))
WHOLE_NUMBERS: tuple[str, ...] = tuple(field.name for field in fields(Spec) if field.type in (int, "int"))
NAME = re.compile(rf"([a-z0-9]+)-(\d+)-({'|'.join(SHORTCUTS)})-([a-z0-9]+)-s(\d+)", re.ASCII)


def title(dataset: str, depth: int, shortcut: str) -> str:
    """The paper's name of a network; the shortcut option is left out where the paper uses one only (Secs. 4.1, 4.2).

    >>> title("cifar10", 56, "A"), title("imagenet", 34, "B")
    ('ResNet-56', 'ResNet-34 B')
    """
    if shortcut == "none":
        return f"plain-{depth}"
    return f"ResNet-{depth}" if shortcut == _only_shortcut(dataset, depth) else f"ResNet-{depth} {shortcut}"


def _only_shortcut(dataset: str, depth: int) -> str | None:
    """The option that the paper uses for all residual networks of a depth, None where it compares several."""
    match FAMILIES[dataset]:
        case "cifar":
            return "A"
        case "imagenet":
            return "B" if depth >= FIRST_BOTTLENECK_DEPTH else None


def shown(value: object) -> str:
    """A value as a message quotes it: on one line, and no longer than that.

    >>> shown("paper"), len(shown("a" * 10_000))
    ("'paper'", 100)
    """
    text = str(value) if isinstance(value, Exception) else repr(value)
    return " ".join(text.split())[:100]


def check_choice(what: str, value: object, choices: tuple[str, ...]) -> None:
    """Refuse a value that is not among the choices.

    Raises:
        InputError: the message names the value and the choices.
    """
    if value not in choices:
        raise InputError(f"{what} {shown(str(value))} is unknown; choose one of: {', '.join(choices)}")


def _check_depth(dataset: str, depth: object) -> None:
    if not isinstance(depth, int) or isinstance(depth, bool):
        raise InputError(f"depth {shown(depth)} must be a whole number")
    match FAMILIES[dataset]:
        case "cifar":
            _check_cifar_depth(depth)
        case "imagenet":
            _check_imagenet_depth(depth)


def _check_cifar_depth(depth: int) -> None:
    if depth > LARGEST_DEPTH:
        raise InputError(f"depth {str(depth)[:20]} is above {LARGEST_DEPTH:,}, eight times the paper's deepest network")
    if depth < 8 or (depth - 2) % 6:
        below = max(8, depth - (depth - 2) % 6)
        raise InputError(
            f"depth {depth} is not 6n+2, as the networks of Sec. 4.2 are; the nearest are {below} and {below + 6}"
        )


def _check_imagenet_depth(depth: int) -> None:
    if depth not in IMAGENET_DEPTHS:
        depths = ", ".join(map(str, IMAGENET_DEPTHS))
        raise InputError(f"depth {depth} is not an ImageNet network of Table 1; choose one of: {depths}")
