"""The table of the paper's claims: the verdict on each and what it rests on."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping

from reports.judging.claim import Claim, Finding, Verdict
from reports.judging.paired import PublicReruns
from reports.judging.peers import public_reruns
from reports.tables.formats import NONE, effect, p_value, to_runs
from reports.tables.table import Table, TableCell

CLAIM_COLUMNS = ("claim", "statement", "verdict")
PUBLIC = "public re-runs"
TESTED = "public networks, tested by us"
RESULT_COLUMNS = (
    "effect (95 % interval)",
    "the paper's",
    "p",
    "p of all claims",
    "n",
    "what the runs say",
)
CAPTION = (
    "Effects are in percentage points, or in the unit of the claim, beside the paper's own on the same scale. Each "
    "claim is decided by its own p and the level, margin, test and number of seeds in `reports/plan.toml`; with "
    "fewer seeds a verdict is interim, and one seed shows a direction only. p of all claims: Holm's and Benjamini and "
    "Hochberg's corrections over this table; they decide nothing. n: seeds of each network, the smallest number where "
    "several statements are joined. Rows with a letter are the second half of a sentence, or secondary."
)
PUBLIC_CAPTION = (
    " Public re-runs: what others' published numbers say, never part of our verdict. Differences are taken within each "
    "source, then averaged over sources, with the t interval; for an order also Page's trend test; `12 of 13`: in so "
    "many comparisons within a source the difference has the claim's sign."
)
TESTED_CAPTION = (
    " Public networks, tested by us: the verdict on them alone, by the claim's own test and level, never part of ours. "
    "n: repositories that have all of the claim's networks, with one each; up to 56 layers where fewer than two have "
    "110. Their protocols differ, so a verdict is at most interim."
)
AGREEMENT = ("agree", "disagree", "decided by ours alone", "decided by theirs alone", "open in both")
# The verdicts as readers see them, in the order in which they are counted; claims.json has the keys.
VERDICTS: dict[Verdict, str] = {
    "supported": "supported",
    "contradicted": "contradicted",
    "inconclusive": "inconclusive",
    "toy": "scaled down",
    "missing": "not run yet",
}


def claim_table(
    findings: list[tuple[Claim, Finding]],
    with_public_reruns: bool = False,
    tested: Mapping[str, Finding] | None = None,
    slug: str = "",
) -> Table:
    """A row per claim.

    Args:
        findings: The claims of one comparison.
        with_public_reruns: Whether what public re-runs say stands beside each verdict; for the paper's own protocol.
        tested: What public networks say that we tested (`judge_public`); nothing where there are none.
        slug: The comparison in the name of the table's files.
    """
    public = [PUBLIC] * with_public_reruns + [TESTED] * bool(tested)
    columns = (*CLAIM_COLUMNS, *public, *RESULT_COLUMNS)
    rows = [_claim_row(claim, finding, _beside(claim, with_public_reruns, tested)) for claim, finding in findings]
    caption = CAPTION + PUBLIC_CAPTION * with_public_reruns + TESTED_CAPTION * bool(tested)
    return Table("The paper's claims", columns, rows, caption, frozenset({columns.index("p")}), f"claims-{slug}")


def reruns_of(claim: Claim, found: PublicReruns | None) -> str:
    """``for: +1.93 (+1.51 to +2.35), 7 sources, 24 of 24, trend p < 0.001``; a dash where nothing is trained."""
    if found is None:
        return "none published" if claim.planned.sweeps else NONE
    positive, compared = found.agreeing
    parts = [
        effect(found.effect.value, found.effect.low, found.effect.high) if found.effect else "",
        f"{found.sources} source{'s' * (found.sources > 1)}",
        f"{positive} of {compared}" if compared else "",
        "" if math.isnan(found.trend_p) else f"trend p {p_value(found.trend_p)}",
        found.note,
    ]
    return f"{found.outcome}: {', '.join(filter(None, parts))}"


def agreement(findings: list[tuple[Claim, Finding]]) -> str:
    """How often our verdicts and public re-runs say the same, each decides alone, or neither does."""
    counts = Counter(_agreement(claim, finding) for claim, finding in findings if claim.planned.sweeps)
    return ", ".join(f"{words} {counts[words]}" for words in AGREEMENT if counts[words])


def _agreement(claim: Claim, finding: Finding) -> str:
    ours = {"supported": "for", "contradicted": "against"}.get(finding.verdict, "open")
    found = public_reruns(claim.id)
    theirs = found.outcome if found else "open"
    if ours == theirs:
        return "open in both" if ours == "open" else "agree"
    if "open" in (ours, theirs):
        return "decided by ours alone" if theirs == "open" else "decided by theirs alone"
    return "disagree"


def _beside(claim: Claim, with_public_reruns: bool, tested: Mapping[str, Finding] | None) -> list[TableCell]:
    """What stands beside our verdict: others' numbers, and others' networks."""
    reruns: list[TableCell] = [reruns_of(claim, public_reruns(claim.id))] if with_public_reruns else []
    return [*reruns, _tested(tested.get(claim.id))] if tested else reruns


def _tested(f: Finding | None) -> TableCell:
    """``supported (interim): +2.76 (+0.21 to +5.31), p 0.004, n = 2``; a dash for a claim about something else."""
    if f is None:
        return NONE
    if f.missing:
        return VERDICTS["missing"]
    p = "" if math.isnan(f.p_for) else f", p {p_value(f.p_for)}"
    shown = f"{verdict(f)}: {effect(f.effect, f.low, f.high)}{p}, n = {min(f.n)}"
    return to_runs(shown, f.runs)


def _claim_row(claim: Claim, f: Finding, beside: list[TableCell]) -> tuple[TableCell, ...]:
    planned = claim.planned
    return (
        claim.id,
        f"{planned.says} ({planned.where})",
        to_runs(verdict(f), f.runs),
        *beside,
        effect(f.effect, f.low, f.high),
        effect(f.theirs, math.nan, math.nan),
        p_value(f.p_for),
        NONE if math.isnan(f.p_holm) else f"{p_value(f.p_holm)}, {p_value(f.p_bh)}",
        seeds(f),
        f.sentence,
    )


def seeds(f: Finding) -> str:
    """Seeds of each network, and how many runs failed: ``5 v 5, 2 failed``."""
    shown = "\u00a0v\u00a0".join(map(str, f.n)) or NONE
    return f"{shown}, {f.failed} failed" if f.failed else shown


def verdict(f: Finding) -> str:
    """The verdict in the report's words; if it decides nothing, also the direction; if seeds are lacking, interim."""
    is_open = f.verdict in ("toy", "inconclusive") and f.direction
    word = f"{VERDICTS[f.verdict]}: {f.direction}" if is_open else VERDICTS[f.verdict]
    return f"{word} (interim)" if f.interim else word
