"""What a table is, and how it is written: Markdown, HTML (by the template), CSV and LaTeX."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import pandas as pd
from tabulate import tabulate

from reports.judging.stats import mean_std

NONE = "–"


class Link(NamedTuple):
    """Text that leads somewhere: to a run's row in the page, or to a run in W&B."""

    text: str
    href: str


class Target(NamedTuple):
    """Text that links lead to."""

    text: str
    anchor: str
    href: str = ""


TableCell = str | Link | Target


@dataclass(frozen=True)
class Table:
    """Headings, rows, a title and what must be known to read it; `name` is its file's, where it has one."""

    title: str
    columns: tuple[str, ...]
    rows: Sequence[tuple[TableCell, ...]]
    caption: str = ""
    right: frozenset[int] = field(default_factory=frozenset)  # columns of numbers
    name: str = ""


def text(cell: TableCell) -> str:
    """A cell without its link."""
    return cell if isinstance(cell, str) else cell.text


def markdown(table: Table) -> str:
    """For a code host; what a name holds cannot break out of its cell."""
    rows = [[_markdown_cell(cell) for cell in row] for row in table.rows]
    sides = ["right" if i in table.right else "left" for i in range(len(table.columns))]
    return tabulate(rows, table.columns, tablefmt="github", colalign=sides if rows else None, disable_numparse=True)


def _markdown_cell(cell: TableCell) -> str:
    plain = text(cell)
    for character, escaped in (("&", "&amp;"), ("<", "&lt;"), ("|", "\\|"), ("[", "\\["), ("\n", " ")):
        plain = plain.replace(character, escaped)
    if isinstance(cell, Target):
        linked = f"[{plain}]({cell.href})" if cell.href else plain
        return f'<a id="{cell.anchor}"></a>{linked}'
    return f"[{plain}]({cell.href})" if isinstance(cell, Link) else plain


def to_csv(table: Table) -> str:
    """For a spreadsheet."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerows([table.columns, *([text(cell) for cell in row] for row in table.rows)])
    return buffer.getvalue()


def to_tex(table: Table) -> str:
    """For a paper: a booktabs tabular."""
    sides = "".join("r" if i in table.right else "l" for i in range(len(table.columns)))
    lines = [_tex_row(table.columns), r"\midrule", *(_tex_row([text(cell) for cell in row]) for row in table.rows)]
    body = "\n".join(["\\toprule", *lines, "\\bottomrule"])
    return f"% {table.title}. {table.caption}\n\\begin{{tabular}}{{{sides}}}\n{body}\n\\end{{tabular}}\n"


def _tex_row(cells: Sequence[str]) -> str:
    return " & ".join(_tex(cell) for cell in cells) + r" \\"


TEX = {
    **{c: f"\\{c}" for c in "&%$#_{}"},
    **{"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"},
    **{"±": r"$\pm$", "–": "--", "×": r"$\times$"},
}


def _tex(plain: str) -> str:
    return "".join(TEX.get(character, character) for character in plain)


def spread(values: pd.Series[float]) -> str:
    """``8.71 ± 0.12 (n = 5)``, ``8.71 (n = 1)`` or a dash."""
    values = values.dropna()
    if values.empty:
        return NONE
    mean, std = mean_std(list(values))
    return f"{mean:.2f} (n = 1)" if len(values) == 1 else f"{mean:.2f} ± {std:.2f} (n = {len(values)})"


def duration(hours: float) -> str:
    """``21 s``, ``12.3 min`` or ``4.5 h``."""
    if hours < 1 / 60:
        return f"{3600 * hours:.0f} s"
    return f"{60 * hours:.1f} min" if hours < 1 else f"{hours:.1f} h"


def anchor(run: str) -> str:
    """A run's place in the page; names from elsewhere cannot break out of the attribute."""
    return "run-" + "".join(c if c.isalnum() or c in "-_" else "-" for c in run)


def linked(shown: str, runs: pd.DataFrame) -> TableCell:
    """A number that leads to the runs it rests on."""
    return shown if runs.empty or shown == NONE else Link(shown, f"#{anchor(str(runs['run'].iloc[0]))}")
