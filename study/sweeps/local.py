"""Run the cells of a W&B grid file on this machine, without W&B: the same file, the same cells, the same records.

Each cell is a process of its own (``python -m study train``), so that a failing one takes nothing with it.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from difflib import get_close_matches
from itertools import product
from pathlib import Path
from types import FrameType
from typing import Any

import yaml
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table

from study.machine.mps import shared_gpu
from study.machine.options import MachineOptions, group_names
from study.recipes import recipe_for
from study.recording.evaluation import Evaluation
from study.recording.record import Record, unwritable
from study.spec import FACTORS, WHOLE_NUMBERS, InputError, Spec

KEYS = ("program", "command", "method", "metric", "name", "description", "project", "entity", "parameters", "run_cap")


def cells(path: Path) -> list[Spec]:
    """The cells of a sweep file, in the order in which an agent gets them.

    Raises:
        InputError: the file cannot be read, is no grid over our five factors, or names a cell that cannot be.
    """
    try:
        sweep = yaml.safe_load(path.read_text())
    except OSError as error:
        raise InputError(f"sweep file {path} cannot be read ({error.strerror}); there are: sweeps/*.yaml") from None
    except yaml.YAMLError as error:
        raise InputError(f"sweep file {path} is not valid YAML: {' '.join(str(error).split())}") from None
    try:
        return list(dict.fromkeys(_specs(sweep)))
    except InputError as error:
        raise InputError(f"sweep file {path}: {error}") from None


def _specs(sweep: Any) -> Iterator[Spec]:
    if not isinstance(sweep, dict) or not isinstance(sweep.get("parameters"), dict):
        raise InputError("it needs 'method: grid' and a block 'parameters'")
    for key in sweep:
        _check_known(key, KEYS, "key")
    if sweep.get("method") != "grid":
        raise InputError(
            f"method {sweep.get('method')!r} is not 'grid'; every cell of the paper is run, none is searched"
        )
    grid = {name: _values(name, block) for name, block in sweep["parameters"].items()}
    for name in ("dataset", "depth", "shortcut"):
        if name not in grid:
            raise InputError(f"parameter {name!r} is missing")
    for values in product(*(grid[name] for name in sorted(grid))):  # an agent's order: names sorted, the last fastest
        spec = Spec(**dict(zip(sorted(grid), values, strict=True)))
        recipe_for(spec)
        yield spec


def _values(name: str, block: Any) -> list[Any]:
    """The values of one parameter, checked: a number as a number, a word as a word."""
    _check_known(name, FACTORS, "parameter")
    if not isinstance(block, dict) or len(block) != 1 or not {"value", "values"} & set(block):
        raise InputError(f"parameter {name!r} needs either 'value: ...' or 'values: [...]'")
    values = block["values"] if "values" in block else [block["value"]]
    if not isinstance(values, list) or not values:
        raise InputError(f"parameter {name!r} needs a list of values that is not empty")
    values = ["none" if value is None and name == "shortcut" else value for value in values]
    for value in values:
        if isinstance(value, str) and _is_number(value):
            raise InputError(
                f"parameter {name!r}: YAML reads {value!r} as text; write numbers bare, and 1e-4 as 1.0e-4"
            )
        wanted = int if name in WHOLE_NUMBERS else str
        if type(value) is not wanted:
            raise InputError(f"parameter {name!r}: {value!r} is not {'a whole number' if wanted is int else 'a word'}")
    return values


def _check_known(name: str, known: Sequence[str], what: str) -> None:
    if name not in known:
        close = get_close_matches(str(name), known, n=1)
        hint = f"did you mean {close[0]!r}?" if close else f"there are: {', '.join(known)}"
        raise InputError(f"{what} {name!r} is unknown; {hint}")


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def command(spec: Spec, options: Sequence[str]) -> list[str]:
    """The command that trains a cell."""
    return [sys.executable, "-m", "study", "train", *(f"--{k}={v}" for k, v in spec.factors.items()), *options]


def show_commands(specs: Sequence[Spec], machine: MachineOptions) -> int:
    """Print the commands without running them."""
    for spec in specs:
        print(" ".join(["python", *command(spec, machine.flags())[1:]]))
    return 0


def show_status(specs: Sequence[Spec], runs: Path) -> int:
    """Print how far each cell is, and its results where it is finished."""
    print_table(f"{len(specs)} cells in {runs}", [Record(runs, spec) for spec in specs])
    return 0


def show_estimate(specs: Sequence[Spec], machine: MachineOptions) -> int:
    """Measure a few steps of every network on this very device, and print hours and memory per cell and in all."""
    table = Table(title=f"{len(specs)} cells on this device, one at a time")
    for heading in ("cell", "ms a step", "hours", "memory MB"):
        table.add_column(heading, justify="left" if heading == "cell" else "right")
    measured: dict[tuple[str, int, str], dict[str, float]] = {}
    total = 0.0
    for spec in specs:
        network = (spec.dataset, spec.depth, spec.shortcut)
        if network not in measured:
            measured[network] = _measure(spec, machine)
        ms, evaluation, memory = measured[network].values()
        recipe = recipe_for(spec)
        hours = (recipe.steps * ms / 1e3 + recipe.evaluations * evaluation) / 3600
        total += hours
        table.add_row(spec.name, f"{ms:.3g}", f"{hours:.3g}", f"{memory:.0f}")
    table.add_row("all", "", f"{total:.3g}", "")
    _console().print(table)
    return 0


def _measure(spec: Spec, machine: MachineOptions) -> dict[str, float]:
    """Milliseconds a step, seconds an evaluation and megabytes of one network, by the bench in a process of its own."""
    factors = [f"--{name}={spec.factors[name]}" for name in ("dataset", "depth", "shortcut")]
    options = machine.flags([*group_names("step"), "data"])
    quick = ("--arms=ours", "--rounds=3", "--steps=3")
    command = [sys.executable, "-m", "study", "bench", *factors, *options, *quick]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise InputError(f"{spec.name} cannot be measured: {done.stderr.strip().splitlines()[-1]}")
    rows = {row["what"]: row for row in map(json.loads, done.stdout.splitlines())}
    return {
        "ms": rows["step"]["ms_per_step"],
        "evaluation": rows["evaluation"]["whole_test_set_seconds"],
        "memory": rows["memory"]["peak_mb"],
    }


def run(specs: Sequence[Spec], machine: MachineOptions, jobs: int) -> int:
    """Train every cell that is not finished, `jobs` at a time.

    Returns 0 when all are finished, 1 when one failed, 128 + signal when stopped: the cells that run are stopped
    too, each after a checkpoint, and no other is begun.
    """
    if jobs < 1:
        raise InputError(f"--jobs={jobs} must be at least 1")
    records = [Record(machine.runs, spec) for spec in specs]
    signal.signal(signal.SIGTERM, interrupt)
    with shared_gpu(jobs) as service, Display(len(records)) as display, ThreadPoolExecutor(jobs) as pool:
        cells = [_Job(record, machine, jobs, service) for record in records]
        waiting = [pool.submit(cell.run, display) for cell in cells]
        try:
            statuses = [future.result() for future in waiting]
        except KeyboardInterrupt as stop:
            pool.shutdown(wait=False, cancel_futures=True)
            for cell in cells:
                cell.stop()
            return 128 + int(stop.args[0] if stop.args else signal.SIGINT)
    print_table(f"{len(specs)} cells in {machine.runs}", records)
    failed = [(r, status) for r, status in zip(records, statuses, strict=True) if status]
    for record, status in failed:
        print(f"study: {record.spec.name} ended with status {status}: {_last_words(record)}", file=sys.stderr)
    return 1 if failed else 0


def interrupt(signum: int, _: FrameType | None) -> None:
    """Have a signal end what runs as Ctrl-C does."""
    raise KeyboardInterrupt(signum)


class _Job:
    """One cell's process, its output in the cell's folder."""

    def __init__(self, record: Record, machine: MachineOptions, jobs: int, service: Mapping[str, str]) -> None:
        self.record, self.command = record, command(record.spec, machine.flags())
        self.process: subprocess.Popen[bytes] | None = None
        threads = {"OMP_NUM_THREADS": str(max(1, (os.cpu_count() or 1) // jobs))} if jobs > 1 else {}
        self.environment = {**threads, **os.environ, **service}

    def run(self, display: Display) -> int:
        """Train the cell unless it is finished; returns the exit status."""
        if self.record.state() != "finished":
            try:
                self.record.folder.mkdir(parents=True, exist_ok=True)
                log = (self.record.folder / "output.log").open("ab")
            except OSError as error:
                raise unwritable(self.record.folder.parent, error) from None
            with log, subprocess.Popen(self.command, env=self.environment, stdout=log, stderr=log) as self.process:
                while self.process.poll() is None:
                    time.sleep(0.2)
                    display.show(self.record)
        display.drop(self.record)
        return self.process.returncode if self.process else 0

    def stop(self) -> None:
        """Ask the process to checkpoint and end."""
        if self.process:
            self.process.terminate()


def _last_words(record: Record) -> str:
    lines = (record.folder / "output.log").read_text(errors="replace").split("\n")
    return next((line for line in reversed(lines) if line.strip()), "it said nothing")


class Display:
    """A bar for the sweep and one for each cell that runs; silent where standard error is no terminal."""

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
        """Show how far a cell is."""
        if self.progress.disable:
            return
        spec = record.spec
        if spec.name not in self._bars:
            self._bars[spec.name] = self.progress.add_task(spec.title, total=recipe_for(spec).steps)
        if last := record.last_evaluation():
            text = f"{spec.title}  train {last.train.percent:.2f}%  test {last.test.percent:.2f}%  {where}"
            self.progress.update(self._bars[spec.name], completed=last.step, description=text)

    def drop(self, record: Record) -> None:
        """A cell is done with; one that was interrupted may come again, and counts once."""
        name = record.spec.name
        if name in self._bars:
            self.progress.remove_task(self._bars.pop(name))
        self._done.add(name)
        self.progress.update(self._whole, completed=len(self._done))


def print_table(title: str, records: Sequence[Record]) -> None:
    """A line for each cell: its state, its errors where known, its time."""
    table = Table(title=title)
    for heading in ("cell", "state"):
        table.add_column(heading)
    for heading in ("step", "train %", "test %", "minutes"):
        table.add_column(heading, justify="right")
    for record in records:
        table.add_row(record.spec.name, record.state(), *_measured(record.last_evaluation()))
    _console().print(table)


def _measured(last: Evaluation | None) -> list[str]:
    """Step, training error, test error and minutes of a row of the table; nothing before the first evaluation."""
    if last is None:
        return []
    return [str(last.step), f"{last.train.percent:.2f}", f"{last.test.percent:.2f}", f"{60 * last.hours:.2f}"]


def _console() -> Console:
    return Console(width=None if sys.stdout.isatty() else 100)
