"""Machine options: where and how a run is computed, never what it means.

`MachineOptions` is their one definition. The flags of the verbs, the ``STUDY_*`` variables and what `study sweep` and
`study launch` pass on are derived from its fields, so a new option is a new field and nothing else. Imports no torch.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Literal, get_args

from study.spec import InputError, check_choice

Precision = Literal["auto", "32", "tf32", "bf16"]
Step = Literal["auto", "plain", "graph", "compiled", "compiled-graph", "fused-graph"]
StepMode = Literal["plain", "graph", "compiled", "compiled-graph", "fused-graph"]  # what `auto` becomes on a machine
CAPTURED: tuple[StepMode, ...] = ("graph", "compiled-graph", "fused-graph")  # replayed as one CUDA graph
WandbMode = Literal["auto", "online", "offline", "disabled"]
Artifact = Literal["final", "off"]
Changes = Literal["refuse", "accept"]
Group = Literal["run", "step", "place"]


@dataclass(frozen=True)
class Option:
    """How an option is given on a command line and by an environment variable.

    Attributes:
        help: What `--help` says about it.
        group: ``step`` for how a step is computed, ``place`` for what else agents get, as where files are, ``run`` for
            what may differ between two runs of one machine.
        variable: The environment variable that sets its default, by which a machine describes itself to the agents
            that run on it; None for an option that must not reach them.
        choices: The values it can have; empty for any.
        metavar: The name of its value in `--help`.
    """

    help: str
    group: Group
    variable: str | None = None
    choices: tuple[str, ...] = ()
    metavar: str | None = None


@dataclass(frozen=True)
class MachineOptions:
    """Where a cell runs: no option changes what the cell means (rule 3).

    `devices` counts those of one node. Under torchrun the numbers of processes are torchrun's own.

    Raises:
        InputError: An option has a value that it cannot have.

    Example:
        >>> MachineOptions(precision="bf16").flags(["precision", "step"])
        ['--precision=bf16', '--step=auto']
    """

    devices: int = field(
        default=1,
        metadata={"option": Option("processes of one run", "run", "STUDY_DEVICES")},
    )
    precision: Precision = field(
        default="auto",
        metadata={"option": Option("precision of the arithmetic", "step", "STUDY_PRECISION", get_args(Precision))},
    )
    step: Step = field(
        default="auto",
        metadata={"option": Option("how a step is taken", "step", "STUDY_STEP", get_args(Step))},
    )
    checkpoint_every: int = field(
        default=0,
        metadata={
            "option": Option(
                "store activations only every N blocks: less memory, a third more computation; 0 stores all",
                "step",
                "STUDY_CHECKPOINT_EVERY",
                metavar="N",
            )
        },
    )
    runs: Path = field(
        default=Path("runs"),
        metadata={"option": Option("folder of the run records", "place", "STUDY_RUNS")},
    )
    data: Path = field(
        default=Path("data"),
        metadata={"option": Option("folder of the data sets", "place", "STUDY_DATA")},
    )
    signals: bool = field(
        default=False,
        metadata={
            "option": Option(
                "measure every layer at every evaluation, for `study signals`: weights, gradients, signals, ReLUs",
                "place",
                "STUDY_SIGNALS",
            )
        },
    )
    artifact: Artifact = field(
        default="final",
        metadata={
            "option": Option(
                "what an online run gives to W&B beside its record: its final weights, as a model artifact, or nothing",
                "place",
                "STUDY_ARTIFACT",
                get_args(Artifact),
            )
        },
    )
    wandb: WandbMode = field(  # without a variable: `study launch` would pass it on, and an agent is always online
        default="auto",
        metadata={"option": Option("W&B mode", "run", choices=get_args(WandbMode))},
    )
    changes: Changes = field(
        default="refuse",
        metadata={
            "option": Option(
                "what becomes of a run that resumes with other devices, precision or steps than it began with",
                "place",
                "STUDY_CHANGES",
                get_args(Changes),
            )
        },
    )

    again: bool = field(
        default=False,
        metadata={"option": Option("take up runs that somebody stopped in W&B", "place", "STUDY_AGAIN")},
    )

    def __post_init__(self) -> None:
        for name, option in OPTIONS.items():
            if option.choices:
                check_choice(name, getattr(self, name), option.choices)
        if self.checkpoint_every < 0:
            raise InputError(
                f"--checkpoint-every={self.checkpoint_every} must be a number of blocks, or 0 to keep all activations"
            )

    @property
    def devices_here(self) -> int:
        """Number of processes of the run on this node."""
        return int(os.environ["LOCAL_WORLD_SIZE"]) if is_under_torchrun() else self.devices

    @property
    def world_size(self) -> int:
        """Number of processes of the run on all nodes."""
        return int(os.environ["WORLD_SIZE"]) if is_under_torchrun() else self.devices

    def flags(self, names: Sequence[str] | None = None) -> list[str]:
        """The options, or those of the given names, as flags of another command of this program."""
        return [f"{flag(name)}={getattr(self, name)}" for name in (OPTIONS if names is None else names)]

    def variables(self) -> dict[str, str]:
        """The environment variables that give these options to another process; paths are absolute."""
        variables = {option.variable: getattr(self, name) for name, option in OPTIONS.items() if option.variable}
        return {name: str(_absolute(value)) for name, value in variables.items()}


OPTIONS: dict[str, Option] = {one.name: one.metadata["option"] for one in fields(MachineOptions)}
DEFAULTS: dict[str, Any] = {one.name: one.default for one in fields(MachineOptions)}


def flag(name: str) -> str:
    """The flag of an option: ``--checkpoint-every`` for ``checkpoint_every``."""
    return f"--{name.replace('_', '-')}"


def group_names(*groups: Group) -> list[str]:
    """The names of the options in these groups, in order."""
    return [name for name, option in OPTIONS.items() if option.group in groups]


def _absolute(value: Any) -> Any:
    return value.absolute() if isinstance(value, Path) else value


def is_under_torchrun() -> bool:
    """Whether torchrun started this process, rather than this program."""
    return "TORCHELASTIC_RUN_ID" in os.environ


def has_slice() -> bool:
    """Whether an agent of `study launch`, which has a slice, started this process."""
    return "STUDY_SLICE" in os.environ and "STUDY_PARENT" not in os.environ


def is_first_rank() -> bool:
    """Whether this process is rank 0, which prints and writes; known before the process group exists."""
    return all(os.environ.get(name, "0") == "0" for name in ("LOCAL_RANK", "NODE_RANK", "GROUP_RANK"))
