"""The sections of the report, in order: a glance, comparisons with runs, those without, open questions, cost, runs."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from reports.figures import probes
from reports.figures.depth import final_errors
from reports.figures.fig1 import fig1
from reports.figures.fig4 import fig4
from reports.figures.fig6 import fig6
from reports.figures.fig7 import fig7
from reports.figures.style import Drawing
from reports.gathering.public import count
from reports.gathering.snapshot import Snapshot
from reports.judging.claim import Claim, Finding
from reports.judging.claims import judge_all
from reports.judging.evidence import CIFAR, IMAGENET, Comparison, Evidence
from reports.judging.public import judge_public, public_evidence
from reports.tables import cifar, imagenet, sources
from reports.tables.claims import VERDICTS, agreement, claim_table
from reports.tables.cost import cost_table
from reports.tables.formats import duration
from reports.tables.probes import deeper_table, gradient_table, of_comparison
from reports.tables.public import effect_table, public_table
from reports.tables.table import Table

THE_PAPERS = "The paper's own protocol; departures from it are listed at the end."
SCALED_DOWN = "A scaled-down protocol. Its numbers show the effect in miniature; they decide no claim of the paper."
VARIANT = "A variant of the paper's protocol; `study/recipes.py` says how it differs."
LEFT_OPEN = (
    "Measured on trained networks by `python -m study probe`. The paper says that the gradients of plain nets have "
    "healthy norms and gives no number; C07 compares them with the residual twins'. That a deeper net could copy a "
    "shallower one is the argument of Sec. 1."
)


@dataclass(frozen=True)
class Section:
    """A heading with what stands under it.

    Attributes:
        title: The heading.
        text: A paragraph.
        tables: Below the figures.
        drawings: The figures.
        findings: The claims that the section judges.
        comparison: Whose runs they are judged on.
        public: What public networks say of them, by the claim's number.
    """

    title: str
    text: str = ""
    tables: list[Table] = field(default_factory=list)
    drawings: list[Drawing] = field(default_factory=list)
    findings: list[tuple[Claim, Finding]] = field(default_factory=list)
    comparison: Comparison | None = None
    public: Mapping[str, Finding] = field(default_factory=dict)

    @property
    def anchor(self) -> str:
        """The heading as a link's target."""
        return re.sub(r"[^a-z0-9]+", "-", self.title.lower()).strip("-")


def sections(snapshot: Snapshot) -> list[Section]:
    """All sections of the report, in order."""
    parts = [section(snapshot, comparison) for comparison in comparisons(snapshot)]
    return [_glance(snapshot, parts), *parts, *_left_open(snapshot), _cost(snapshot), _sources(snapshot)]


def comparisons(snapshot: Snapshot) -> list[Comparison]:
    """The paper's two data sets under its own protocol, and every other comparison with runs; empty ones last."""
    present = {Comparison(*pair) for pair in snapshot.results[["dataset", "recipe"]].itertuples(index=False)}
    others = sorted(present - {CIFAR, IMAGENET}, key=lambda comparison: (comparison.scale, comparison.name))
    return sorted([CIFAR, IMAGENET, *others], key=lambda comparison: comparison not in present)


def section(snapshot: Snapshot, comparison: Comparison) -> Section:
    """The section of one comparison: the paper's exhibits where it has some, else the same shapes with ours alone."""
    e = Evidence.of(snapshot, comparison)
    if comparison == CIFAR:
        return _cifar(snapshot, e)
    if comparison == IMAGENET:
        return _imagenet(snapshot, e)
    return _ours_alone(snapshot, e)


def _cifar(snapshot: Snapshot, e: Evidence) -> Section:
    findings, tested = judge_all(e), judge_public(snapshot.public)
    public = public_evidence(snapshot.public) if tested else None
    return Section(
        "CIFAR-10 (Sec. 4.2, Table 6, Figs. 1, 6, 7)",
        THE_PAPERS,
        [
            cifar.table6(e, public),
            claim_table(findings, with_public_reruns=True, tested=tested),
            *(_public_tables(public) if public else []),
            sources.peer_table(e),
            *_commands(e),
        ],
        [*fig1(snapshot.history, e), fig6(snapshot.history, e, public), *fig7(snapshot.responses, e, snapshot.public)],
        findings,
        e.comparison,
        tested,
    )


def _public_tables(public: Evidence) -> list[Table]:
    """The public networks, and what they show together, once a repository has two of them."""
    return [table for table in (public_table(public), effect_table(public)) if table.rows]


def _imagenet(snapshot: Snapshot, e: Evidence) -> Section:
    findings = judge_all(e)
    tables = [
        imagenet.table1(),
        imagenet.table2(e),
        imagenet.table3(e),
        imagenet.table4(e),
        imagenet.table5(e),
        claim_table(findings, with_public_reruns=True),
        sources.peer_table(e),
        *_commands(e),
    ]
    heading = "ImageNet (Sec. 4.1, Tables 1 to 5, Fig. 4)"
    return Section(heading, THE_PAPERS, tables, [fig4(snapshot.history, e)], findings, e.comparison)


def _ours_alone(snapshot: Snapshot, e: Evidence) -> Section:
    """A comparison that the paper has no exhibit of: another data set, another recipe, or both."""
    findings = judge_all(e)
    return Section(
        f"{'Scaled down' if e.is_scaled_down else 'Variant'}: {e.comparison.name}",
        SCALED_DOWN if e.is_scaled_down else VARIANT,
        [cifar.error_table(e), *([claim_table(findings)] if findings else [])],
        [fig6(snapshot.history, e), *fig7(snapshot.responses, e)],
        findings,
        e.comparison,
    )


def _commands(e: Evidence) -> list[Table]:
    """The table of networks without a run, where there are any."""
    table = sources.command_table(e)
    return [table] if table.rows else []


def _left_open(snapshot: Snapshot) -> Iterator[Section]:
    """What the paper leaves open, for each comparison that has probed nets."""
    for comparison in comparisons(snapshot):
        e = Evidence.of(snapshot, comparison)
        if not of_comparison(snapshot.deeper, e).empty:
            tables = [gradient_table(snapshot.signals, e), deeper_table(snapshot.deeper, e)]
            drawings = [probes.gradients(snapshot.signals, e), probes.blocks(snapshot.blocks, e, snapshot.deeper)]
            text = (
                f"{LEFT_OPEN} These networks were trained by a scaled-down protocol." if e.is_scaled_down else LEFT_OPEN
            )
            yield Section(f"Left open by the paper: {comparison.name}", text, tables, drawings)


def _glance(snapshot: Snapshot, parts: list[Section]) -> Section:
    """What there is in numbers: runs, networks, hours, devices, verdicts."""
    runs = snapshot.counting
    found = [finding.verdict for part in parts for _, finding in part.findings]
    rows = [
        ("runs that count", f"{len(runs)} of {len(snapshot.runs)}"),
        *(_filled(snapshot, part.comparison) for part in parts if part.comparison and part.comparison.networks),
        ("time of training and evaluation", duration(runs["hours"].sum())),
        ("devices", ", ".join(sorted(set(runs["device"].dropna()))) or "none"),
        (
            "verdicts",
            ", ".join(f"{found.count(verdict)} {word}" for verdict, word in VERDICTS.items() if verdict in found),
        ),
        ("ours and public re-runs", agreement(_on_the_papers_protocol(parts))),
        *_public(snapshot),
    ]
    return Section("At a glance", tables=[Table("", ("", ""), rows)], drawings=[final_errors(snapshot)])


def _public(snapshot: Snapshot) -> Iterator[tuple[str, str]]:
    """The number of public networks, where there are any."""
    if len(snapshot.public.networks):
        yield "public networks, tested by us", count(snapshot.public)


def _on_the_papers_protocol(parts: list[Section]) -> list[tuple[Claim, Finding]]:
    return [found for part in parts if part.comparison in (CIFAR, IMAGENET) for found in part.findings]


def _filled(snapshot: Snapshot, comparison: Comparison) -> tuple[str, str]:
    trained = [net for net in comparison.networks if not Evidence.of(snapshot, comparison).net(net).empty]
    return f"networks of the paper with a run ({comparison.dataset})", f"{len(trained)} of {len(comparison.networks)}"


def _cost(snapshot: Snapshot) -> Section:
    return Section("Cost", tables=[cost_table(snapshot.results)])


def _sources(snapshot: Snapshot) -> Section:
    tables = [sources.run_table(snapshot.counting)]
    if not snapshot.excluded.empty:
        tables.append(sources.excluded_table(snapshot.excluded))
    tables += [sources.plan_table(snapshot.counting), sources.departure_table(), sources.not_attempted_table()]
    return Section("Where the numbers come from", tables=tables)
