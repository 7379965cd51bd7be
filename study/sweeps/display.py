"""What a sweep shows on the terminal: progress bars while it runs, a table of its cells."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterable, Sequence

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from study.recipes import recipe_for
from study.recording.evaluation import Evaluation
from study.recording.record import Record
from study.spec import InputError


class Display:
    """Progress bars, one for the sweep and one for each cell that runs; silent if standard error is not a terminal."""

    def __init__(self, cells: int) -> None:
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        self.progress = Progress(*columns, console=Console(stderr=True), disable=not sys.stderr.isatty())
        self._whole = self.progress.add_task("[bold]cells", total=cells)
        self._bars: dict[str, TaskID] = {}
        self._done: set[str] = set()

    def __enter__(self) -> Display:
        self.progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.progress.stop()

    def show(self, record: Record, where: str = "") -> None:
        """Show the progress of a cell: its step and its last errors."""
        if self.progress.disable:
            return
        spec = record.spec
        if spec.name not in self._bars:
            self._bars[spec.name] = self.progress.add_task(spec.title, total=recipe_for(spec).steps)
        if last := _last(record):
            text = f"{spec.title}  train {last.train.percent:.2f}%  test {last.test.percent:.2f}%  {where}"
            self.progress.update(self._bars[spec.name], completed=last.step, description=text)

    def say(self, line: str) -> None:
        """Print a line above the bars, also where there are none."""
        self.progress.console.print(line, highlight=False)

    def drop(self, record: Record) -> None:
        """Remove the bar of a cell that ended; an interrupted cell may run again, and counts once."""
        name = record.spec.name
        if name in self._bars:
            self.progress.remove_task(self._bars.pop(name))
        self._done.add(name)
        self.progress.update(self._whole, completed=len(self._done))


def _last(record: Record) -> Evaluation | None:
    """The last evaluation that can be read."""
    rows = record.sound_rows()
    return Evaluation.from_row(rows[-1]) if rows else None


def print_table(title: str, records: Sequence[Record]) -> None:
    """Print the table of `make_table`."""
    console().print(make_table(title, records))


def make_table(title: str, records: Sequence[Record]) -> Table:
    """One row per cell: state, step, errors in percent and minutes, where they are known."""
    table = Table(title=title)
    for heading in ("cell", "state"):
        table.add_column(heading)
    for heading in ("step", "train %", "test %", "minutes"):
        table.add_column(heading, justify="right")
    for record in records:
        table.add_row(record.spec.name, *map(plain, _progress(record)))
    return table


def plain(words: str) -> Text:
    """Text of a record for the terminal: neither markup of ours nor control codes are obeyed.

    >>> str(plain("[red]\x1b[31m"))
    '[red]\N{REPLACEMENT CHARACTER}[31m'
    """
    return Text("".join(sign if sign.isprintable() else "\N{REPLACEMENT CHARACTER}" for sign in words))


def count(states: Iterable[str]) -> str:
    """How many runs are in each state: ``2 finished, 1 running``."""
    return ", ".join(f"{number} {state}" for state, number in Counter(states).most_common())


def _progress(record: Record) -> list[str]:
    """The state of a cell and what was measured last; or where its record cannot be read."""
    try:
        return [record.state(), *_measured(record.last_evaluation())]
    except InputError as error:
        return [f"unreadable: {error}"]


def _measured(last: Evaluation | None) -> list[str]:
    """The last columns of a row: step, training error, test error and minutes; empty before the first evaluation."""
    if last is None:
        return []
    return [str(last.step), f"{last.train.percent:.2f}", f"{last.test.percent:.2f}", f"{60 * last.hours:.2f}"]


def console(width: int = 100) -> Console:
    """The console of standard output: as wide as the terminal, or so many columns where there is none."""
    return Console(width=None if sys.stdout.isatty() else width)
