"""The page docs/exhibits.md: which function makes each exhibit and judges each claim, and which sweep feeds it.

python -m reports.page.exhibits > docs/exhibits.md
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

from reports.figures import learned
from reports.figures import probes as probe_figures
from reports.figures.deepened import deepened
from reports.figures.depth import final_errors
from reports.figures.fig1 import fig1
from reports.figures.fig4 import fig4
from reports.figures.fig6 import fig6
from reports.figures.fig7 import fig7
from reports.judging.claim import Claim
from reports.judging.claims import CLAIMS, UNDECIDED
from reports.tables import cifar, imagenet, probes, public, sources
from reports.tables.cost import cost_table, protocol_table
from reports.tables.coverage import coverage
from reports.tables.curves import distance_table

COMMAND = "python -m reports.page.exhibits > docs/exhibits.md"
INTRODUCTION = f"""# Exhibits and claims

Which function under `reports/` makes each exhibit or judges each claim, and which sweep feeds it.
Written from the code by `{COMMAND}`; a test fails where the page is out of date.
"""
LEARNED = (learned.lesions, learned.alignment, learned.embeddings, learned.landscape, learned.filters)
CIFAR_SWEEPS = ("cifar_plain", "cifar_residual", "cifar_110", "cifar_1202")
MINIATURES = ("digits", "cifar_eighth", "cifar_mini", "cifar_mini_seeds")


class Exhibit(NamedTuple):
    """A table or figure of the report.

    Attributes:
        name: The paper's name of it, or ours.
        made_by: The functions that make it.
        sweeps: The files in `sweeps/` whose runs it shows.
        note: What else it is made from.
    """

    name: str
    made_by: tuple[Callable[..., Any], ...]
    sweeps: tuple[str, ...] = ()
    note: str = ""


EXHIBITS = (
    Exhibit("Table 1", (imagenet.table1,), note="counted by `study/commands/complexity.py`"),
    Exhibit("Table 2", (imagenet.table2,), ("imagenet_plain_vs_residual",), "10-crop"),
    Exhibit(
        "Table 3",
        (imagenet.table3,),
        ("imagenet_plain_vs_residual", "imagenet_shortcuts", "imagenet_deep"),
        "10-crop",
    ),
    Exhibit("Table 4", (imagenet.table4,), ("imagenet_shortcuts", "imagenet_deep"), "fully convolutional"),
    Exhibit("Table 5", (imagenet.table5,), note="ensembles by `study test --protocol=ensemble`, on the validation set"),
    Exhibit("Table 6", (cifar.table6, cifar.methods_table), CIFAR_SWEEPS),
    Exhibit("Table 6 in miniature", (cifar.error_table,), MINIATURES),
    Exhibit("Tables 7 to 14", (sources.not_attempted_table,), note="not attempted"),
    Exhibit("final error against depth", (final_errors,), CIFAR_SWEEPS + MINIATURES),
    Exhibit("Fig. 1", (fig1,), ("cifar_plain",)),
    Exhibit("Fig. 4", (fig4,), ("imagenet_plain_vs_residual",)),
    Exhibit("Fig. 6", (fig6,), CIFAR_SWEEPS + MINIATURES),
    Exhibit("distance from Fig. 6", (distance_table,), CIFAR_SWEEPS, "the paper's recipe"),
    Exhibit("Fig. 7", (fig7,), note="layer responses of every finished run"),
    Exhibit("left open: gradients", (probes.gradient_table, probe_figures.gradients), note="`study probe RUN_FOLDER`"),
    Exhibit("left open: blocks", (probe_figures.blocks,), note="`study probe RUN_FOLDER`"),
    Exhibit("left open: a deeper copy", (probes.deeper_table,), note="`study probe RUN_FOLDER`"),
    Exhibit("left open: lesions, alignment, embeddings, loss, filters", LEARNED, note="`study probe RUN_FOLDER...`"),
    Exhibit("left open: which images", (probes.mistakes_table,), note="`study probe RUN_FOLDER...`"),
    Exhibit("left open: gradients along the training", (learned.gradients_along,), note="`study train ... --signals`"),
    Exhibit("left open: a copy that is trained on", (deepened,), note="`study deepen RUN_FOLDER --depth=56`"),
    Exhibit("coverage", (coverage,), CIFAR_SWEEPS + MINIATURES, "the plan's seeds"),
    Exhibit("cost", (protocol_table, cost_table), note="every finished run"),
    Exhibit("public networks", (public.public_table, public.effect_table), note="`reports gather --public=DIR`"),
    Exhibit("others' results", (sources.peer_table,), note="`reports/paper/peers.csv`"),
)


def page() -> str:
    """The whole page."""
    exhibits = _table(("exhibit", "function", "fed by"), [_exhibit_row(exhibit) for exhibit in EXHIBITS])
    claims = _table(("claim", "statement", "function", "fed by"), sorted(_claim_rows()))
    return "\n".join([INTRODUCTION, "## Exhibits", "", *exhibits, "", "## Claims", "", *claims]) + "\n"


def _exhibit_row(exhibit: Exhibit) -> tuple[str, ...]:
    functions = ", ".join(_name(function) for function in exhibit.made_by)
    return exhibit.name, functions, "; ".join(filter(None, (_files(exhibit.sweeps), exhibit.note)))


def _claim_rows() -> Iterator[tuple[str, ...]]:
    for claim in CLAIMS:
        yield claim.id, f"{claim.planned.says} ({claim.planned.where})", _name(claim.function), _fed_by(claim)
    for id, statement, why in UNDECIDED:
        yield id, statement, "", f"not judged: {why}"


def _fed_by(claim: Claim) -> str:
    return _files(claim.planned.sweeps) if claim.planned.sweeps else "counted on the networks"


def _files(sweeps: Sequence[str]) -> str:
    return ", ".join(f"`sweeps/{sweep}.yaml`" for sweep in sweeps)


def _name(function: Callable[..., Any]) -> str:
    """Where a function is found: `tables.cifar.table6`."""
    return f"`{function.__module__.removeprefix('reports.')}.{function.__name__}`"


def _table(columns: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> list[str]:
    """A Markdown table, a line for each row."""
    lines = [columns, ("---",) * len(columns), *rows]
    return [f"| {' | '.join(cells)} |" for cells in lines]


if __name__ == "__main__":
    sys.stdout.write(page())
