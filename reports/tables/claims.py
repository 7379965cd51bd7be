"""The table of the paper's claims: the verdict on each and what it rests on."""

from __future__ import annotations

from reports.judging.claim import Claim, Finding, Verdict
from reports.tables.formats import NONE, anchor, effect, p_value
from reports.tables.table import Link, Table, TableCell

COLUMNS = ("claim", "statement", "verdict", "effect (95 % interval)", "p", "n", "what the runs say")
CAPTION = (
    "Effects are in percentage points, or in the unit of the claim. p: for the statement, with Holm's correction over "
    "this table; orders are tested by exact permutation over seeds, margins by Welch's test. n: seeds on each side, "
    "the smallest number where several networks are compared. One seed shows a direction only."
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
    return (
        claim.id,
        f"{claim.statement} ({claim.where})",
        Link(_verdict(f), f"#{anchor(f.runs[0])}") if f.runs else _verdict(f),
        effect(f.effect, f.low, f.high),
        p_value(f.p_holm),
        "\u00a0v\u00a0".join(map(str, f.n)) or NONE,
        f.sentence,
    )


def _verdict(f: Finding) -> str:
    """The verdict in the report's words; if it decides nothing, also the direction."""
    is_open = f.verdict in ("toy", "inconclusive") and f.direction
    return f"{VERDICTS[f.verdict]}: {f.direction}" if is_open else VERDICTS[f.verdict]
