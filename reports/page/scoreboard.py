"""The scoreboard: a tile for each claim of the paper, with the verdict of the protocol that says most about it."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from reports.judging.claim import Claim, Finding
from reports.judging.claims import CLAIMS
from reports.judging.comparison import Comparison
from reports.judging.paired import PublicReruns
from reports.judging.peers import public_reruns
from reports.page.answer import Findings
from reports.tables.claims import VERDICTS, reruns_of, seeds, verdict
from reports.tables.formats import effect, p_value, to_runs
from reports.tables.table import Table, TableCell
from study.recipes import RECIPES


@dataclass(frozen=True)
class Tile:
    """One claim: its verdict, and what a click shows.

    Attributes:
        claim: The claim.
        finding: That of the comparison which says most: the paper's own, else the longest scaled-down one.
        comparison: Whose runs these are.
        elsewhere: The verdict words of the other comparisons that have runs, by their titles.
        tested: The finding on public networks, if there are any.
    """

    claim: Claim
    finding: Finding
    comparison: Comparison
    elsewhere: Mapping[str, str]
    tested: Finding | None

    @property
    def kind(self) -> str:
        """The verdict as a CSS class: a scaled-down one has its direction too."""
        found = self.finding
        return f"toy {found.direction}".strip() if found.verdict == "toy" else found.verdict

    @property
    def word(self) -> str:
        """The verdict in words."""
        return verdict(self.finding)

    @property
    def details(self) -> list[tuple[str, str]]:
        """What a click shows, as pairs of name and text; empty ones are left out."""
        found, planned = self.finding, self.claim.planned
        pairs = [
            ("in the paper", planned.where),
            ("judged on", "" if found.missing else self.comparison.title),
            ("the runs say", "" if found.missing else found.sentence),
            ("needs runs of", ", ".join(found.missing)),
            ("effect (95 % interval)", effect(found.effect, found.low, found.high)),
            ("the paper's effect", effect(found.theirs, math.nan, math.nan)),
            ("p", p_value(found.p_for)),
            ("p of all claims (Holm, Benjamini-Hochberg)", _corrected(found)),
            ("n", seeds(found)),
            ("planned", f"{planned.seeds} seeds, level {planned.alpha:g}" if planned.sweeps else ""),
            *self.elsewhere.items(),
            ("public re-runs", reruns_of(self.claim, self._reruns) if self._reruns else ""),
            ("public networks, tested by us", verdict(self.tested) if self.tested else ""),
        ]
        return [(name, text) for name, text in pairs if text not in ("", "–")]

    @property
    def dots(self) -> tuple[float, float, float, float] | None:
        """Effect, interval and the paper's effect on a scale from -1 to 1; None without an effect."""
        found = self.finding
        values = [found.effect, found.low, found.high, found.theirs]
        top = max((abs(value) for value in values if not math.isnan(value)), default=0)
        if math.isnan(found.effect) or not top:
            return None
        effect, low, high, theirs = (value / top for value in values)
        return effect, low, high, theirs

    @property
    def runs(self) -> TableCell:
        """A link to the runs that the verdict rests on."""
        return to_runs(f"{len(self.finding.runs)} runs", self.finding.runs)

    @property
    def _reruns(self) -> PublicReruns | None:
        return public_reruns(self.claim.id)


def _corrected(found: Finding) -> str:
    return "" if math.isnan(found.p_holm) else f"{p_value(found.p_holm)}, {p_value(found.p_bh)}"


def scoreboard(judged: Mapping[Comparison, Findings], tested: Mapping[str, Finding]) -> list[Tile]:
    """A tile for every claim, in the paper's order.

    Args:
        judged: The findings of each comparison.
        tested: What public networks say, by the claim's number.
    """
    return [_tile(claim, judged, tested.get(claim.id)) for claim in sorted(CLAIMS, key=lambda claim: claim.id)]


def counts(tiles: Sequence[Tile]) -> str:
    """``3 supported, 1 contradicted, 12 scaled down: agrees``, the most frequent first."""
    return ", ".join(f"{number} {word}" for word, number in Counter(tile.word for tile in tiles).most_common())


def scoreboard_table(tiles: Sequence[Tile]) -> Table:
    """The claims that have runs, as a table for REPORT.md; the others are named below it."""
    columns = ("claim", "says", "verdict", "judged on", "effect", "the paper's", "n")
    rows = [_row(tile) for tile in tiles if not tile.finding.missing]
    missing = ", ".join(tile.claim.id for tile in tiles if tile.finding.missing)
    caption = f"{VERDICTS['missing'].capitalize()}: {missing}." if missing else ""
    return Table("The paper's claims", columns, rows, caption, frozenset({4, 5}), "claims")


def _row(tile: Tile) -> tuple[TableCell, ...]:
    found, planned = tile.finding, tile.claim.planned
    ours, theirs = effect(found.effect, found.low, found.high), effect(found.theirs, math.nan, math.nan)
    return (
        tile.claim.id,
        f"{planned.says} ({planned.where})",
        tile.word,
        tile.comparison.title,
        ours,
        theirs,
        seeds(found),
    )


def _tile(claim: Claim, judged: Mapping[Comparison, Findings], tested: Finding | None) -> Tile:
    found = {comparison: f for comparison, findings in judged.items() for c, f in findings if c.id == claim.id}
    best = min(found, key=lambda comparison: _rank(claim, comparison, found[comparison]))
    others = {c.title: verdict(f) for c, f in found.items() if c != best and not f.missing}
    return Tile(claim, found[best], best, others, tested)


def _rank(claim: Claim, comparison: Comparison, found: Finding) -> tuple[bool, bool, int]:
    """What has runs comes first, then the paper's own comparison, then the longest recipe."""
    return bool(found.missing), comparison != claim.comparison, -RECIPES[comparison.dataset][comparison.recipe].steps
