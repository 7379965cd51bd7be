"""README's generated block: the answers, the first figure and Table 6, between two marks."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pandas as pd

from reports.judging.comparison import CIFAR, IMAGENET
from reports.judging.evidence import Evidence
from reports.page.model import Report
from reports.paper import numbers as paper
from reports.tables import cifar
from reports.tables.table import Table, markdown, text
from study.spec import InputError

BEGIN, END = "<!-- results: written by python -m reports build -->", "<!-- results end -->"


def headline(whole: Report, folder: Path, readme: Path) -> None:
    """Put the answers, the first figure and Table 6 between the two marks of a README.

    Args:
        whole: The report.
        folder: Where the report is; the README links to it.
        readme: The file with the marks.

    Raises:
        InputError: the file is not there or has no marks.
    """
    old = readme.read_text() if readme.exists() else ""
    if BEGIN not in old or END not in old:
        raise InputError(f"{readme} has no lines '{BEGIN}' and '{END}' to write between")
    block = "\n\n".join(_paragraphs(whole, Path(os.path.relpath(folder, readme.parent))))
    readme.write_text(f"{old.split(BEGIN)[0]}{BEGIN}\n\n{block}\n\n{END}{old.split(END)[1]}")


def _paragraphs(whole: Report, folder: Path) -> Iterator[str]:
    """The answers, the first figure, the networks of the paper's own protocol, and what is still missing."""
    yield "\n".join(f"- {answer.text}" for answer in whole.answers)
    yield f"![{whole.hero.alternative}]({folder / 'figures' / whole.hero.name}.svg)"
    yield f"*{whole.hero.caption}* {whole.facts}"
    results = whole.snapshot.results
    if len(CIFAR.of(results)):
        table = cifar.own_rows(cifar.table6(Evidence(results, CIFAR)))
        yield "*Table 6, as far as it has runs by the paper's own recipe.*"
        yield markdown(_unlinked(table))
    yield _missing(results, folder)


def _missing(results: pd.DataFrame, folder: Path) -> str:
    """How much of the paper has no run yet."""
    trained = {
        (comparison.dataset, *net)
        for comparison in (CIFAR, IMAGENET)
        for net in cifar.trained(Evidence(results, comparison))
    }
    nets = {net for exhibit in paper.EXHIBITS.values() for net in exhibit}
    empty = [name for name, exhibit in paper.EXHIBITS.items() if not trained & set(exhibit)]
    without = f" ({', '.join(empty)})" if empty else ""
    return (
        f"Of the paper's {len(paper.EXHIBITS)} exhibits of trained networks, {len(empty)} have no run yet{without}, "
        f"and of its {len(nets)} networks {len(nets - trained)}; the [report]({folder / 'report.html'}) has the "
        "command that trains each."
    )


def _unlinked(table: Table) -> Table:
    """The table without links, which lead to places in the report."""
    return replace(table, rows=[tuple(text(cell) for cell in row) for row in table.rows])
