"""``study runs``: list the records of a runs folder."""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

from study.commands.flags import Verbs
from study.machine.options import OPTIONS
from study.recording.evaluation import Evaluation
from study.recording.folders import run_folders
from study.recording.record import Record, State, sessions
from study.spec import DATASETS, InputError, check_choice

HEADINGS = ("run", "state", "step", "train %", "test %", "hours", "when", "W&B")
NUMBERS = HEADINGS[2:6]
WIDTH = 140  # columns where there is no terminal; the longest name has 40, an address in W&B 50
UNREADABLE = "unreadable"
CHOICES: dict[str, tuple[str, ...]] = {
    "dataset": DATASETS,
    "recipe": (),
    "state": (*get_args(State), UNREADABLE),
}


@dataclass(frozen=True)
class Line:
    """A run in the list: what it can be chosen by, and what is shown in the columns after its name and state."""

    name: str
    chosen_by: Mapping[str, str]
    columns: tuple[str, ...]


def add_parser(verbs: Verbs) -> None:
    """Add the verb: a runs folder, and which of its runs are listed."""
    parser = verbs.add_parser("runs", help="list the records of a runs folder")
    preset = os.environ.get(OPTIONS["runs"].variable or "", "runs")
    parser.add_argument("runs", nargs="?", type=Path, default=preset, help="the folder (default: %(default)s)")
    for name, choices in CHOICES.items():
        parser.add_argument(f"--{name}", help=f"only runs of this {name}: {' | '.join(choices) or 'paper, mini, ...'}")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Print a line for each run that is wanted."""
    wanted = {name: getattr(options, name) for name in CHOICES if getattr(options, name) is not None}
    for name, value in wanted.items():
        check_choice(name, value, CHOICES[name] or (value,))
    if not options.runs.is_dir():
        raise InputError(f"runs folder {options.runs} does not exist; train something first, or name another folder")
    lines = [read_line(folder) for folder in run_folders(options.runs)]
    show([line for line in lines if wanted.items() <= line.chosen_by.items()], options.runs)
    return 0


def show(lines: list[Line], runs: Path) -> None:
    """Print the lines as a table, with the number of runs in each state below it."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    from study.sweeps.display import console, count, plain

    states = count(line.chosen_by["state"] for line in lines)
    table = Table(title=f"{len(lines)} runs in {runs}", caption=states or None, box=SIMPLE_HEAD)
    for heading in HEADINGS[: None if any(line.columns[-1] for line in lines) else -1]:
        right = heading in NUMBERS
        table.add_column(heading, justify="right" if right else "left", no_wrap=heading != "W&B", overflow="fold")
    for line in lines:
        cells = (line.name, line.chosen_by["state"], *line.columns)
        table.add_row(*map(plain, cells[: len(table.columns)]))
    console(WIDTH).print(table)


def read_line(folder: Path) -> Line:
    """The line of a run; of a folder that cannot be read as one, with the reason."""
    try:
        record = Record.at(folder)
        factors = {"dataset": record.spec.dataset, "recipe": record.spec.recipe}
        begun, last = record.provenance(), record.last_evaluation()
        session = sessions(begun)[-1]
        when = (record.summary() or {}).get("ended") or session.get("started") or ""
        address = "/".join((session.get("url") or begun.get("url") or "").split("/")[3:])  # without the server
        columns = (*_measured(last), when[:16].replace("T", " "), address)
        return Line(folder.name, factors | {"state": record.state()}, columns)
    except InputError as error:
        return Line(folder.name, {"state": UNREADABLE}, ("", "", "", "", "", str(error)))


def _measured(last: Evaluation | None) -> tuple[str, ...]:
    """Step, training error, test error and hours; empty before the first evaluation."""
    if last is None:
        return ("",) * len(NUMBERS)
    return (f"{last.step:,}", f"{last.train.percent:.2f}", f"{last.test.percent:.2f}", f"{last.hours:.2f}")
