"""How much a check does: on a GPU in half an hour, or as a rehearsal on a CPU in two minutes. Imports no torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from study.bench.gpu_check.candidates import ON_A_GPU, REHEARSED, Candidate
from study.spec import Spec


@dataclass(frozen=True)
class Turn:
    """How long the steps of a network are measured: `rounds` turns of `steps` steps, within `limit` seconds."""

    depth: int
    rounds: int
    steps: int
    limit: float


@dataclass(frozen=True)
class TimedCell:
    """A cell, and the seconds after which the next one has its turn."""

    spec: Spec
    limit: float


@dataclass(frozen=True)
class Scale:
    """How much a check does.

    Attributes:
        is_rehearsal: Whether it does without a GPU.
        candidates: The ways to train that are compared.
        trained: Those by which digits are trained to a summary.
        losses: Number of steps whose losses are compared.
        turns: The networks whose steps are measured, from the shallowest on.
        deepest: The deepest one, which only the fastest ways take; None for none.
        jobs: Numbers of runs at a time, and seconds for which they are counted, as flags of `study bench`.
        jobs_least: Seconds without which that is not begun.
        cells: What is trained in the time that is left.
        cell_least: Seconds without which a cell is not begun.
        slack: How many times its limit a stage may take; a rehearsal runs on machines of any speed.
        parts: Seconds that all calls together may spend on a part; no limit for a part that is not named.
    """

    is_rehearsal: bool
    candidates: tuple[Candidate, ...]
    trained: tuple[Candidate, ...]
    losses: int
    turns: tuple[Turn, ...]
    deepest: Turn | None
    jobs: tuple[str, ...]
    jobs_least: float
    cells: tuple[TimedCell, ...]
    cell_least: float
    slack: float
    parts: Mapping[int, float]

    @property
    def timed(self) -> tuple[Turn, ...]:
        """All networks whose steps are measured, from the shallowest on."""
        return (*self.turns, *([self.deepest] if self.deepest else []))


def _cifar(depth: int, shortcut: str, seed: int, limit: float, recipe: str = "paper") -> TimedCell:
    return TimedCell(Spec("cifar10", depth, shortcut, recipe, seed), limit)  # type: ignore[arg-type]


FULL = Scale(
    is_rehearsal=False,
    candidates=ON_A_GPU,
    trained=(Candidate("graph", "tf32"), Candidate("plain", "tf32")),
    losses=20,
    turns=(Turn(20, 5, 200, 90), Turn(110, 3, 200, 150)),
    deepest=Turn(1202, 1, 100, 180),
    jobs=("--jobs=1,2,4", "--seconds=5"),
    jobs_least=60,
    cells=(
        _cifar(110, "A", 0, 480),
        _cifar(56, "none", 0, 240),
        _cifar(56, "A", 0, 240),
        _cifar(20, "none", 0, 120),
        _cifar(20, "A", 0, 120),
        _cifar(1202, "A", 0, 600, "eighth"),
        *(_cifar(20, shortcut, seed, 120) for seed in range(1, 5) for shortcut in ("none", "A")),
        *(_cifar(56, shortcut, seed, 240) for seed in range(1, 5) for shortcut in ("none", "A")),
        *(_cifar(110, "A", seed, 480) for seed in range(1, 5)),
    ),
    cell_least=45,
    slack=1,
    parts={1: 360, 2: 420, 3: 360},
)

REHEARSAL = Scale(
    is_rehearsal=True,
    candidates=REHEARSED,
    trained=(Candidate("plain", "32"), Candidate("compiled", "32", is_extra=True)),
    losses=5,
    turns=(Turn(8, 2, 5, 90),),
    deepest=None,
    jobs=("--jobs=2", "--seconds=1"),
    jobs_least=5,
    cells=(
        TimedCell(Spec("digits", 8, "A", "mini"), 120),
        TimedCell(Spec("digits", 8, "none", "smoke"), 120),
        TimedCell(Spec("digits", 8, "A", "smoke"), 120),
    ),
    cell_least=5,
    slack=4,
    parts={},
)
