"""The ways to train that are compared: how a step is taken, and in which precision. Imports no torch."""

from __future__ import annotations

from dataclasses import dataclass

from study.machine.options import Precision, Step


@dataclass(frozen=True)
class Candidate:
    """A way to train.

    Attributes:
        step: How a step is taken.
        precision: The precision of the arithmetic.
        is_extra: Whether training can do without it: it is refused where it cannot run, and must be clearly faster.

    Example:
        >>> Candidate("graph", "tf32").name
        'graph-tf32'
    """

    step: Step
    precision: Precision
    is_extra: bool = False

    @property
    def name(self) -> str:
        """Its name in those of stages."""
        return f"{self.step}-{self.precision}"

    @property
    def flags(self) -> list[str]:
        """The flags of `study train` and `study bench`."""
        return [f"--step={self.step}", f"--precision={self.precision}"]


# bf16 has torch's own batch norm on CUDA and many more launches than TF32 (reference/gpu.md, B1), so both are measured.
# Compiling saves bytes and casts, which TF32 does not have; a fused step saves launches in both.
ON_A_GPU = (
    Candidate("plain", "tf32"),
    Candidate("graph", "tf32"),
    Candidate("plain", "bf16"),
    Candidate("graph", "bf16"),
    Candidate("fused-graph", "bf16", is_extra=True),
    Candidate("fused-graph", "tf32", is_extra=True),
    Candidate("compiled-graph", "bf16", is_extra=True),
)
REHEARSED = (
    Candidate("plain", "32"),
    Candidate("plain", "bf16"),
    Candidate("compiled", "32", is_extra=True),
)


def steps(candidates: tuple[Candidate, ...], is_extra: bool) -> list[Step]:
    """The ways to take a step among the candidates, each once, either the extra ones or the others."""
    return list(dict.fromkeys(each.step for each in candidates if each.is_extra == is_extra))
