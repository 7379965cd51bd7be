"""From tables, figures and findings to one Markdown file and one HTML page that needs nothing else."""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass, field
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined
from tabulate import tabulate

from reports.claims import CLAIMS, as_record, judge
from reports.curves import Drawing, error_curves
from reports.snapshot import Snapshot
from reports.tables import (
    FULL,
    Group,
    Table,
    claim_table,
    command_table,
    departure_table,
    duration,
    error_table,
    excluded_table,
    groups,
    run_table,
)
from study.spec import InputError

TITLE = "Deep residual learning, reproduced"


@dataclass(frozen=True)
class Section:
    """A heading with what stands under it."""

    title: str
    text: str = ""
    tables: list[Table] = field(default_factory=list)
    drawings: list[Drawing] = field(default_factory=list)

    @property
    def anchor(self) -> str:
        """The heading as a link's target."""
        return re.sub(r"[^a-z0-9]+", "-", self.title.lower()).strip("-")


def build(snapshot: Snapshot, folder: Path) -> list[Path]:
    """Write the report of a snapshot into `folder`; returns the files. The same snapshot gives the same bytes."""
    sections, claims = report(snapshot)
    drawings = [drawing for section in sections for drawing in section.drawings]
    files = {
        "claims.json": json.dumps(claims, indent=2) + "\n",
        "REPORT.md": page("REPORT.md.j2", sections),
        "report.html": page("report.html.j2", sections),
        **{f"figures/{drawing.name}.svg": drawing.svg for drawing in drawings},
    }
    (folder / "figures").mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name).write_text(text)
    return [folder / name for name in files]


def report(snapshot: Snapshot) -> tuple[list[Section], list[dict[str, object]]]:
    """The sections and the claims' records."""
    results = snapshot.results
    parts, claims = [], []
    for group in groups(results):
        section, records = _group_section(snapshot, group)
        parts.append(section)
        claims += records
    return [_glance(snapshot, claims), *parts, _sources(snapshot)], claims


def _group_section(snapshot: Snapshot, group: Group) -> tuple[Section, list[dict[str, object]]]:
    results = snapshot.results
    findings = [(claim, judge(claim, group.of(results), group.scale)) for claim in CLAIMS]
    tables = [error_table(results, group), claim_table(findings)]
    if group == FULL and (commands := command_table(results, group)).rows:
        tables.append(commands)
    section = Section(_heading(group), _protocol(group), tables, [error_curves(snapshot.history, results, group)])
    return section, [as_record(claim, group.name, finding) for claim, finding in findings]


def _heading(group: Group) -> str:
    if group == FULL:
        return "CIFAR-10 (Sec. 4.2, Table 6, Fig. 6)"
    return f"{'Scaled down' if group.scale == 'toy' else 'Variant'}: {group.name}"


def _protocol(group: Group) -> str:
    if group.scale == "full":
        return "The paper's own protocol; departures from it are listed at the end."
    return "A scaled-down protocol. Its numbers show the effect in miniature; they decide no claim of the paper."


def _glance(snapshot: Snapshot, claims: list[dict[str, object]]) -> Section:
    runs = snapshot.counting
    verdicts = [str(claim["verdict"]) for claim in claims]
    counts = ", ".join(f"{verdicts.count(v)} {v}" for v in dict.fromkeys(sorted(verdicts)))
    rows = [
        ("runs that count", f"{len(runs)} of {len(snapshot.runs)}"),
        ("networks of Table 6 and Fig. 6 with a run", _filled(snapshot)),
        ("training and evaluation", duration(runs["hours"].sum())),
        ("devices", ", ".join(sorted(set(runs["device"].dropna()))) or "none"),
        ("verdicts", counts),
    ]
    return Section("At a glance", tables=[Table("", ("", ""), rows)])


def _filled(snapshot: Snapshot) -> str:
    table = error_table(snapshot.results, FULL)
    return f"{sum('n =' in row[2] for row in table.rows)} of {len(table.rows)}"


def _sources(snapshot: Snapshot) -> Section:
    tables = [run_table(snapshot.counting)]
    if not snapshot.excluded.empty:
        tables.append(excluded_table(snapshot.excluded))
    return Section("Where the numbers come from", tables=[*tables, departure_table()])


BEGIN, END = "<!-- results: written by python -m reports build -->", "<!-- results end -->"


def headline(snapshot: Snapshot, folder: Path, readme: Path) -> None:
    """Put the first group's table and figure between the two marks of a README.

    Raises:
        InputError: the file is not there or has no marks.
    """
    text = readme.read_text() if readme.exists() else ""
    if BEGIN not in text or END not in text:
        raise InputError(f"{readme} has no lines '{BEGIN}' and '{END}' to write between")
    results = snapshot.results
    group = groups(results)[0]
    drawing, runs = error_curves(snapshot.history, results, group), group.of(results)
    where = Path(os.path.relpath(folder, readme.parent)) / "figures" / f"{drawing.name}.svg"
    devices = ", ".join(sorted(set(runs["device"])))
    caption = f"{drawing.caption} {len(runs)} runs on {devices}."
    table = error_table(results, group)
    block = f"![{drawing.alternative}]({where})\n\n*{caption}*\n\n{markdown(table)}\n\n{table.caption}"
    before, after = text.split(BEGIN)[0], text.split(END)[1]
    readme.write_text(f"{before}{BEGIN}\n\n{block}\n\n{END}{after}")


def page(template: str, sections: list[Section]) -> str:
    """Fill one of the two templates."""
    environment = Environment(
        loader=PackageLoader("reports"), autoescape=template.endswith(".html.j2"), undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True,
    )  # fmt: skip
    environment.filters["markdown"] = markdown
    return environment.get_template(template).render(title=TITLE, sections=sections)


def markdown(table: Table) -> str:
    """A table for a code host; what a name holds cannot break out of its cell."""
    rows = [[cell.replace("|", "\\|").replace("<", "&lt;").replace("\n", " ") for cell in row] for row in table.rows]
    sides = ["right" if i in table.right else "left" for i in range(len(table.columns))]
    return tabulate(rows, table.columns, tablefmt="github", colalign=sides if rows else None, disable_numparse=True)
