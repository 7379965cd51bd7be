"""The files of the report: Markdown, one HTML page that needs nothing else, claims, tables and figures."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from reports.figures.style import palette_css
from reports.gathering.snapshot import Snapshot
from reports.judging.claim import Claim, Finding
from reports.judging.evidence import Comparison
from reports.judging.peers import public_reruns
from reports.page.sections import Section, sections
from reports.tables.table import markdown, to_csv, to_tex

TITLE = "Deep residual learning, reproduced"
KEYS = {"counted": "settled"}  # what claims.json has called a field since before it was renamed


def build(snapshot: Snapshot, folder: Path, is_drawn: bool = True) -> list[Path]:
    """Write the report of a snapshot into `folder`, with or without its drawn figures; returns the files.

    The same snapshot gives the same bytes.
    """
    files = report(snapshot, is_drawn)
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    return [folder / name for name in files]


def check(snapshot: Snapshot, folder: Path) -> list[str]:
    """The text files in `folder` that differ from what the snapshot gives; nothing is drawn.

    Figures depend on the machine's fonts, so neither they nor report.html, which holds them, are compared.
    """
    files = texts(sections(snapshot), is_synthetic(snapshot))
    return [name for name, text in files.items() if not (folder / name).exists() or (folder / name).read_text() != text]


def report(snapshot: Snapshot, is_drawn: bool = True) -> dict[str, str | bytes]:
    """Every file of the report, by name; with or without its drawn figures, which take most of the time."""
    parts, synthetic = sections(snapshot), is_synthetic(snapshot)
    parts = parts if is_drawn else [replace(part, drawings=[]) for part in parts]
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
    return {
        "claims.json": json.dumps(claims(parts), indent=2) + "\n",
        "REPORT.md": page("REPORT.md.j2", parts, synthetic),
        **{f"tables/{table.name}.csv": to_csv(table) for table in tables},
        **{f"tables/{table.name}.tex": to_tex(table) for table in tables},
    }


def is_synthetic(snapshot: Snapshot) -> bool:
    """Whether any run was made up to test the report."""
    return bool((snapshot.runs["source"] == "synthetic").any())


def claims(parts: list[Section]) -> list[dict[str, Any]]:
    """The entries of claims.json: every claim of every comparison."""
    return [
        _record(part.comparison, claim, finding, part.public.get(claim.id))
        for part in parts
        if part.comparison
        for claim, finding in part.findings
    ]


def _record(comparison: Comparison, claim: Claim, finding: Finding, public: Finding | None) -> dict[str, Any]:
    """One entry: the claim, what the plan says of it, and what was found; what is undefined is null."""
    planned = claim.planned
    about: dict[str, Any] = {
        "id": claim.id,
        "where": planned.where,
        "statement": planned.says,
        "group": comparison.name,
    }
    about |= {"estimand": planned.estimand, "test": planned.test, "margins": planned.margins, "alpha": planned.alpha}
    about |= {"planned_seeds": planned.seeds, "rank": planned.rank}
    networks = _judged(public) if public else None
    return about | _judged(finding) | {"public_reruns": _public(comparison, claim), "public_networks": networks}


def _judged(finding: Finding) -> dict[str, Any]:
    """A finding as JSON has it."""
    return {KEYS.get(name, name): _plain(value) for name, value in asdict(finding).items()}


def _public(comparison: Comparison, claim: Claim) -> dict[str, Any] | None:
    """What public re-runs say of a claim, on the paper's own protocol only."""
    found = public_reruns(claim.id) if comparison == claim.comparison else None
    plain: dict[str, Any] | None = _plain(asdict(found)) if found else None
    return plain


def _plain(value: Any) -> Any:
    """A value as JSON has it: null for a number that is undefined."""
    if isinstance(value, dict):
        return {key: _plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    return None if isinstance(value, float) and math.isnan(value) else value


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
    values: Mapping[str, Any] = {"title": TITLE, "sections": parts, "synthetic": synthetic, "palette_css": palette_css}
    return environment.get_template(template).render(values)
