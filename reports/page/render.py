"""From a snapshot to the report: Markdown, one HTML page that needs nothing else, tables and figures as files."""

from __future__ import annotations

import json
import math
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import pandas as pd
from jinja2 import Environment, PackageLoader, StrictUndefined

from reports.figures import probes
from reports.figures.fig1 import fig1
from reports.figures.fig4 import fig4
from reports.figures.fig6 import fig6
from reports.figures.fig7 import fig7
from reports.figures.hours import hours
from reports.figures.style import Drawing
from reports.gathering.snapshot import Snapshot
from reports.judging.claim import Claim, Finding
from reports.judging.claims import judge_all
from reports.judging.evidence import CIFAR, IMAGENET, Comparison, Evidence
from reports.paper import numbers as paper
from reports.tables import cifar, imagenet, sources
from reports.tables.claims import claim_table
from reports.tables.cost import cost_table
from reports.tables.formats import duration
from reports.tables.probes import deeper_table, gradient_table, of_comparison
from reports.tables.table import Table, markdown, text, to_csv, to_tex
from study.spec import InputError

TITLE = "Deep residual learning, reproduced"
BEGIN, END = "<!-- results: written by python -m reports build -->", "<!-- results end -->"
KEYS = {"counted": "settled"}  # what claims.json has called a field since before it was renamed
LEFT_OPEN = (
    "Asked of trained nets by `python -m study probe`. The paper says that plain nets' gradients have healthy norms "
    "(C07) and gives no number; that a deeper net could copy a shallower one is the argument of its Sec. 1."
)
Files = dict[str, str | bytes]


@dataclass(frozen=True)
class Section:
    """A heading with what stands under it."""

    title: str
    text: str = ""
    tables: list[Table] = field(default_factory=list)
    drawings: list[Drawing] = field(default_factory=list)
    findings: list[tuple[Claim, Finding]] = field(default_factory=list)
    comparison: Comparison | None = None

    @property
    def anchor(self) -> str:
        """The heading as a link's target."""
        return re.sub(r"[^a-z0-9]+", "-", self.title.lower()).strip("-")


def build(snapshot: Snapshot, folder: Path) -> list[Path]:
    """Write the report of a snapshot into `folder`; returns the files. The same snapshot gives the same bytes."""
    files = report(snapshot)
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    return [folder / name for name in files]


def check(snapshot: Snapshot, folder: Path) -> list[str]:
    """The text files in `folder` that are not what the snapshot gives; figures depend on fonts and are left out."""
    files = texts(sections(snapshot), _is_synthetic(snapshot))
    return [name for name, text in files.items() if not (folder / name).exists() or (folder / name).read_text() != text]


def report(snapshot: Snapshot) -> Files:
    """Every file of the report, by name."""
    parts, synthetic = sections(snapshot), _is_synthetic(snapshot)
    drawings = [drawing for part in parts for drawing in part.drawings]
    return {
        **texts(parts, synthetic),
        "report.html": page("report.html.j2", parts, synthetic),
        **{f"figures/{drawing.name}.svg": drawing.svg for drawing in drawings},
        **{f"figures/{drawing.name}.png": drawing.png for drawing in drawings},
    }


def texts(parts: list[Section], synthetic: bool) -> dict[str, str]:
    """The files for which nothing is drawn, by name; they are the same on every machine."""
    tables = [table for part in parts for table in part.tables if table.name]
    records = [record(part.comparison, *found) for part in parts for found in part.findings if part.comparison]
    return {
        "claims.json": json.dumps(records, indent=2) + "\n",
        "REPORT.md": page("REPORT.md.j2", parts, synthetic),
        **{f"tables/{table.name}.csv": to_csv(table) for table in tables},
        **{f"tables/{table.name}.tex": to_tex(table) for table in tables},
    }


def _is_synthetic(snapshot: Snapshot) -> bool:
    """Whether any run was made up to test the report."""
    return bool((snapshot.runs["source"] == "synthetic").any())


def sections(snapshot: Snapshot) -> list[Section]:
    """All sections: the glance first, then what has runs, then what waits for some."""
    parts = [_section(snapshot, Evidence(snapshot.results, comparison)) for comparison in _comparisons(snapshot)]
    return [_glance(snapshot, parts), *parts, *_left_open(snapshot), _cost(snapshot), _sources(snapshot)]


def _comparisons(snapshot: Snapshot) -> list[Comparison]:
    """The paper's two data sets under its own protocol, and every other comparison with runs; empty ones last."""
    present = {Comparison(*pair) for pair in snapshot.results[["dataset", "recipe"]].itertuples(index=False)}
    others = sorted(present - {CIFAR, IMAGENET}, key=lambda comparison: (comparison.scale, comparison.name))
    return sorted([CIFAR, IMAGENET, *others], key=lambda comparison: comparison not in present)


def _section(snapshot: Snapshot, e: Evidence) -> Section:
    findings = judge_all(e)
    claims = [claim_table(findings)] if findings else []
    if e.comparison == CIFAR:
        tables = [cifar.table6(e), *claims, sources.peer_table(e)]
        drawings = [fig1(snapshot.history, e), fig6(snapshot.history, e)]
        heading = "CIFAR-10 (Sec. 4.2, Table 6, Figs. 1, 6, 7)"
    elif e.comparison == IMAGENET:
        parts = (imagenet.table2(e), imagenet.table3(e), imagenet.table4(e), imagenet.table5())
        tables = [imagenet.table1(), *parts, *claims, sources.peer_table(e)]
        drawings = [fig4(snapshot.history, e)]
        heading = "ImageNet (Sec. 4.1, Tables 1 to 5, Fig. 4)"
    else:
        tables, drawings = [cifar.error_table(e), *claims], [fig6(snapshot.history, e)]
        heading = f"{'Scaled down' if e.is_scaled_down else 'Variant'}: {e.comparison.name}"
    if e.comparison != IMAGENET and (responses := fig7(snapshot.responses, e)):
        drawings.append(responses)
    if e.comparison in (CIFAR, IMAGENET) and (commands := sources.command_table(e)).rows:
        tables.append(commands)
    return Section(heading, _protocol(e), tables, drawings, findings, e.comparison)


def _protocol(e: Evidence) -> str:
    if e.is_scaled_down:
        return "A scaled-down protocol. Its numbers show the effect in miniature; they decide no claim of the paper."
    if e.comparison in (CIFAR, IMAGENET):
        return "The paper's own protocol; departures from it are listed at the end."
    return "A variant of the paper's protocol; recipes.py says how it differs."


def _left_open(snapshot: Snapshot) -> Iterator[Section]:
    """What the paper leaves open, for each comparison that has probed nets."""
    for comparison in _comparisons(snapshot):
        e = Evidence(snapshot.results, comparison)
        if not of_comparison(snapshot.deeper, e).empty:
            tables = [gradient_table(snapshot.signals, e), deeper_table(snapshot.deeper, e)]
            drawings = [probes.gradients(snapshot.signals, e), probes.blocks(snapshot.blocks, e)]
            text = f"{LEFT_OPEN} These nets were trained by a scaled-down protocol." if e.is_scaled_down else LEFT_OPEN
            yield Section(f"Left open by the paper: {comparison.name}", text, tables, drawings)


def _glance(snapshot: Snapshot, parts: list[Section]) -> Section:
    runs = snapshot.counting
    verdicts = [finding.verdict for part in parts for _, finding in part.findings]
    order = ("supported", "contradicted", "inconclusive", "toy", "missing")
    filled = {
        part.comparison: _filled(snapshot, part.comparison)
        for part in parts
        if part.comparison in (CIFAR, IMAGENET) and part.comparison
    }
    rows = [
        ("runs that count", f"{len(runs)} of {len(snapshot.runs)}"),
        *((f"networks of the paper with a run ({comparison.dataset})", cells) for comparison, cells in filled.items()),
        ("training and evaluation", duration(runs["hours"].sum())),
        ("devices", ", ".join(sorted(set(runs["device"].dropna()))) or "none"),
        ("verdicts", ", ".join(f"{verdicts.count(v)} {v}" for v in order if v in verdicts)),
    ]
    return Section("At a glance", tables=[Table("", ("", ""), rows)])


def _filled(snapshot: Snapshot, comparison: Comparison) -> str:
    waiting = len(sources.command_table(Evidence(snapshot.results, comparison)).rows)
    nets = len(paper.CIFAR10 if comparison == CIFAR else paper.IMAGENET)
    return f"{nets - waiting} of {nets}"


def _cost(snapshot: Snapshot) -> Section:
    results = snapshot.results
    return Section("Cost", tables=[cost_table(results)], drawings=[hours(results)])


def _sources(snapshot: Snapshot) -> Section:
    tables = [sources.run_table(snapshot.counting)]
    if not snapshot.excluded.empty:
        tables.append(sources.excluded_table(snapshot.excluded))
    tables += [sources.departure_table(), sources.not_attempted_table()]
    return Section("Where the numbers come from", tables=tables)


def record(comparison: Comparison, claim: Claim, finding: Finding) -> dict[str, Any]:
    """One entry of claims.json; what is undefined is null."""
    about = {"id": claim.id, "where": claim.where, "statement": claim.statement, "group": comparison.name}
    found = {KEYS.get(name, name): _plain(value) for name, value in asdict(finding).items()}
    return {**about, **found}


def _plain(value: Any) -> Any:
    return None if isinstance(value, float) and math.isnan(value) else value


def headline(snapshot: Snapshot, folder: Path, readme: Path) -> None:
    """Put the leading comparison's figure and table between the two marks of a README.

    Raises:
        InputError: the file is not there or has no marks.
    """
    old = readme.read_text() if readme.exists() else ""
    if BEGIN not in old or END not in old:
        raise InputError(f"{readme} has no lines '{BEGIN}' and '{END}' to write between")
    block = "\n\n".join(_headline(snapshot, Path(os.path.relpath(folder, readme.parent))))
    readme.write_text(f"{old.split(BEGIN)[0]}{BEGIN}\n\n{block}\n\n{END}{old.split(END)[1]}")


def _headline(snapshot: Snapshot, folder: Path) -> Iterator[str]:
    """The paragraphs of a README's results; the paper's own protocol follows where another comparison leads."""
    comparison = leading(snapshot)
    part = _section(snapshot, Evidence(snapshot.results, comparison))
    drawing = next(drawing for drawing in part.drawings if drawing.name.startswith("fig6"))
    yield f"![{drawing.alternative}]({folder / 'figures' / drawing.name}.svg)"
    yield f"*{drawing.caption} {_seeds(comparison.of(snapshot.results))}*"
    table = part.tables[0]
    yield markdown(_unlinked(table))
    runs = CIFAR.of(snapshot.results)
    if comparison != CIFAR and not runs.empty:
        table = cifar.own_rows(cifar.table6(Evidence(snapshot.results, CIFAR)))
        yield f"*By the paper's own protocol, so far. {_seeds(runs)}*"
        yield markdown(_unlinked(table))
    yield table.caption.strip()


def _seeds(runs: pd.DataFrame) -> str:
    seeds = runs.groupby(["depth", "shortcut"])["seed"].nunique()
    each = " to ".join(map(str, sorted({seeds.min(), seeds.max()})))
    devices = ", ".join(sorted(set(runs["device"])))
    return f"{len(runs)} run{'s' * (len(runs) > 1)}, seeds per network: {each}; on {devices}."


def _unlinked(table: Table) -> Table:
    return replace(table, rows=[tuple(text(cell) for cell in row) for row in table.rows])


def leading(snapshot: Snapshot) -> Comparison:
    """The comparison that a README shows: the first with both plain and residual nets, else the first."""
    comparisons = _comparisons(snapshot)
    both = (
        comparison
        for comparison in comparisons
        if comparison.of(snapshot.results)["shortcut"].eq("none").nunique() == 2
    )
    return next(both, comparisons[0])


def page(template: str, parts: list[Section], synthetic: bool) -> str:
    """Fill one of the two templates."""
    environment = Environment(
        loader=PackageLoader("reports.page"),
        autoescape=template.endswith(".html.j2"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["markdown"] = markdown
    values: Mapping[str, Any] = {"title": TITLE, "sections": parts, "synthetic": synthetic}
    return environment.get_template(template).render(values)
