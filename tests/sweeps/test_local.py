from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from study.commands import cli
from study.recording.record import Record
from study.spec import Spec
from study.sweeps import grid
from tests.support import TINY_SWEEP, children, refusal, run, wait_for, write_sweep


@pytest.mark.process
def test_a_sweep_trains_resumes_skips_and_continues_after_a_failure(
    tmp_path: Path, start: Callable[..., subprocess.Popen[str]]
) -> None:
    """Three cells, one of which cannot be trained: killed in the middle, run again, and then found done."""
    runs, file = tmp_path / "runs", write_sweep(tmp_path, TINY_SWEEP)
    broken = Record(runs, Spec("digits", 8, "none"))
    broken.folder.mkdir(parents=True)
    (broken.folder / "provenance.json").write_text("no provenance")
    arguments = ("study", "sweep", str(file), f"--runs={runs}", "--jobs=2")
    first = start(*arguments)
    wait_for(lambda: len(Record(runs, Spec("digits", 8, "A")).history()) > 3 or first.poll() is not None)
    os.killpg(first.pid, signal.SIGKILL)

    second = run(*arguments)
    assert second.returncode == 1
    assert "digits-8-none-mini-s0 ended with status" in second.stderr
    states = [Record(runs, spec).state() for spec in grid.cells(file)]
    assert states == ["interrupted", "finished", "finished"]
    assert len(Record(runs, Spec("digits", 8, "A")).provenance()["resumed"]) == 1, "it was resumed"

    (broken.folder / "provenance.json").unlink()
    third = run(*arguments)
    assert third.returncode == 0 and third.stdout.count("finished") == 3
    status = run("study", "sweep", str(file), f"--runs={runs}", "--status")
    assert status.returncode == 0 and status.stdout.count("finished") == 3


@pytest.mark.process
def test_a_stopped_sweep_stops_its_cells_after_a_checkpoint(
    tmp_path: Path, start: Callable[..., subprocess.Popen[str]]
) -> None:
    file, record = write_sweep(tmp_path, TINY_SWEEP), Record(tmp_path / "runs", Spec("digits", 8, "none"))
    process = start("study", "sweep", str(file), f"--runs={tmp_path / 'runs'}")
    wait_for(lambda: len(record.history()) > 3 or process.poll() is not None)
    process.terminate()
    process.communicate(timeout=60)
    assert process.returncode == 143
    assert record.state() == "interrupted"
    assert "run the same command again to resume at step" in next(record.folder.glob("output-*.log")).read_text()
    assert [path.name for path in (tmp_path / "runs").iterdir()] == [record.spec.name], "no other run was started"


@pytest.mark.process
@pytest.mark.parametrize(
    ("flags", "given"),
    [
        (("--jobs=2",), {"5", "GPU-8932f937"}),
        (("--gpus=4-7", "--gpus-per-run=2"), {"4,5", "6,7"}),
        (("--gpus=3", "--runs-per-gpu=2"), {"3"}),
    ],
)
def test_cells_at_the_same_time_get_a_slice_each(
    flags: tuple[str, ...], given: set[str], tmp_path: Path, start: Callable[..., subprocess.Popen[str]]
) -> None:
    """No GPU is needed to see which one a process was given; without one the cells train on the CPU."""
    file, outer = write_sweep(tmp_path, TINY_SWEEP), "5,GPU-8932f937"
    process = start(*("study", "sweep", str(file), f"--runs={tmp_path / 'runs'}", *flags), CUDA_VISIBLE_DEVICES=outer)
    found: list[str] = []

    def have_started() -> bool:
        found[:] = [gpus for gpus in _given(process.pid) if gpus != outer]  # a child between its fork and its start
        return len(found) == 2 or process.poll() is not None

    wait_for(have_started)
    assert set(found) == given
    process.terminate()
    assert process.wait(60) == 143


def _given(parent: int) -> list[str]:
    """CUDA_VISIBLE_DEVICES of each cell that a sweep trains now."""
    name = b"CUDA_VISIBLE_DEVICES="
    environments = [Path("/proc", str(child), "environ").read_bytes().split(b"\0") for child in children(parent)]
    return [word.removeprefix(name).decode() for words in environments for word in words if word.startswith(name)]


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        (("--gpus=0-7", "--jobs=4"), "--gpus=0-7 runs 8 at a time; leave out --jobs=4"),
        (("--gpus=0-7", "--jobs=auto"), "--gpus=0-7 runs 8 at a time; leave out --jobs=auto"),
        (("--gpus-per-run=2",), "add --gpus=0-7"),
        (("--gpus=0-6", "--gpus-per-run=2"), "7 GPUs do not divide into runs of 2"),
        (("--gpus=0", "--gpus-per-run=0"), "must be at least 1"),
        (("--gpus=0-2", "--gpus-per-run=3"), "does not divide by 3 devices"),
        (("--jobs=0",), "--jobs=0 must be at least 1"),
    ],
)
def test_slices_and_jobs_that_do_not_fit_are_refused(flags: tuple[str, ...], says: str, tmp_path: Path) -> None:
    file = write_sweep(tmp_path, TINY_SWEEP)
    assert says in refusal(cli.run, "sweep", str(file), f"--runs={tmp_path / 'runs'}", *flags)
    assert not (tmp_path / "runs").exists()


@pytest.mark.process
def test_a_dry_run_shows_commands_and_runs_nothing(tmp_path: Path) -> None:
    done = run(
        "study",
        "sweep",
        str(write_sweep(tmp_path, TINY_SWEEP)),
        f"--runs={tmp_path / 'runs'}",
        "--dry-run",
        "--precision=bf16",
    )
    lines = done.stdout.splitlines()
    assert len(lines) == 3 and not (tmp_path / "runs").exists()
    assert lines[1].startswith(
        "python -m study train --dataset=digits --depth=8 --shortcut=A --recipe=mini --seed=0 --devices=1"
    )
