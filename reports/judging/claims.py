"""All claims of the paper, and their verdicts: from the results of comparable runs to one of five words.

A comparison is one data set under one recipe. A claim's verdict depends on its own runs, its own two chances and its
own alpha in the plan; corrections over all claims are shown beside it and decide nothing. A missing run never supports
a claim, one seed decides nothing, and with fewer seeds than planned, or with runs that were not computed alike, a
verdict is interim. Runs under a scaled-down
recipe decide no claim: their verdict is "scaled down" (`toy` in claims.json). Claims are numbered in the paper's order
(C01 to C36).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from reports.judging import cifar, counted, imagenet
from reports.judging.claim import Claim, Finding
from reports.judging.evidence import Evidence
from reports.judging.mixing import cap_mixed
from reports.judging.plan import Planned, plan
from reports.judging.stats import benjamini_hochberg, holm

# Every claim that the three modules declare, in the order of their lines.
CLAIMS: tuple[Claim, ...] = tuple(
    declared
    for module in (cifar, imagenet, counted)
    for declared in vars(module).values()
    if isinstance(declared, Claim)
)
UNDECIDED: tuple[tuple[str, str, str], ...] = plan().not_judged


def judge_all(evidence: Evidence, among: Sequence[Claim] = CLAIMS) -> list[tuple[Claim, Finding]]:
    """The findings of one comparison, each with its verdict, and with corrections over all of its tests beside it."""
    claims = [claim for claim in among if _is_judged(claim, evidence)]
    judged = [cap_mixed(claim.judge(evidence), evidence) for claim in claims]
    findings = [
        give_verdict(finding, claim.planned, evidence.is_scaled_down)
        for claim, finding in zip(claims, judged, strict=True)
    ]
    p_for, p_against = ([getattr(f, name) for f in findings] for name in ("p_for", "p_against"))
    columns = zip(holm(p_for), holm(p_against), benjamini_hochberg(p_for), strict=True)
    shown = [
        replace(finding, p_holm=one, against_holm=other, p_bh=bh)
        for finding, (one, other, bh) in zip(findings, columns, strict=True)
    ]
    return list(zip(claims, shown, strict=True))


def _is_judged(claim: Claim, evidence: Evidence) -> bool:
    """Whether a claim is about these runs: on its own comparison, or in miniature on the same family of networks."""
    if evidence.comparison == claim.comparison:
        return True
    is_miniature = evidence.is_scaled_down and evidence.comparison.recipe != "smoke"  # which trains for a minute only
    return is_miniature and claim.in_miniature and evidence.comparison.family == claim.comparison.family


def give_verdict(finding: Finding, planned: Planned, is_scaled_down: bool) -> Finding:
    """Give a finding its verdict: from its own chances and alpha, the recipe's scale, what is missing, its cap."""
    if finding.missing:
        return replace(finding, verdict="missing", direction="")
    if is_scaled_down:
        return replace(finding, verdict="toy")
    interim = bool(finding.cap) or (bool(finding.n) and min(finding.n) < planned.seeds)
    if finding.cap == "inconclusive" or (finding.n and min(finding.n) < 2):
        return replace(finding, verdict="inconclusive", interim=interim)
    if finding.counted is not None:
        return replace(finding, verdict="supported" if finding.counted else "contradicted", interim=interim)
    if finding.p_for < planned.alpha:
        return replace(finding, verdict="supported", interim=interim)
    if finding.p_against < planned.alpha:
        return replace(finding, verdict="contradicted", interim=interim)
    return replace(finding, verdict="inconclusive", interim=interim)
