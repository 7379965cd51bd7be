"""All claims of the paper, and their verdicts: from the results of comparable runs to one of five words.

A comparison is one data set under one recipe. A missing run never supports a claim, and one seed shows a direction
only. Runs under a scaled-down recipe decide no claim: their verdict is "scaled down" (`toy` in claims.json). Claims are
numbered in the paper's order (C01 to C36).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from reports.judging import cifar, counted, imagenet
from reports.judging.claim import Claim, Finding
from reports.judging.evidence import Evidence
from reports.judging.stats import ALPHA, holm

# Every claim that the three modules declare, in the order of their lines.
CLAIMS: tuple[Claim, ...] = tuple(
    declared
    for module in (cifar, imagenet, counted)
    for declared in vars(module).values()
    if isinstance(declared, Claim)
)

UNDECIDED: tuple[tuple[str, str, str], ...] = (
    ("C07", "Sec. 4.1: plain nets' gradients have healthy norms, nothing vanishes", "it gives no number"),
    ("C33", "Sec. 3.2: residual functions of a single layer show no advantage", "blocks of one layer are not built"),
    ("C35", "Sec. 4.1: plain nets may converge exponentially slowly", "a conjecture, which the paper does not test"),
    ("C36", "Tables 7 and 8: ResNet-101 improves object detection", "the study covers classification"),
)


def judge_all(evidence: Evidence, among: Sequence[Claim] = CLAIMS) -> list[tuple[Claim, Finding]]:
    """The findings of one comparison, with verdicts corrected by Holm over all of its tests."""
    claims = [claim for claim in among if _is_judged(claim, evidence)]
    findings = [claim.judge(evidence) for claim in claims]
    p_for, p_against = holm([f.p_for for f in findings]), holm([f.p_against for f in findings])
    corrected = [replace(f, p_holm=p, against_holm=q) for f, p, q in zip(findings, p_for, p_against, strict=True)]
    return [
        (claim, give_verdict(finding, evidence.is_scaled_down))
        for claim, finding in zip(claims, corrected, strict=True)
    ]


def _is_judged(claim: Claim, evidence: Evidence) -> bool:
    """Whether a claim is about these runs: on its own comparison, or in miniature on the same family of networks."""
    if evidence.comparison == claim.comparison:
        return True
    return evidence.is_scaled_down and claim.in_miniature and evidence.comparison.family == claim.comparison.family


def give_verdict(finding: Finding, is_scaled_down: bool) -> Finding:
    """Give a finding its verdict: what follows from its adjusted chances, the scale of the recipe, and missing runs."""
    if finding.missing:
        return replace(finding, verdict="missing", direction="")
    if is_scaled_down:
        return replace(finding, verdict="toy")
    if finding.counted is not None:
        return replace(finding, verdict="supported" if finding.counted else "contradicted")
    if finding.p_holm < ALPHA:
        return replace(finding, verdict="supported")
    return replace(finding, verdict="contradicted" if finding.against_holm < ALPHA else "inconclusive")
