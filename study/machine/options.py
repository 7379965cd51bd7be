"""The options of the machine: where and how a run is computed, never what it means. Standard library only."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class MachineOptions:
    """Where a cell runs: nothing here changes what it means (rule 3).

    `devices` are those of one node; under torchrun it says itself how many it started, and on how many nodes.
    """

    devices: int = 1
    precision: str = "32"
    runs: Path = Path("runs")
    data: Path = Path("data")
    wandb: str = "auto"
    step: str = "auto"
    checkpoint_every: int = 0

    @property
    def devices_here(self) -> int:
        """Processes of the run on this node."""
        return int(os.environ["LOCAL_WORLD_SIZE"]) if is_under_torchrun() else self.devices

    @property
    def world_size(self) -> int:
        """Processes of the run on all nodes."""
        return int(os.environ["WORLD_SIZE"]) if is_under_torchrun() else self.devices


def is_under_torchrun() -> bool:
    """Whether torchrun started this process, and not we ourselves."""
    return "TORCHELASTIC_RUN_ID" in os.environ


def has_slice() -> bool:
    """Whether `study launch` started this process on a slice of the GPUs."""
    return "STUDY_SLICE" in os.environ


def is_first_rank() -> bool:
    """Whether this process speaks and writes; known before any process group is."""
    return all(os.environ.get(name, "0") == "0" for name in ("LOCAL_RANK", "NODE_RANK", "GROUP_RANK"))
