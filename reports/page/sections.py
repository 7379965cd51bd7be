"""The report in its reader's order: answer, scoreboard, what was found, exhibits, coverage, cost, sources."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from reports.figures.depth import final_errors
from reports.figures.fig1 import fig1
from reports.figures.fig4 import fig4
from reports.figures.fig6 import fig6
from reports.gathering.public import count
from reports.gathering.snapshot import Snapshot
from reports.judging.claim import Finding
from reports.judging.claims import judge_all
from reports.judging.comparison import CIFAR, IMAGENET, Comparison
from reports.judging.evidence import Evidence
from reports.judging.public import judge_public, public_if_any
from reports.page.answer import Findings, answers
from reports.page.found import FILE, Found, read_found
from reports.page.learned import learned_section, unshown
from reports.page.model import Report, Section
from reports.page.scoreboard import scoreboard
from reports.tables import cifar, imagenet, sources
from reports.tables.claims import claim_table
from reports.tables.cost import cost_table, protocol_table
from reports.tables.coverage import coverage
from reports.tables.curves import distance_table
from reports.tables.formats import devices, duration
from reports.tables.public import effect_table, public_table
from reports.tables.table import Table
from study.departures import DEPARTURES
from study.recipes import RECIPES

SCALED_DOWN = "Scaled-down protocols show the effect in miniature; they decide no claim of the paper."


def report(snapshot: Snapshot, folder: Path | None = None) -> Report:
    """The report of a snapshot.

    Args:
        snapshot: The runs.
        folder: Where found.toml may be; without one, nothing is said to be found.
    """
    shown = comparisons(snapshot)
    judged: dict[Comparison, Findings] = {each: judge_all(Evidence.of(snapshot, each)) for each in shown}
    tested = dict(judge_public(snapshot.public))
    return Report(
        snapshot,
        answers(snapshot, judged, tested),
        final_errors(snapshot),
        scoreboard(judged, tested),
        read_found(folder / FILE, judged, tested) if folder else Found(),
        facts(snapshot),
        [section for section in _sections(snapshot, shown) if section],
        judged,
        tested,
        [*(_claims(each, found, tested) for each, found in judged.items() if found), cost_table(snapshot.results)],
        list(unshown(snapshot, [Evidence.of(snapshot, each) for each in shown])),
    )


def comparisons(snapshot: Snapshot) -> list[Comparison]:
    """The paper's two data sets under its own protocol, then every other comparison with runs, the longest first."""
    present = {each for each in Comparison.among(snapshot.results) if not each.is_from_copy}
    return [CIFAR, IMAGENET, *sorted(present - {CIFAR, IMAGENET}, key=_order)]


def _order(comparison: Comparison) -> tuple[str, str, int, str]:
    """Variants before scaled-down protocols, then by data set, the most steps first."""
    steps = RECIPES[comparison.dataset][comparison.recipe].steps
    return comparison.scale, comparison.dataset, -steps, comparison.name


def _claims(comparison: Comparison, found: Findings, tested: Mapping[str, Finding]) -> Table:
    is_papers = comparison in (CIFAR, IMAGENET)
    return claim_table(list(found), is_papers, tested if comparison == CIFAR else None, comparison.slug)


def _sections(snapshot: Snapshot, shown: Sequence[Comparison]) -> Iterator[Section]:
    """The sections in order; empty ones among them."""
    evidence = [Evidence.of(snapshot, each) for each in shown]
    cifar_like = [e for e in evidence if e.comparison.family == "cifar"]
    yield _fig6(snapshot, cifar_like)
    yield _table6(snapshot, cifar_like)
    yield learned_section(snapshot, evidence)
    yield _coverage(snapshot, [e.comparison for e in cifar_like])
    own, *others = (e for e in evidence if e.comparison.family == "imagenet")
    tiny = next((e for e in others if e.comparison.dataset == "tinyimagenet"), None)
    yield _imagenet(snapshot, own, tiny)
    for e in others:
        tables, drawings = [cifar.error_table(e)], [fig6(snapshot.history, e)]
        yield Section(e.comparison.title, "Errors at the end, and against step", tables, drawings, is_folded=True)
    yield _cost(snapshot)
    departures = f"{len(DEPARTURES)} departures and choices, each with the claims that it may touch"
    yield Section("Departures from the paper", departures, [sources.departure_table()], is_folded=True)
    yield runs_section(snapshot)
    yield _others(snapshot)


def _fig6(snapshot: Snapshot, evidence: Sequence[Evidence]) -> Section:
    """Error against step by the paper's protocol; the page's script draws the others, whose still figures are files."""
    first, *others = evidence
    drawings = [*fig1(snapshot.history, first), fig6(snapshot.history, first, public_if_any(snapshot.public))]
    curves = [drawing for drawing in (fig6(snapshot.history, e) for e in others) if drawing.panels]
    distances = distance_table(first)
    folds = [Section("The same of other protocols", drawings=curves, is_linked=True)] if curves else []
    folds += [Section(distances.title, tables=[distances])] if distances.rows else []
    return Section("Fig. 6: error against step", drawings=drawings, folds=folds)


def _table6(snapshot: Snapshot, evidence: Sequence[Evidence]) -> Section:
    """Table 6, and folded: the same of other protocols, other methods, public networks."""
    first, *others = evidence
    public = public_if_any(snapshot.public)
    folds = [Section(f"Errors: {e.comparison.title}", tables=[cifar.error_table(e)]) for e in others]
    tested = [table for table in (public_table(public), effect_table(public)) if table.rows] if public else []
    folds += [Section("Public networks, tested by us", tables=tested)] if tested else []
    averages = cifar.averages_table(first)
    folds += [Section("True averages in batch norm", tables=[averages])] if averages.rows else []
    folds.append(Section("Other methods in the paper's Table 6", tables=[cifar.methods_table()]))
    return Section("Table 6: errors on CIFAR-10", tables=[cifar.table6(first, public)], folds=folds)


def _coverage(snapshot: Snapshot, shown: Sequence[Comparison]) -> Section:
    text = (
        "Seeds run of seeds planned, for each network under each protocol. A cell that lacks seeds has the command "
        f"that trains the next one. {SCALED_DOWN}"
    )
    return Section("What has been run, and what has not", text, coverage=coverage(snapshot, shown))


def _imagenet(snapshot: Snapshot, e: Evidence, tiny: Evidence | None) -> Section:
    """Tables 1 to 5 and Fig. 4, with Tiny ImageNet in columns beside them; folded until there is a run on ImageNet."""
    comparison = e.comparison
    is_empty = comparison.of(snapshot.results).empty
    beside = ", and those of Tiny ImageNet beside them" if tiny else ""
    folded = [imagenet.table1(), imagenet.table4(e), imagenet.table5(e)]
    return Section(
        "ImageNet: Tables 1 to 5, Fig. 4",
        f"No network has been trained on ImageNet yet: the paper's numbers{beside}." if is_empty else "",
        [imagenet.table2(e, tiny), imagenet.table3(e, tiny)],
        [fig4(snapshot.history, e)],
        [Section("Complexity, several scales, ensembles", tables=folded)],
        coverage(snapshot, [comparison]),
        is_folded=is_empty,
    )


def _cost(snapshot: Snapshot) -> Section:
    """Cost of each protocol; that of each cell has files of its own."""
    return Section("Cost", tables=[protocol_table(snapshot.results)] if len(snapshot.results) else [])


def runs_section(snapshot: Snapshot) -> Section:
    """Every run, those that do not count with their reasons, and the plan that they were trained under."""
    tables = [sources.run_table(snapshot.counting)] if len(snapshot.counting) else []
    if not snapshot.excluded.empty:
        tables.append(sources.excluded_table(snapshot.excluded))
    text = "Every run: errors as counts, device, precision, commit and digests; filter, sort, compare"
    return Section("Runs", text, [*tables, sources.plan_table(snapshot.counting)], is_folded=True)


def _others(snapshot: Snapshot) -> Section:
    """What others found, and what of the paper is left out."""
    peers = [sources.peer_table(Evidence(snapshot.results, comparison)) for comparison in (CIFAR, IMAGENET)]
    text = "What others published, protocol by protocol; and what of the paper is not attempted"
    return Section("Others' results", text, [*peers, sources.not_attempted_table()], is_folded=True)


def facts(snapshot: Snapshot) -> str:
    """``61 of 61 runs count, 22.1 h on CPU AMD EPYC; 9 public networks``."""
    runs = snapshot.counting
    ours = f"{len(runs)} of {len(snapshot.runs)} runs count"
    time = f", {duration(runs['hours'].sum())} on {devices(runs)}" if len(runs) else ""
    public = f"; public networks, tested by us: {count(snapshot.public)}" if len(snapshot.public.networks) else ""
    return f"{ours}{time}{public}."
