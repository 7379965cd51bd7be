"""What a claim and its finding are, and the decorator `claim` that declares one over the function that judges it."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from reports.judging.evidence import CIFAR, Comparison, Evidence

Verdict = Literal["supported", "contradicted", "inconclusive", "toy", "missing"]
Direction = Literal["agrees", "disagrees", "unclear", ""]


@dataclass(frozen=True)
class Finding:
    """What the runs say of one claim.

    Attributes:
        sentence: The numbers, in words.
        direction: Whether the effect agrees with the claim, certain or not.
        effect: In the metric's unit, mostly percentage points.
        low: Lower end of the effect's 95 % interval.
        high: Upper end of the effect's 95 % interval.
        p_for: The chance of such results if the claim were false.
        p_against: The chance of such results if the claim were true.
        n: Seeds on each side.
        runs: The names of the runs that the finding rests on.
        missing: The networks that have no run; then nothing is judged.
        counted: Whether a fact that was counted holds; None where chance plays a part.
        p_holm: `p_for`, adjusted over all claims of the comparison.
        against_holm: `p_against`, adjusted over all claims of the comparison.
        verdict: What follows from all of these.
    """

    sentence: str
    direction: Direction = ""
    effect: float = math.nan
    low: float = math.nan
    high: float = math.nan
    p_for: float = math.nan
    p_against: float = math.nan
    n: tuple[int, ...] = ()
    runs: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    counted: bool | None = None
    p_holm: float = math.nan
    against_holm: float = math.nan
    verdict: Verdict = "missing"


Judge = Callable[[Evidence], Finding]


@dataclass(frozen=True)
class Claim:
    """One statement of the paper and the function that judges it.

    Attributes:
        id: Its number, in the paper's order.
        where: The places in the paper.
        statement: What the paper says, in a sentence.
        judge: From the evidence of one comparison to a finding.
        sweeps: The files in `sweeps/` whose runs it rests on; none where nothing is trained for it.
        comparison: The paper's own protocol, on which the claim is decided.
        in_miniature: Whether a scaled-down comparison may show it too.
    """

    id: str
    where: str
    statement: str
    judge: Judge
    sweeps: tuple[str, ...] = ()
    comparison: Comparison = CIFAR
    in_miniature: bool = False


def claim(
    id: str,
    where: str,
    says: str,
    sweeps: tuple[str, ...] = (),
    comparison: Comparison = CIFAR,
    in_miniature: bool = False,
) -> Callable[[Judge], Claim]:
    """Declare a claim over the function that judges it; the function's name is then the claim.

    Example:
        @claim("C02", where="Fig. 1 right", says="Plain nets: test error rises with depth.", sweeps=("cifar_plain",))
        def plain_test(e: Evidence) -> Finding:
            return falling(e, "test_error", [(56, "none"), (20, "none")])
    """
    return lambda judge: Claim(id, where, says, judge, sweeps, comparison, in_miniature)
