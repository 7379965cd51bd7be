"""Rebuild the report while runs are recorded, and serve it: its curves grow as the networks learn."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Event, Thread

import pandas as pd

from reports.gathering import snapshot
from reports.gathering.follow import Records, changes
from reports.gathering.gather import gather
from reports.gathering.snapshot import Snapshot
from reports.page import render
from reports.page.model import Report
from reports.page.sections import comparisons, facts, report, runs_section
from reports.page.serve import serve
from study.spec import InputError

PAUSE = 0.5  # seconds between two builds at least, so that a page can be read and training has the processor


def watch(runs: Path, out: Path, port: int = 0, command: Sequence[str] = ()) -> int:
    """Rebuild the report whenever a record grows, until Ctrl-C or the end of a command; then build it with figures.

    Args:
        runs: Where the records lie; it may come later.
        out: Folder of the snapshot and the report.
        port: Of the page; 0 takes a free one.
        command: A program that runs meanwhile, as a rule one that trains.

    Returns:
        The exit status: that of the command, 0 without one.

    Raises:
        InputError: The folder cannot be written, the port is taken, or the command cannot be started.
    """
    with _writable(out), serve(out, port) as address, _beside(command) as (ended, child):
        print(f"The report grows at {address}" + ("" if command else "; Ctrl-C ends it"), flush=True)
        if not runs.is_dir():
            print(f"Runs folder {runs} does not exist yet; waiting for it", flush=True)
        with _ctrl_c(ended):
            rebuild(runs, out, ended)
        status = _status(child.wait()) if child else 0
        if runs.is_dir():
            print(f"Drawing the figures; read {out / 'report.html'}", flush=True)
            put(gather(runs), out, is_drawn=True)
            time.sleep(1)  # for the pages that are open to load it
    return status


@contextmanager
def _ctrl_c(ended: Event) -> Iterator[None]:
    """Let Ctrl-C end the watch after the build that is under way, so that no half of one is left."""
    before = signal.signal(signal.SIGINT, lambda *_: ended.set())
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def rebuild(runs: Path, out: Path, ended: Event) -> None:
    """Build the report without drawn figures at each change of the records."""
    records, whole = Records(runs), None
    for names in changes(runs, ended):
        began = time.monotonic()
        records.read(names)
        whole = put(records.snapshot(), out, is_drawn=False, before=whole)
        took = time.monotonic() - began
        if sys.stdout.isatty():
            print(f"{len(records.found)} runs, {len(names)} read again; built in {took:.1f} s", flush=True)
        ended.wait(max(PAUSE, took))


def put(gathered: Snapshot, out: Path, is_drawn: bool, before: Report | None = None) -> Report:
    """Write the snapshot and the report; whoever reads a file meanwhile has the old one or the new one.

    Args:
        gathered: The runs.
        out: Where the files go.
        is_drawn: Whether figures are drawn, which takes most of the time.
        before: The report of a moment ago; what new evaluations of unfinished runs cannot change is taken from it.
    """
    with TemporaryDirectory(prefix=".", dir=out) as name:
        folder = Path(name)
        snapshot.write(gathered, folder)
        again = snapshot.read(folder)
        whole = (before and refresh(before, again)) or report(again, out)
        render.build(whole if is_drawn else with_growing(whole), folder, is_drawn)
        for path in sorted(path for path in folder.rglob("*") if path.is_file()):
            target = out / path.relative_to(folder)
            if not target.exists() or target.read_bytes() != path.read_bytes():
                target.parent.mkdir(parents=True, exist_ok=True)
                os.replace(path, target)
    return whole


def refresh(before: Report, gathered: Snapshot) -> Report | None:
    """A report with the new evaluations of unfinished runs, which no verdict has; None if anything else is new."""
    if any(not old.equals(new) for old, new in zip(_settled(before.snapshot), _settled(gathered), strict=True)):
        return None
    runs = runs_section(gathered)
    sections = [runs if section.title == runs.title else section for section in before.sections]
    return replace(before, snapshot=gathered, sections=sections, facts=facts(gathered))


def _settled(gathered: Snapshot) -> list[pd.DataFrame]:
    """The tables from which all but the curves is made."""
    runs = gathered.runs[~gathered.runs["run"].isin(gathered.growing["run"])].reset_index(drop=True)
    return [runs, gathered.responses, gathered.signals, gathered.blocks, gathered.deeper]


def with_growing(whole: Report) -> Report:
    """The report whose page also has the curves of runs that still train; no table and no verdict has them."""
    gathered = whole.snapshot
    is_shown = gathered.runs["counts"] | gathered.runs["run"].isin(gathered.growing["run"])
    shown = replace(gathered, runs=gathered.runs.assign(counts=is_shown))
    return replace(whole, snapshot=shown, judged={each: whole.judged.get(each, []) for each in comparisons(shown)})


@contextmanager
def _writable(out: Path) -> Iterator[None]:
    """Make the folder, and see that files can be made in it."""
    try:
        out.mkdir(parents=True, exist_ok=True)
        TemporaryDirectory(prefix=".", dir=out).cleanup()
    except OSError as error:
        raise InputError(f"{out} cannot be written ({error.strerror}); give another folder with --out") from None
    yield


@contextmanager
def _beside(command: Sequence[str]) -> Iterator[tuple[Event, subprocess.Popen[bytes] | None]]:
    """Run a command; the event is set when it ends. Ctrl-C reaches it from the terminal, SIGTERM from here."""
    ended = Event()
    if not command:
        yield ended, None
        return
    try:
        child = subprocess.Popen(command)
    except OSError as error:
        raise InputError(f"{command[0]} cannot be started ({error.strerror})") from None
    before = signal.signal(signal.SIGTERM, lambda *_: child.terminate())
    Thread(target=_tell, args=(child, ended), daemon=True).start()
    try:
        yield ended, child
    finally:
        child.wait()
        signal.signal(signal.SIGTERM, before)


def _tell(child: subprocess.Popen[bytes], ended: Event) -> None:
    child.wait()
    ended.set()


def _status(code: int) -> int:
    """The exit status of a process as a shell gives it."""
    return code if code >= 0 else 128 - code
