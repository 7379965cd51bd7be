"""``study sweep --status``: how far the cells of a sweep file are, once or until each has a result."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

from rich.live import Live
from rich.table import Table

from study.recording.record import Record
from study.spec import Spec
from study.sweeps.display import console, count, make_table, print_table
from study.sweeps.local import OUTCOMES, read_state

ENDED = (*OUTCOMES, "stopped")
LOOK = 2.0  # seconds between two looks at the records


def show_status(specs: Sequence[Spec], runs: Path) -> int:
    """Print the progress of each cell, and its results if it is finished."""
    print_table(f"{len(specs)} cells in {runs}", [Record(runs, spec) for spec in specs])
    return 0


def watch_status(specs: Sequence[Spec], runs: Path) -> int:
    """Show the progress until each cell has a result or was stopped in W&B; Ctrl-C ends it before.

    Without a terminal it is a line for each cell whose state changes.
    """
    screen, states = console(), dict[Spec, str]()
    with Live(console=screen, auto_refresh=False, transient=True) as live:
        while not states or any(state not in ENDED for state in states.values()):
            time.sleep(LOOK if states else 0)
            now = {spec: read_state(Record(runs, spec)) for spec in specs}
            if screen.is_terminal:
                live.update(_table(specs, runs), refresh=True)
            else:
                for spec in specs:
                    if now[spec] != states.get(spec):
                        print(f"{spec.name} {now[spec]}", flush=True)
            states = now
    screen.print(_table(specs, runs))
    return 0


def _table(specs: Sequence[Spec], runs: Path) -> Table:
    """The table of `show_status`, with the number of cells in each state below it."""
    records = [Record(runs, spec) for spec in specs]
    table = make_table(f"{len(specs)} cells in {runs}", records)
    table.caption = count(map(read_state, records))
    return table
