"""`study sweep --status --watch`: it follows the cells and ends with the last of them."""

from __future__ import annotations

import os
import pty
import subprocess
from contextlib import suppress
from pathlib import Path

import pytest

from study.sweeps.grid import cells
from tests.records import write_run
from tests.support import ENVIRONMENT, ROOT, TINY_SWEEP, Start, command, write_sweep


def watch(folder: Path) -> tuple[str, ...]:
    return ("study", "sweep", str(folder / "sweep.yaml"), f"--runs={folder / 'runs'}", "--status", "--watch")


@pytest.mark.process
def test_without_a_terminal_it_is_a_line_for_each_change(tmp_path: Path, start: Start) -> None:
    first, second, third = cells(write_sweep(tmp_path, TINY_SWEEP))
    write_run(tmp_path / "runs", first)
    process = start(*watch(tmp_path))
    assert process.stdout
    begin = [process.stdout.readline().strip() for _ in range(3)]
    assert begin == [f"{first.name} finished", f"{second.name} missing", f"{third.name} missing"]
    write_run(tmp_path / "runs", third)
    assert process.stdout.readline().strip() == f"{third.name} finished", "nothing of the others, which are as before"
    write_run(tmp_path / "runs", second)
    assert process.stdout.readline().strip() == f"{second.name} finished"
    assert "3 finished" in process.stdout.read() and process.wait(20) == 0


@pytest.mark.process
def test_in_a_terminal_it_is_a_table_that_is_drawn_again(tmp_path: Path) -> None:
    *others, last = cells(write_sweep(tmp_path, TINY_SWEEP))
    for spec in others:
        write_run(tmp_path / "runs", spec)
    ours, theirs = pty.openpty()
    variables = os.environ | ENVIRONMENT | {"TERM": "xterm", "COLUMNS": "120"}
    process = subprocess.Popen(command(*watch(tmp_path)), env=variables, cwd=ROOT, stdout=theirs, stderr=theirs)
    os.close(theirs)
    said = b""
    while b"1 missing" not in said:
        said += os.read(ours, 4096)
    write_run(tmp_path / "runs", last)
    with suppress(OSError):  # the terminal is closed by its last process
        while chunk := os.read(ours, 4096):
            said += chunk
    os.close(ours)
    assert process.wait(20) == 0 and b"2 finished, 1 missing" in said and b"3 finished" in said
