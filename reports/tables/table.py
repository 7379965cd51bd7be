"""What a table is, and how it is written: Markdown, HTML (by the template), CSV and LaTeX."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import NamedTuple
from urllib.parse import quote

from tabulate import tabulate

from study.recording.formulas import no_formula


class Link(NamedTuple):
    """Text with a link to a run's row in the page, or to a run in W&B.

    Attributes:
        text: What is shown.
        href: Where it leads.
        runs: The names of all runs that the text rests on; the page's script opens their records.
    """

    text: str
    href: str
    runs: tuple[str, ...] = ()


class Target(NamedTuple):
    """Text that other cells link to by its anchor."""

    text: str
    anchor: str
    href: str = ""


TableCell = str | Link | Target


@dataclass(frozen=True)
class Table:
    """One table of the report.

    Attributes:
        title: Its heading.
        columns: Their names. The page puts what stands before ": " above all columns that share it.
        rows: The cells.
        caption: What a reader must know to read it.
        right: The columns of numbers, by index; they are aligned to the right.
        name: The name of its files, empty for a table that stands in the page only.
    """

    title: str
    columns: tuple[str, ...]
    rows: Sequence[tuple[TableCell, ...]]
    caption: str = ""
    right: frozenset[int] = field(default_factory=frozenset)
    name: str = ""


def numbers(columns: Sequence[str], *words: int) -> frozenset[int]:
    """The columns of numbers: all but the first and those named."""
    return frozenset(range(1, len(columns))) - set(words)


def heads(table: Table) -> list[tuple[str, int]]:
    """The upper row of the page's two rows of heads, each with its number of columns; nothing where none is shared."""
    shared = [column.rpartition(": ")[0] for column in table.columns]
    groups = [(name, len(list(columns))) for name, columns in groupby(shared)]
    return groups if any(shared) else []


def text(cell: TableCell) -> str:
    """A cell without its link."""
    return cell if isinstance(cell, str) else cell.text


def markdown(table: Table) -> str:
    """The table as GitHub's Markdown; no text in a cell can break out of it."""
    rows = [[_markdown_cell(cell) for cell in row] for row in table.rows]
    sides = ["right" if i in table.right else "left" for i in range(len(table.columns))]
    return tabulate(rows, table.columns, tablefmt="github", colalign=sides if rows else None, disable_numparse=True)


# What Markdown reads as more than text: the backslash first, as the others are written with one.
MARKDOWN = (
    ("\\", "\\\\"),
    ("&", "&amp;"),
    ("<", "&lt;"),
    ("|", "\\|"),
    ("[", "\\["),
    ("\r", " "),
    ("\n", " "),
)


def _markdown_cell(cell: TableCell) -> str:
    plain = text(cell)
    for character, escaped in MARKDOWN:
        plain = plain.replace(character, escaped)
    if isinstance(cell, Target):
        linked = _markdown_link(plain, cell.href) if cell.href else plain
        return f'<a id="{cell.anchor}"></a>{linked}'
    return _markdown_link(plain, cell.href) if isinstance(cell, Link) else plain


def _markdown_link(escaped: str, href: str) -> str:
    """A link; a bracket in its text does not end it."""
    address = re.sub(r"[^\w.,:;/?#@!$&*+=%~-]", lambda found: quote(found.group()), href)
    return "[{}]({})".format(escaped.replace("]", "\\]"), address)


def to_csv(table: Table) -> str:
    """The table as CSV, for a spreadsheet."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerows([table.columns, *([no_formula(text(cell)) for cell in row] for row in table.rows)])
    return buffer.getvalue()


def to_tex(table: Table) -> str:
    """The table as a booktabs tabular, for a paper."""
    sides = "".join("r" if i in table.right else "l" for i in range(len(table.columns)))
    lines = [_tex_row(table.columns), r"\midrule", *(_tex_row([text(cell) for cell in row]) for row in table.rows)]
    body = "\n".join(["\\toprule", *lines, "\\bottomrule"])
    return f"% {table.title}. {table.caption}\n\\begin{{tabular}}{{{sides}}}\n{body}\n\\end{{tabular}}\n"


def _tex_row(cells: Sequence[str]) -> str:
    return " & ".join(_tex(cell) for cell in cells) + r" \\"


TEX = {character: f"\\{character}" for character in "&%$#_{}"} | {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "±": r"$\pm$",
    "–": "--",
    "×": r"$\times$",
}


def _tex(plain: str) -> str:
    """Text as TeX shows it, character by character: two hyphens would become a dash."""
    between_hyphens = re.split("(?<=-)(?=-)", plain)
    return "{}".join("".join(TEX.get(character, character) for character in part) for part in between_hyphens)
