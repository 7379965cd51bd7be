"""Several processes, sweeps and hosts that are given the same cells."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from threading import Event, Thread

import pytest

from study.recording import lock
from study.recording.lock import RunLock, Taken
from study.recording.record import Record
from study.spec import Spec
from study.sweeps.grid import cells
from tests.faults.pausing import Pause, one_line
from tests.support import SPEC, TINY_SWEEP, Start, children, train, wait_for, write_sweep
from tests.training.test_resume import steps

GRID = """
method: grid
parameters:
  dataset: {value: digits}
  depth: {value: 8}
  shortcut: {values: [none, A]}
  recipe: {value: smoke}
  seed: {values: [0, 1]}
"""
SLOW = pytest.mark.slow


@pytest.mark.process
@pytest.mark.parametrize("count", [3, pytest.param(20, marks=SLOW)])
def test_many_sweeps_of_one_folder_train_each_cell_once(count: int, tmp_path: Path, start: Start) -> None:
    file, runs = write_sweep(tmp_path, GRID), tmp_path / "runs"
    sweeps = [start("study", "sweep", str(file), "--wandb=disabled", f"--runs={runs}") for _ in range(count)]
    for sweep in sweeps:
        said = sweep.communicate(timeout=900)[0]
        assert sweep.returncode == 0 and "study:" not in said, said
    assert len(list(runs.iterdir())) == 4
    for folder in runs.iterdir():
        record = Record.at(folder)
        assert record.state() == "finished" and len(steps(record)) == 8 and record.provenance()["resumed"] == []


@pytest.mark.process
@pytest.mark.slow
def test_the_cell_of_a_sweep_that_dies_is_trained_by_the_others(tmp_path: Path, start: Start) -> None:
    """Three sweeps take a cell each; one dies with what it trains, as its host would."""
    file, runs = write_sweep(tmp_path, TINY_SWEEP), tmp_path / "runs"
    sweeps = [start("study", "sweep", str(file), "--wandb=disabled", f"--runs={runs}") for _ in range(3)]
    wait_for(lambda: all(len(_lines(runs, cell)) > 1 for cell in cells(file)))
    victim = sweeps[0]
    (trained,) = children(victim.pid)
    lost = next(cell for cell in cells(file) if f"--shortcut={cell.shortcut}" in _command(trained))
    for process in (victim.pid, trained):
        os.kill(process, signal.SIGKILL)
    assert Record(runs, lost).summary() is None
    for sweep in sweeps[1:]:
        said = sweep.communicate(timeout=300)[0]
        assert sweep.returncode == 0 and said.count("finished") == 3, said
    for cell in cells(file):
        record = Record(runs, cell)
        assert record.state() == "finished"
        assert len(record.provenance()["resumed"]) == (cell == lost), "each is trained once, and the lost one resumed"
    logs = [path.name for path in runs.glob("*/output-*.log")]
    assert len(logs) == 4 and all(f"-{sweep.pid}.log" in "".join(logs) for sweep in sweeps)


def _lines(runs: Path, cell: Spec) -> list[str]:
    path = Record(runs, cell).folder / "metrics.jsonl"
    return path.read_text().splitlines() if path.exists() else []


def _command(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/cmdline").read_text().split("\0")


@pytest.mark.process
@pytest.mark.parametrize(
    "signum", [signal.SIGKILL, pytest.param(signal.SIGHUP, marks=SLOW), pytest.param(signal.SIGTERM, marks=SLOW)]
)
def test_the_end_of_a_sweep_is_the_end_of_its_runs(signum: signal.Signals, tmp_path: Path, start: Start) -> None:
    text = GRID.replace("smoke", "mini").replace("8", "56")
    file, runs = write_sweep(tmp_path, text), tmp_path / "runs"
    sweep = start("study", "sweep", str(file), "--jobs=2", "--wandb=disabled", f"--runs={runs}")
    wait_for(lambda: len(list(runs.glob("*/metrics.jsonl"))) == 2 or sweep.poll() is not None)
    trained = children(sweep.pid)
    assert len(trained) == 2
    sweep.send_signal(signum)
    assert sweep.wait(60) == (-signum if signum == signal.SIGKILL else 128 + signum)
    wait_for(
        lambda: (
            not any(
                Path(f"/proc/{pid}/cmdline").exists() and Path(f"/proc/{pid}/cmdline").read_text() for pid in trained
            )
        ),
        seconds=60,
    )
    assert all(
        (folder / "checkpoints" / "last.ckpt").exists()
        for folder in runs.iterdir()
        if (folder / "metrics.jsonl").exists()
    )


@pytest.mark.process
def test_two_processes_given_one_cell_agree(tmp_path: Path, pause: Pause) -> None:
    process = pause(tmp_path, "open:metrics.jsonl:3")
    done = train(tmp_path)
    assert done.returncode == 0 and f"is being trained by process {process.pid} on" in done.stdout, done.stderr
    os.kill(process.pid, signal.SIGCONT)
    assert process.wait(120) == 0
    assert Record(tmp_path, SPEC).provenance()["resumed"] == []


@pytest.mark.process
def test_a_sweep_waits_for_a_cell_that_another_process_trains(tmp_path: Path, pause: Pause, start: Start) -> None:
    grid = GRID.replace("[none, A]", "[A]").replace("[0, 1]", "[3]")
    file, runs = write_sweep(tmp_path, grid), tmp_path / "runs"
    process = pause(runs, "open:metrics.jsonl:3")
    sweep = start("study", "sweep", str(file), "--wandb=disabled", f"--runs={runs}")
    assert sweep.stdout and f"{SPEC.name} running elsewhere: process {process.pid} on" in sweep.stdout.readline()
    assert sweep.poll() is None
    os.kill(process.pid, signal.SIGCONT)
    assert process.wait(120) == 0 and sweep.wait(120) == 0
    record = Record(runs, SPEC)
    assert record.provenance()["resumed"] == [] and not list(record.folder.glob("output-*.log"))


@pytest.mark.process
def test_a_run_that_cannot_start_leaves_its_cell_to_the_next(tmp_path: Path) -> None:
    one_line(
        train(tmp_path / "runs", "--dataset=cifar10", "--precision=32", f"--data={tmp_path}"),
        2,
        "study prepare cifar10",
    )
    assert not (tmp_path / "runs").exists()
    for _ in range(20):  # the next waits for the lock while it is removed
        record, following = Record(tmp_path, SPEC), RunLock(tmp_path / SPEC.name)
        record.reserve()
        waiting = Thread(target=following.acquire)
        waiting.start()
        record.close()
        waiting.join()
        following.check()
        following.release()


def test_a_process_of_another_host_counts_as_long_as_its_heart_beats(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a process elsewhere leaves here is the file with its host's name, which it touches."""
    monkeypatch.setattr(lock, "LEASE", 3.0)
    lease = tmp_path / ".lease"
    elsewhere = RunLock(tmp_path)
    elsewhere.acquire()
    left = lease.read_text()
    elsewhere.release()
    lease.write_text(left.replace("host=", "host=elsewhere-"))
    assert "on elsewhere-" in (RunLock(tmp_path).holder() or "")
    stopped = Event()

    def beat() -> None:
        while not stopped.wait(0.5):
            os.utime(lease)

    thread = Thread(target=beat)
    thread.start()
    with pytest.raises(Taken, match="on elsewhere-"):
        RunLock(tmp_path).acquire()
    stopped.set()
    thread.join()
    mine = RunLock(tmp_path)
    mine.acquire()
    mine.release()
