"""A C++ compiler that ends before it has written a whole library."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from study.machine.compiler import FOLDER, has_compiler
from study.recording.record import Record
from tests.faults.pausing import one_line
from tests.support import CELL, ENVIRONMENT, ROOT, SPEC, Start, children, train, wait_for

pytestmark = pytest.mark.skipif(not has_compiler(), reason="needs a C++ compiler")

ASK = "from study.machine.compiler import compiler_problem; print(compiler_problem())"


def problem(folder: Path) -> str:
    """What a new process says of the compiler whose code is kept in a folder."""
    variables = os.environ | ENVIRONMENT | {FOLDER: str(folder)}
    return subprocess.check_output([sys.executable, "-c", ASK], env=variables, cwd=ROOT, text=True).strip()


def tear(folder: Path) -> None:
    """Cut off the newest library in a folder, as a linker that is killed leaves it."""
    os.truncate(max(folder.rglob("*.main.so"), key=lambda library: library.stat().st_mtime_ns), 10)


@pytest.mark.process
def test_half_a_library_is_compiled_again(tmp_path: Path) -> None:
    assert problem(tmp_path) == "None"
    tear(tmp_path)
    assert problem(tmp_path) == "None"


@pytest.mark.slow
@pytest.mark.process
def test_half_a_library_of_the_step_is_one_line_and_removed(tmp_path: Path) -> None:
    compiled = tmp_path / "resnet-study" / "compiled"  # where nobody has named a folder
    flags, cache = (tmp_path / "runs", "--step=compiled"), {"XDG_CACHE_HOME": str(tmp_path)}
    assert train(tmp_path / "whole", "--step=compiled", **cache).returncode == 0
    tear(compiled)
    one_line(train(*flags, **cache), 1, "torch could not compile the step (", "file too short", "was removed")
    assert train(*flags, **cache).returncode == 0
    ends = [Record(tmp_path / runs, SPEC).summary() for runs in ("whole", "runs")]
    assert ends[0] and ends[1] and ends[0]["weights_sha256"] == ends[1]["weights_sha256"]


@pytest.mark.slow
@pytest.mark.process
def test_a_ctrl_c_that_ends_the_compiler_stops_the_run(tmp_path: Path, start: Start) -> None:
    process = start("study", "train", *CELL, f"--runs={tmp_path}", "--step=compiled", XDG_CACHE_HOME=str(tmp_path))
    record = Record(tmp_path, SPEC)
    wait_for(lambda: (record.folder / "provenance.json").exists() and children(process.pid, "g++") != [])
    os.killpg(process.pid, signal.SIGINT)
    said = process.communicate(timeout=120)[0]
    assert process.returncode == 128 + signal.SIGINT and said.count("\n") == 1, said
    assert "stopped by SIGINT, nothing trained" in said and "resume at step 0" in said
