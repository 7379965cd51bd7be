"""README's generated block: the leading comparison's figure and numbers, between two marks."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pandas as pd

from reports.figures.fig6 import fig6
from reports.gathering.snapshot import Snapshot
from reports.judging.evidence import CIFAR, IMAGENET, Comparison, Evidence
from reports.page.sections import comparisons
from reports.paper import numbers as paper
from reports.tables import cifar
from reports.tables.table import Table, markdown, text
from study.spec import InputError

BEGIN, END = "<!-- results: written by python -m reports build -->", "<!-- results end -->"


def headline(snapshot: Snapshot, folder: Path, readme: Path) -> None:
    """Put the leading comparison's figure and table between the two marks of a README.

    Args:
        snapshot: The runs.
        folder: Where the report is; the README links to it.
        readme: The file with the marks.

    Raises:
        InputError: the file is not there or has no marks.
    """
    old = readme.read_text() if readme.exists() else ""
    if BEGIN not in old or END not in old:
        raise InputError(f"{readme} has no lines '{BEGIN}' and '{END}' to write between")
    block = "\n\n".join(_paragraphs(snapshot, Path(os.path.relpath(folder, readme.parent))))
    readme.write_text(f"{old.split(BEGIN)[0]}{BEGIN}\n\n{block}\n\n{END}{old.split(END)[1]}")


def leading(snapshot: Snapshot) -> Comparison:
    """The comparison that a README shows: the first with both plain and residual nets, else the first."""
    among = comparisons(snapshot)
    return next((comparison for comparison in among if _has_both_kinds(snapshot, comparison)), among[0])


def _has_both_kinds(snapshot: Snapshot, comparison: Comparison) -> bool:
    return comparison.of(snapshot.results)["shortcut"].eq("none").nunique() == 2


def _paragraphs(snapshot: Snapshot, folder: Path) -> Iterator[str]:
    """Figure, numbers, and what is still missing; the paper's own protocol follows where another comparison leads."""
    comparison, runs = leading(snapshot), CIFAR.of(snapshot.results)
    e = Evidence(snapshot.results, comparison)
    drawing = fig6(snapshot.history, e)
    yield f"![{drawing.alternative}]({folder / 'figures' / drawing.name}.svg)"
    yield f"*{drawing.caption} {_seeds(comparison.of(snapshot.results))}*"
    table = cifar.error_table(e)
    if comparison != CIFAR:
        yield markdown(_unlinked(table))
    if comparison != CIFAR and not runs.empty:
        yield f"*By the paper's own protocol, so far. {_seeds(runs)}*"
    if not runs.empty:
        table = cifar.own_rows(cifar.table6(Evidence(snapshot.results, CIFAR)))
        yield markdown(_unlinked(table))
    yield table.caption.strip()
    yield _missing(snapshot, folder)


def _missing(snapshot: Snapshot, folder: Path) -> str:
    """How much of the paper has no run yet."""
    trained = {
        (comparison.dataset, *net)
        for comparison in (CIFAR, IMAGENET)
        for net in cifar.trained(Evidence(snapshot.results, comparison))
    }
    nets = {net for exhibit in paper.EXHIBITS.values() for net in exhibit}
    empty = [name for name, exhibit in paper.EXHIBITS.items() if not trained & set(exhibit)]
    without = f" ({', '.join(empty)})" if empty else ""
    return (
        f"Of the paper's {len(paper.EXHIBITS)} exhibits of trained networks, {len(empty)} have no run yet{without}, "
        f"and of its {len(nets)} networks {len(nets - trained)}; the [report]({folder / 'REPORT.md'}) lists them, each "
        "with the command that trains it."
    )


def _seeds(runs: pd.DataFrame) -> str:
    """Number of runs, seeds per network, and devices."""
    if runs.empty:
        return "No runs yet."
    seeds = runs.groupby(["depth", "shortcut"])["seed"].nunique()
    each = " to ".join(map(str, sorted({seeds.min(), seeds.max()})))
    devices = ", ".join(sorted(set(runs["device"])))
    return f"{len(runs)} run{'s' * (len(runs) > 1)}, seeds per network: {each}; on {devices}."


def _unlinked(table: Table) -> Table:
    """The table without links, which lead to places in the report."""
    return replace(table, rows=[tuple(text(cell) for cell in row) for row in table.rows])
