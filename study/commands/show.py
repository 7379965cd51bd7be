"""``study show``: print the record of one run, with its error curve."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from study.commands.flags import Verbs, add_options, read_options
from study.recording.evaluation import COLUMNS, TEST_ERROR, TRAIN_ERROR, Evaluation, Row, describe
from study.recording.files import Unreadable
from study.recording.record import Record, sessions
from study.spec import InputError

HEIGHT = 18  # lines of the curve
ERROR = "/top1_error"
MARKERS = {TRAIN_ERROR: "dot", TEST_ERROR: "hd"}  # of the curves; they differ without colours too


def add_parser(verbs: Verbs) -> None:
    """Add the verb: one run."""
    parser = verbs.add_parser("show", help="print the record of one run, with its error curve")
    parser.add_argument("run_folder", metavar="RUN", help="its folder, or its name in the runs folder")
    add_options(parser, ["runs"])
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Print what the record holds, part by part."""
    record = find(options.run_folder, read_options(options).runs)
    try:
        parts = {"": _cell(record), **describe_record(record)}
        history = record.history()
    except Unreadable as error:
        raise InputError(f"{record.folder}: {error}") from None
    show(parts, history)
    return 0


def find(name: str, runs: Path) -> Record:
    """The record of a run that is named by its folder, or by its name in the runs folder.

    Raises:
        InputError: There is none.
    """
    folder = next((path for path in (Path(name), runs / name) if path.is_dir()), None)
    if folder is None:
        raise InputError(f"there is no run {name}, and none of this name in {runs}; list them: python -m study runs")
    return Record.at(folder)


def _cell(record: Record) -> Row:
    holder = record.holder()
    state = f"{record.state()}, by {holder}" if holder else record.state()
    return {"run": record.spec.name, "network": record.spec.title, "state": state, **record.spec.factors}


def describe_record(record: Record) -> dict[str, Row]:
    """The parts of a record under their headings: results, test protocols, recipe, provenance."""
    begun, summary = record.provenance(), record.summary() or {}
    last = Evaluation.from_row(summary) if summary else record.last_evaluation()
    results: Row = {"last evaluation": f"step {last.step:,}: {describe(last)}"} if last else {}
    results |= {key: value for key, value in summary.items() if key not in COLUMNS and "/" not in key}
    starts = [session.get("started") or "–" for session in sessions(begun)] if begun else []
    provenance = {key: value for key, value in begun.items() if key not in ("recipe", "resumed", "stopped")}
    return {
        "results": results | ({"stopped": record.stopped()} if record.stopped() else {}),
        "test protocols": dict(_protocols(summary)),
        "recipe": begun.get("recipe", {}),
        "provenance": provenance | {"sessions": f"{len(starts)}: {', '.join(starts)}"},
    }


def _protocols(summary: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """What `study test` added to the summary: the error by protocol."""
    for key, value in summary.items():
        if key.endswith(ERROR) and key not in (TRAIN_ERROR, TEST_ERROR):
            name = key.removesuffix(ERROR)
            wrong, seen = summary.get(f"{name}/wrong"), summary.get(f"{name}/seen")
            counted = f"{wrong} of {seen} wrong" if wrong is not None else f"{seen} images"
            yield name, f"{value:.2f} % ({counted})"


def show(parts: Mapping[str, Row], history: list[Row]) -> None:
    """Print the parts, each as a table of two columns, and the curve of the errors."""
    from rich.table import Table
    from rich.text import Text

    from study.sweeps.display import console, plain

    screen = console()
    for heading, values in parts.items():
        if values:
            table = Table(box=None, show_header=False, title=heading or None, title_justify="left", title_style="bold")
            table.add_column(min_width=20, style="dim")
            table.add_column(overflow="fold")
            for key, value in values.items():
                table.add_row(plain(key), plain(_words(value)))
            screen.print(table)
    if len(history) > 1:
        screen.print(Text.from_ansi(curve(history, min(screen.width, 100))))


def _words(value: Any) -> str:
    """A value in one line, without JSON's signs."""
    if isinstance(value, dict):
        return ", ".join(f"{key} {_words(inner)}" for key, inner in value.items())
    if isinstance(value, list):
        return " ".join(map(_words, value))
    if isinstance(value, float):
        return f"{value:.6g}"
    return "–" if value is None else str(value)


def curve(history: list[Row], width: int) -> str:
    """The training and test error by step, drawn with characters."""
    import plotext

    figure = plotext.figure
    figure.clear()
    figure.plot_size(width, HEIGHT)
    figure.title("top-1 error in percent")
    figure.label("step")
    steps, top = [row["step"] for row in history], max(row[name] for row in history for name in MARKERS)
    figure.legend(x=steps[-1], y=top, ha="right", va="top", relative=True)
    for name, marker in MARKERS.items():
        line = figure.signal(steps, [row[name] for row in history], marker=marker)
        line.label(name.split("/")[0])
        figure.draw(line.lines())
    return str(figure.build())
