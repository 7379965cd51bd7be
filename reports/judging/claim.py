"""What a claim and its finding are, and the decorator `claim` that declares one over the function that judges it."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from reports.judging.comparison import Comparison
from reports.judging.evidence import Evidence
from reports.judging.plan import Cap, Planned, plan

Verdict = Literal["supported", "contradicted", "inconclusive", "toy", "missing"]
Direction = Literal["agrees", "disagrees", "flat", "unclear", ""]


@dataclass(frozen=True)
class Finding:
    """What the runs say of one claim.

    Attributes:
        sentence: The numbers, in words.
        direction: Whether the effect agrees with the claim by more than its standard error; else it is flat.
        effect: In the metric's unit, mostly percentage points.
        low: Lower end of the effect's 95 % interval.
        high: Upper end of the effect's 95 % interval.
        theirs: The paper's own effect, on the same scale; undefined where it gives no numbers.
        p_for: The chance of such results if the claim were false.
        p_against: The chance of such results if the claim were true.
        n: Seeds of each network.
        failed: How many of these runs failed, where failures count.
        runs: The names of the runs that the finding rests on.
        missing: The networks that have no run; then nothing is judged.
        counted: Whether a fact that was counted holds; None where chance plays a part.
        p_holm: `p_for`, adjusted by Holm over all claims of the comparison; shown, never deciding.
        against_holm: `p_against`, likewise.
        p_bh: `p_for`, adjusted by Benjamini and Hochberg; shown, never deciding.
        verdict: What follows from the claim's own chances and its alpha.
        interim: Whether there are fewer seeds than the plan has, or the runs were not computed alike.
        cap: How far the verdict may go because the runs were not computed alike; empty where they were.
    """

    sentence: str
    direction: Direction = ""
    effect: float = math.nan
    low: float = math.nan
    high: float = math.nan
    theirs: float = math.nan
    p_for: float = math.nan
    p_against: float = math.nan
    n: tuple[int, ...] = ()
    failed: int = 0
    runs: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    counted: bool | None = None
    p_holm: float = math.nan
    against_holm: float = math.nan
    p_bh: float = math.nan
    verdict: Verdict = "missing"
    interim: bool = False
    cap: Cap | Literal[""] = ""


Judge = Callable[[Evidence, Planned], Finding]


@dataclass(frozen=True)
class Claim:
    """One statement of the paper: its entry in the plan, and the function that judges it.

    Attributes:
        planned: What is measured, by which test, and what decides.
        function: From the evidence of one comparison and the entry to a finding.
        in_miniature: Whether a scaled-down comparison may show it too.
    """

    planned: Planned
    function: Judge
    in_miniature: bool = False

    @property
    def id(self) -> str:
        """Its number, in the paper's order; `b` is the second half of a sentence, or a secondary row."""
        return self.planned.id

    @property
    def comparison(self) -> Comparison:
        """The paper's own protocol, on which the claim is decided."""
        return Comparison(self.planned.dataset, "paper")

    def judge(self, evidence: Evidence) -> Finding:
        """The finding, without a verdict."""
        return self.function(evidence, self.planned)


def claim(id: str, in_miniature: bool = False) -> Callable[[Judge], Claim]:
    """Declare a claim over the function that judges it; the function's name is then the claim.

    Example:
        @claim("C02")
        def plain_test(e: Evidence, p: Planned) -> Finding:
            return rises(e, p, "test_error", p.nets)

    Raises:
        InputError: the plan has no readable entry of that number.
    """
    return lambda judge: Claim(plan().claims[id], judge, in_miniature)
