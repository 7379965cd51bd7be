"""The floors of the house: a folder imports only what stands below it.

    python -m tests.architecture             print the picture of the floors
    python -m tests.architecture --write     write it into CONTRIBUTING.md

`test_imports` enforces the table, and `test_docs` that the picture is of today.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

from tests.support import ROOT

FLOORS = {  # from the roof to the ground
    "study.commands": "the command line: flags, one file per verb",
    "study.bench": "how fast it is, beside other ways to train",
    "study.training": "one run from start to end",
    "study.protocols": "how a trained network is tested",
    "study.probes": "what a trained network computes",
    "study.sweeps": "grid files, run here or by W&B's agents",
    "study.weights": "checkpoints, digests, other formats",
    "study.data": "data sets, batch order, batches",
    "study.recording": "run records, provenance, W&B",
    "study.machine": "options and devices",
    "study.departures": "where the study departs from the paper",
    "study.recipes": "how the paper trained each network",
    "study.network": "every network; imports torch only",
    "study.spec": "the five factors that name a run",
}
REPORT_FLOORS = {
    "reports.publish": "the report in W&B",
    "reports.page": "Markdown, HTML, README",
    "reports.figures": "the paper's figures, ours above",
    "reports.tables": "the paper's tables, ours beside",
    "reports.judging": "statistics and claims",
    "reports.gathering": "records and W&B to one snapshot",
    "reports.paper": "the paper's numbers and curves",
}
# What reports, which imports no torch, takes from study.
SHARED = {"study.commands.flags", "study.departures", "study.recording", "study.recipes", "study.spec"}


def files() -> list[Path]:
    """Every file of the product."""
    return [path for folder in ("study", "reports") for path in sorted((ROOT / folder).rglob("*.py"))]


def module(path: Path) -> str:
    """``study/data/images.py`` -> ``study.data.images``."""
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


MODULES = {module(path) for path in files()}


def imports(path: Path) -> set[str]:
    """The modules of ours that a file imports, wherever in it; ``from study import x`` is study.x where that is one."""
    return {name for name in _imported(ast.parse(path.read_text())) if name.split(".")[0] in ("study", "reports")}


def _imported(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            inner = [f"{node.module}.{alias.name}" for alias in node.names]
            yield from (name if name in MODULES else node.module for name in inner)


def floor(name: str) -> str:
    """The floor on which a module stands: ``study.data``; "" for the packages themselves and ``__main__``."""
    folder = ".".join(name.split(".")[:2])
    return folder if folder in FLOORS | REPORT_FLOORS else ""


CONTRIBUTING = ROOT / "CONTRIBUTING.md"
BEGIN, END = "<!-- floors: written by python -m tests.architecture --write -->", "<!-- floors end -->"


def picture() -> str:
    """The floors as text, `reports` above `study`, each from the roof to the ground."""
    lines = ["reports: judges, imports no torch", *_lines(REPORT_FLOORS), ""]
    lines += ["study: trains", *_lines(FLOORS)]
    return "\n".join(["```text", *lines, "```"])


def _lines(floors: dict[str, str]) -> list[str]:
    return [f"  {name.split('.')[1]:11} {what}" for name, what in floors.items()]


def with_picture(text: str) -> str:
    """A page with the picture between its two marks."""
    before, _, rest = text.partition(BEGIN)
    return f"{before}{BEGIN}\n\n{picture()}\n\n{END}{rest.partition(END)[2]}"


if __name__ == "__main__":
    if sys.argv[1:] == ["--write"]:
        CONTRIBUTING.write_text(with_picture(CONTRIBUTING.read_text()))
    else:
        print(picture())
