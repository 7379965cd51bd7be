"""The table of the paper's claims: the verdict on each and what it rests on."""

from __future__ import annotations

import math

from reports.judging.claim import Claim, Finding, Verdict
from reports.tables.formats import NONE, anchor, effect, p_value
from reports.tables.table import Link, Table, TableCell

COLUMNS = (
    "claim",
    "statement",
    "verdict",
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
# The verdicts as readers see them, in the order in which they are counted; claims.json has the keys.
VERDICTS: dict[Verdict, str] = {
    "supported": "supported",
    "contradicted": "contradicted",
    "inconclusive": "inconclusive",
    "toy": "scaled down",
    "missing": "missing",
}


def claim_table(findings: list[tuple[Claim, Finding]]) -> Table:
    """A row per claim."""
    rows = [_claim_row(claim, finding) for claim, finding in findings]
    return Table("The paper's claims", COLUMNS, rows, CAPTION, frozenset({COLUMNS.index("p")}))


def _claim_row(claim: Claim, f: Finding) -> tuple[TableCell, ...]:
    planned = claim.planned
    return (
        claim.id,
        f"{planned.says} ({planned.where})",
        Link(_verdict(f), f"#{anchor(f.runs[0])}") if f.runs else _verdict(f),
        effect(f.effect, f.low, f.high),
        effect(f.theirs, math.nan, math.nan),
        p_value(f.p_for),
        NONE if math.isnan(f.p_holm) else f"{p_value(f.p_holm)}, {p_value(f.p_bh)}",
        _seeds(f),
        f.sentence,
    )


def _seeds(f: Finding) -> str:
    """Seeds of each network, and how many runs failed: ``5 v 5, 2 failed``."""
    seeds = "\u00a0v\u00a0".join(map(str, f.n)) or NONE
    return f"{seeds}, {f.failed} failed" if f.failed else seeds


def _verdict(f: Finding) -> str:
    """The verdict in the report's words; if it decides nothing, also the direction; if seeds are lacking, interim."""
    is_open = f.verdict in ("toy", "inconclusive") and f.direction
    word = f"{VERDICTS[f.verdict]}: {f.direction}" if is_open else VERDICTS[f.verdict]
    return f"{word} (interim)" if f.interim else word
