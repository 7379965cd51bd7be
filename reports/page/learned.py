"""The section "What residual learning does": a finding for each figure, from the best evidence that is at hand."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pandas as pd

from reports.figures import probes
from reports.figures.deepened import deepened
from reports.figures.fig7 import fig7
from reports.figures.learned import FIGURES, pair
from reports.figures.style import Drawing
from reports.gathering.snapshot import Snapshot
from reports.judging.evidence import Evidence
from reports.judging.public import public_if_any
from reports.page.model import Section
from reports.tables.probes import deeper_table, gradient_table, mistakes_table, of_comparison
from reports.tables.table import Table
from study.recipes import FROM_COPY

TITLE = "What residual learning does"
RESPONSES = (
    "The paper argues from Fig. 7 that residual functions are closer to zero: responses of residual nets are smaller "
    "than those of plain nets (C30), and smaller the deeper the net (C31). The other figures answer questions that it "
    "leaves open, each from the longest protocol that has a plain net and its residual twin."
)


Found = tuple[Evidence, pd.DataFrame]  # some runs, and what was measured of them


def learned_section(snapshot: Snapshot, evidence: Sequence[Evidence]) -> Section:
    """Responses by the paper's protocol, and folded, under its finding, a figure for each question.

    Args:
        snapshot: The runs.
        evidence: The comparisons on CIFAR's family of networks, the paper's first.
    """
    missing = [needs for name, (_, needs) in FIGURES.items() if best(snapshot, evidence, name) is None]
    wanted = f" Not measured yet: {'; '.join(dict.fromkeys(missing))}." if missing else ""
    papers, *others = _responses(snapshot, evidence)
    folds = [*_findings(snapshot, evidence), *map(_part, others[:1])]
    return Section(TITLE, RESPONSES + wanted, drawings=[papers], folds=folds)


def _findings(snapshot: Snapshot, evidence: Sequence[Evidence]) -> Iterator[Section]:
    """A part for each figure, whose heading is what it shows."""
    yield from map(_part, _copies(snapshot)[:1])
    if probed := _probed(snapshot, evidence):
        gradients, blocks = _probes(probed, snapshot)
        yield _part(gradients, gradient_table(snapshot.signals, probed))
        yield _part(blocks, deeper_table(snapshot.deeper, probed))
    sources = {name: found for name in FIGURES if (found := best(snapshot, evidence, name))}
    drawn = {name: FIGURES[name][0](found, e) for name, (e, found) in sources.items()}
    filters = [drawn.pop("filters")] if "filters" in drawn else []
    yield from map(_part, drawn.values())
    mistaken = best(snapshot, evidence, "mistakes")
    table = mistakes_table(mistaken[1], mistaken[0]) if mistaken else None
    tables = [table] if table and table.rows else []
    if tables or filters:
        yield Section("Which images depth costs, and the first filters", tables=tables, drawings=filters)


def _part(drawing: Drawing, *tables: Table) -> Section:
    return Section(drawing.title, drawings=[drawing], tables=tables, name=drawing.name)


def best(snapshot: Snapshot, evidence: Sequence[Evidence], name: str) -> Found | None:
    """The first of all sources of which a table has a plain network and its residual twin; else the first that it has.

    Networks that others published stand behind full protocols of ours, and before those that are scaled down.
    """
    having = [found for found in _sources(snapshot, evidence, name) if not of_comparison(found[1], found[0]).empty]
    both = (found for found in having if len(pair(found[1], found[0])) > 1)
    return next(both, having[0] if having else None)


def _sources(snapshot: Snapshot, evidence: Sequence[Evidence], name: str) -> list[Found]:
    table = getattr(snapshot, name)
    ours = [(e, table) for e in evidence]
    theirs = getattr(snapshot.public, name, None)
    public = public_if_any(snapshot.public)
    if theirs is None or public is None:
        return ours
    full = sum(not e.is_scaled_down for e in evidence)
    return [*ours[:full], (public, theirs), *ours[full:]]


def unshown(snapshot: Snapshot, evidence: Sequence[Evidence]) -> Iterator[Drawing]:
    """The figures of all other comparisons, which have files and no place in the page."""
    yield from (*_copies(snapshot)[1:], *_responses(snapshot, evidence)[2:])
    probed = _probed(snapshot, evidence)
    for e in evidence:
        if e is not probed and not of_comparison(snapshot.deeper, e).empty:
            yield from _probes(e, snapshot)
    for name, (draw, _) in FIGURES.items():
        shown, found = best(snapshot, evidence, name), getattr(snapshot, name)
        yield from (draw(found, e) for e in evidence if not (shown and e is shown[0]) and len(pair(found, e)) > 1)


def _copies(snapshot: Snapshot) -> list[Drawing]:
    """Copies trained on, CIFAR-10's before those of digits."""
    return [drawing for dataset in FROM_COPY if (drawing := deepened(snapshot, dataset))]


def _probed(snapshot: Snapshot, evidence: Sequence[Evidence]) -> Evidence | None:
    """The comparison of ours whose gradients are shown: those of public networks are not known before training."""
    having = [e for e in evidence if not of_comparison(snapshot.deeper, e).empty]
    both = (e for e in having if len(pair(snapshot.deeper, e)) > 1)
    return next(both, having[0] if having else None)


def _probes(e: Evidence, snapshot: Snapshot) -> list[Drawing]:
    return [probes.gradients(snapshot.signals, e), probes.blocks(snapshot.blocks, e, snapshot.deeper)]


def _responses(snapshot: Snapshot, evidence: Sequence[Evidence]) -> list[Drawing]:
    """Fig. 7 by the paper's protocol, which always has a drawing, and by each other one that has runs."""
    return [drawing for e in evidence for drawing in fig7(snapshot.responses, e, snapshot.public)]
