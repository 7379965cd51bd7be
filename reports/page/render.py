"""The files of the report: one HTML page that needs nothing else, Markdown, claims, tables and figures."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import asdict
from importlib import resources
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from reports.figures.style import palette_css
from reports.figures.svg import SVG_CSS
from reports.judging.claim import Claim, Finding
from reports.judging.comparison import CIFAR, IMAGENET, Comparison
from reports.judging.peers import public_reruns
from reports.page.curves import curves
from reports.page.model import Report
from reports.page.scoreboard import counts, scoreboard_table
from reports.tables.claims import agreement
from reports.tables.table import heads, markdown, to_csv, to_tex

TITLE = "Deep residual learning, reproduced"
INTRODUCTION = (
    "A reproduction of Deep Residual Learning for Image Recognition (He, Zhang, Ren, Sun; arXiv 1512.03385). Does "
    "depth make plain networks harder to train, and do residual networks not suffer from it? Errors are in percent."
)
KEYS = {"counted": "settled"}  # what claims.json has called a field since before it was renamed
FIGURE_KINDS = ("svg", "png", "pdf")
DRAWN = re.compile(r'<div class="panels[^>]*>.*?</div>', re.DOTALL)


def build(whole: Report, folder: Path, is_drawn: bool = True) -> list[Path]:
    """Write the report into `folder`, with or without drawn figures, which take most of the time; returns the files.

    The same snapshot gives the same bytes.
    """
    files = every_file(whole) if is_drawn else texts(whole)
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    return [folder / name for name in files]


def check(whole: Report, folder: Path) -> list[str]:
    """The text files in `folder` that differ from the report; nothing is drawn.

    Drawn figures depend on the machine's fonts, so they are not compared, neither as files nor within report.html.
    """
    files = texts(whole)
    return [name for name, text in files.items() if _undrawn(folder / name) != DRAWN.sub("", text)]


def _undrawn(path: Path) -> str | None:
    """A file without the figures drawn in it; None where there is no file."""
    return DRAWN.sub("", path.read_text()) if path.exists() else None


def every_file(whole: Report) -> dict[str, str | bytes]:
    """Every file of the report, by name."""
    figures = ((drawing, kind) for drawing in whole.drawings for kind in FIGURE_KINDS)
    return {
        **texts(whole, is_drawn=True),
        **{f"figures/{drawing.name}.{kind}": getattr(drawing, kind) for drawing, kind in figures},
    }


def texts(whole: Report, is_drawn: bool = False) -> dict[str, str]:
    """The files of text, by name; without drawn figures they are the same on every machine."""
    return {
        "claims.json": json.dumps(claims(whole), indent=2) + "\n",
        "REPORT.md": markdown_page(whole),
        "report.html": page(whole, is_drawn),
        **{f"tables/{table.name}.csv": to_csv(table) for table in whole.tables},
        **{f"tables/{table.name}.tex": to_tex(table) for table in whole.tables},
    }


def claims(whole: Report) -> list[dict[str, Any]]:
    """The entries of claims.json: every claim of every comparison, each with its comparison's answer."""
    answers = {answer.comparison: answer.text for answer in whole.answers}
    return [
        _record(comparison, claim, finding, whole.tested.get(claim.id)) | {"answer": answers.get(comparison)}
        for comparison, findings in whole.judged.items()
        for claim, finding in findings
    ]


def _record(comparison: Comparison, claim: Claim, finding: Finding, public: Finding | None) -> dict[str, Any]:
    """One entry: the claim, what the plan says of it, and what was found; what is undefined is null."""
    planned, is_papers = claim.planned, comparison == claim.comparison
    about: dict[str, Any] = {
        "id": claim.id,
        "where": planned.where,
        "statement": planned.says,
        "group": comparison.name,
    }
    about |= {"estimand": planned.estimand, "test": planned.test, "margins": planned.margins, "alpha": planned.alpha}
    about |= {"planned_seeds": planned.seeds, "rank": planned.rank}
    networks = _judged(public) if public and is_papers else None
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


def page(whole: Report, is_drawn: bool = True) -> str:
    """report.html: one file with its style, script and data.

    Args:
        whole: What the page says.
        is_drawn: Whether figures are drawn; else their places are empty.
    """
    parts = resources.files("reports.page") / "templates"
    at = {run: i for i, run in enumerate(whole.snapshot.results["run"])}
    return _fill(
        "report.html.j2",
        whole,
        curves=curves(whole.snapshot, [each for each in whole.judged if each.family == "cifar"]),
        style=_unindented("\n".join([(parts / "page.css").read_text(), palette_css(), SVG_CSS])),
        script=_unindented((parts / "page.js").read_text()),
        places=lambda runs: " ".join(str(at.get(run, -1)) for run in runs),
        inline=lambda drawing: Markup(drawing.inline if is_drawn else '<div class="panels"></div>\n'),
    )


def markdown_page(whole: Report) -> str:
    """REPORT.md: the answers, the scoreboard, Table 6, and where the rest is."""
    links = ", ".join(f"[{table.name}](tables/{table.name}.csv)" for table in whole.tables)  # titles may recur
    return _fill("REPORT.md.j2", whole, scoreboard=scoreboard_table(whole.tiles), links=links)


def _code(text: str) -> Markup:
    """Text of a page, with what stands between backticks as code."""
    return Markup(re.sub(r"`([^`]+)`", r"<code>\1</code>", str(escape(text))))


def _fill(template: str, whole: Report, **more: Any) -> str:
    values: Mapping[str, Any] = {"title": TITLE, "introduction": INTRODUCTION, "report": whole, "tally": _tally(whole)}
    return environment(template.endswith(".html.j2")).get_template(template).render(**values, **more)


def _unindented(source: str) -> str:
    """A style or script without spaces at the start of its lines."""
    return re.sub(r"^\s+", "", source.strip(), flags=re.MULTILINE)


def _tally(whole: Report) -> str:
    """How many claims have which verdict, and how often public re-runs say the same."""
    papers = [found for each in (CIFAR, IMAGENET) for found in whole.judged[each]]
    return f"{counts(whole.tiles)}. Ours and public re-runs: {agreement(papers)}"


def environment(is_html: bool) -> Environment:
    """The templates and their filters; in HTML all text is escaped."""
    found = Environment(
        loader=PackageLoader("reports.page"),
        autoescape=is_html,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    found.filters |= {"markdown": markdown, "heads": heads, "code": _code}
    return found
