"""What the report is made of: an answer, a scoreboard, and sections with tables, figures and folded parts."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from reports.figures.style import Drawing
from reports.gathering.snapshot import Snapshot
from reports.judging.claim import Finding
from reports.judging.comparison import Comparison
from reports.page.answer import Answer, Findings
from reports.page.found import Found
from reports.page.scoreboard import Tile
from reports.tables.coverage import Coverage
from reports.tables.table import Table


@dataclass(frozen=True)
class Section:
    """A heading with what stands under it.

    Attributes:
        title: The heading.
        text: A paragraph.
        tables: Below the figures.
        drawings: The figures.
        folds: Parts that are folded until a reader opens them.
        coverage: Which networks have runs.
        is_folded: Whether all of it is folded.
        name: Its link's target, where the heading has numbers that may change.
        is_linked: Whether a page links to the files of its figures in place of showing them.
    """

    title: str
    text: str = ""
    tables: Sequence[Table] = ()
    drawings: Sequence[Drawing] = ()
    folds: Sequence[Section] = ()
    coverage: Coverage | None = None
    is_folded: bool = False
    is_linked: bool = False
    name: str = ""

    @property
    def anchor(self) -> str:
        """The heading as a link's target; of an exhibit its name: ``fig6``, ``table6``."""
        if self.name:
            return self.name
        exhibit = re.match(r"(Fig|Table)\.? (\d+)", self.title)
        words = f"{exhibit[1]}{exhibit[2]}" if exhibit else self.title
        return re.sub(r"[^a-z0-9]+", "-", words.lower()).strip("-")

    def __bool__(self) -> bool:
        """Whether anything stands under the heading."""
        return bool(self.tables or self.drawings or self.folds or self.coverage)

    def walk(self) -> Iterator[Section]:
        """This section and those folded in it."""
        yield self
        for fold in self.folds:
            yield from fold.walk()


@dataclass(frozen=True)
class Report:
    """All that the report says.

    Attributes:
        snapshot: The runs.
        answers: Does it reproduce? One for each protocol.
        hero: The first figure.
        tiles: The scoreboard.
        found: What we found, in sentences tied to verdicts.
        facts: Runs, hours and devices in one line.
        sections: The rest, in the reader's order.
        judged: The findings of each comparison.
        tested: What public networks say of each claim.
        only_files: Tables that the page leaves out: all findings of each comparison, and the cost of each cell.
        only_drawn: Figures that the page leaves out: what was measured under protocols that it does not show.
    """

    snapshot: Snapshot
    answers: Sequence[Answer]
    hero: Drawing
    tiles: Sequence[Tile]
    found: Found
    facts: str
    sections: Sequence[Section]
    judged: Mapping[Comparison, Findings]
    tested: Mapping[str, Finding]
    only_files: Sequence[Table]
    only_drawn: Sequence[Drawing] = ()

    @property
    def is_synthetic(self) -> bool:
        """Whether any run was made up to test the report."""
        return bool((self.snapshot.runs["source"] == "synthetic").any())

    @property
    def parts(self) -> list[Section]:
        """All sections, and those folded in them."""
        return [part for section in self.sections for part in section.walk()]

    @property
    def drawings(self) -> list[Drawing]:
        """All figures."""
        shown = (drawing for part in self.parts for drawing in part.drawings)
        return [self.hero, *shown, *self.only_drawn]

    @property
    def tables(self) -> list[Table]:
        """All tables that have files."""
        return [*self.only_files, *(table for part in self.parts for table in part.tables if table.name)]
