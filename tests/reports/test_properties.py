"""What holds for any text in a table, any numbers in a snapshot and any findings of a claim."""

from __future__ import annotations

import csv
import io
import re
from dataclasses import fields
from html.parser import HTMLParser
from pathlib import Path
from tempfile import TemporaryDirectory

import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st

from reports.gathering import snapshot, tables
from reports.judging.claim import Finding
from reports.judging.claims import give_verdict
from reports.judging.forms import all_of
from reports.judging.plan import plan
from reports.page import render
from reports.tables.table import TEX, Link, Table, TableCell, markdown, text, to_csv, to_tex
from study.recording.formulas import no_formula
from study.spec import Spec
from tests.strategies import TEXTS, specs

ONE_LINE = TEXTS.map(lambda plain: " ".join(plain.split())).filter(str.isprintable)
CELLS = ONE_LINE | st.builds(Link, ONE_LINE, st.just("#run"))
TABLES = st.lists(st.tuples(CELLS, CELLS), min_size=1, max_size=3).map(lambda rows: Table("T", ("a", "b"), rows))


def shown(table: Table) -> list[list[str]]:
    return [[text(cell) for cell in row] for row in table.rows]


@given(TABLES)
def test_any_text_stays_in_its_markdown_cell(table: Table) -> None:
    """A bar without a backslash ends a cell; two backslashes are one, and the bar after them ends the cell."""
    lines = markdown(table).split("\n")
    assert len(lines) == 2 + len(table.rows)
    for line, row in zip(lines[2:], table.rows, strict=True):
        cells = re.findall(r"\|((?:\\.|[^|\\])*)(?=\|)", line)
        assert [from_markdown(cell.strip(), like) for cell, like in zip(cells, row, strict=True)] == [*map(text, row)]


def from_markdown(source: str, like: TableCell) -> str:
    """The text that a reader of Markdown sees."""
    if isinstance(like, Link):
        source = re.sub(r"^\[(.*)\]\(#run\)$", r"\1", source)
    plain = re.sub(r"\\([!-/:-@\[-`{-~])", r"\1", source)
    return plain.replace("&lt;", "<").replace("&amp;", "&")


@given(TABLES)
def test_any_text_is_read_back_from_csv(table: Table) -> None:
    assert list(csv.reader(io.StringIO(to_csv(table), newline="")))[1:] == [
        [no_formula(cell) for cell in row] for row in shown(table)
    ]


@given(TABLES)
def test_any_text_is_read_back_from_tex(table: Table) -> None:
    """Each character that TeX gives a meaning to is written as a command."""
    back = {written: character for character, written in TEX.items()} | {"-{}": "-"}
    token = re.compile("|".join([*(re.escape(written) for written in sorted(back, key=len, reverse=True)), "."]))
    body = to_tex(table).split("\\midrule\n")[1].split("\n\\bottomrule")[0]
    for line, row in zip(body.split("\n"), shown(table), strict=True):
        cells = line.removesuffix(" \\\\").split(" & ")
        assert ["".join(back.get(word, word) for word in token.findall(cell)) for cell in cells] == row


class Page(HTMLParser):
    """Collects the text of a table's cells."""

    def __init__(self) -> None:
        super().__init__()
        self.cells: list[str] = []
        self.is_inside = False

    def handle_starttag(self, tag: str, attrs: object) -> None:
        assert tag != "script", "text became a program"
        if tag in ("th", "td"):
            self.is_inside = True
            self.cells.append("")

    def handle_endtag(self, tag: str) -> None:
        self.is_inside = self.is_inside and tag not in ("th", "td")

    def handle_data(self, data: str) -> None:
        if self.is_inside:
            self.cells[-1] += data


@given(TABLES)
def test_any_text_is_shown_as_it_is_in_html(table: Table) -> None:
    page = Page()
    page.feed(
        str(
            render.environment(is_html=True).get_template("parts.html.j2").make_module({"places": str}).table(table, "")
        )
    )  # type: ignore[attr-defined]
    assert page.cells[len(table.columns) :] == [cell for row in shown(table) for cell in row]


MEASURES = st.floats(allow_nan=False, allow_infinity=False)
READ_BACK = ("run", "depth", "shortcut", "recipe", "seed", "counts", "reason", "test/top1_error")


@settings(max_examples=15)  # each writes and reads twelve files
@given(st.lists(st.tuples(specs(), TEXTS, MEASURES, st.booleans()), unique_by=lambda row: row[0].name, max_size=4))
def test_a_snapshot_is_read_as_it_was_written(rows: list[tuple[Spec, str, float, bool]]) -> None:
    """Numbers to their last bit, and texts to their last character, but for line ends, of which there is one kind."""
    runs = [
        {"run": spec.name, **spec.factors, "counts": counts, "reason": reason, "test/top1_error": error}
        for spec, reason, error, counts in rows
    ]
    history = [{"run": run["run"], "step": 1, "train/loss": run["test/top1_error"]} for run in runs]
    before = snapshot.Snapshot(
        pd.DataFrame(runs, columns=tables.RUN_COLUMNS),
        pd.DataFrame(history, columns=tables.HISTORY_COLUMNS),
        pd.DataFrame(columns=tables.RESPONSE_COLUMNS),
    )
    with TemporaryDirectory() as folder:
        snapshot.write(before, Path(folder))
        first = {path.name: path.read_bytes() for path in Path(folder).iterdir()}
        after = snapshot.read(Path(folder))
        snapshot.write(after, Path(folder))
        assert {path.name: path.read_bytes() for path in Path(folder).iterdir()} == first
    for column in READ_BACK:
        written = before.runs[column].replace({"\r\n?": "\n"}, regex=True)
        assert after.runs[column].tolist() == written.tolist(), column
    assert after.history["train/loss"].tolist() == before.history["train/loss"].tolist()


DIRECTIONS = st.sampled_from(["agrees", "disagrees", "unclear"])
# Results that are rare both if a claim is true and if it is false do not exist: the two chances add up to 1 or more.
CHANCE = st.sampled_from([0.0, 0.01, 0.04, 0.06, 0.5]) | st.floats(0, 1)  # on both sides of the level of 0.05
CHANCES = st.tuples(CHANCE, CHANCE).map(lambda ps: (ps[0], max(ps[1], 1 - ps[0])))
TESTED = st.builds(lambda direction, ps: Finding("", direction, p_for=ps[0], p_against=ps[1]), DIRECTIONS, CHANCES)
UNTESTED = st.builds(lambda direction: Finding("", direction), DIRECTIONS)  # one seed on each side
COUNTED = st.builds(lambda holds: Finding("", "agrees" if holds else "disagrees", counted=holds), st.booleans())
MISSING = st.just(Finding("", missing=("plain-20",)))


def verdict(finding: Finding) -> str:
    return give_verdict(finding, plan().claims["C21"], False).verdict


SEVERAL = st.lists(TESTED, min_size=2, max_size=4) | st.lists(TESTED | UNTESTED | COUNTED | MISSING, min_size=1)


@given(SEVERAL)
def test_several_statements_together_are_never_more_certain_than_the_least_certain(findings: list[Finding]) -> None:
    together, verdicts = verdict(all_of(*findings)), {verdict(finding) for finding in findings}
    assert "missing" not in verdicts or together == "missing"
    assert together != "supported" or verdicts == {"supported"}
    assert together != "contradicted" or "contradicted" in verdicts
    assert all_of(*findings).direction != "agrees" or {f.direction for f in findings} == {"agrees"}


@given(TESTED | UNTESTED | COUNTED)
def test_one_statement_alone_is_itself(finding: Finding) -> None:
    alone = all_of(finding)
    for field in fields(Finding):
        one, other = getattr(alone, field.name), getattr(finding, field.name)
        assert one == other or (one != one and other != other), field.name
