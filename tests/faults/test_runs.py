"""Runs under faults of the machine: full disks, folders that vanish, ranks that hang, losses that are no numbers."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Event, Thread

import pytest
import torch

from study import recipes
from study.machine.options import MachineOptions
from study.recording import lock
from study.recording.folders import read_folder
from study.recording.lock import RunLock, Taken
from study.recording.record import DIVERGED, Record
from study.recording.run import Run
from study.spec import MachineError
from study.sweeps import local
from study.training.failures import machine_errors
from study.training.signals import PATIENCE
from study.training.train import train as train_here
from tests.faults.steep import STEEP
from tests.support import CELL, SPEC, Start, children, has_stopped, run, train, wait_for, write_sweep
from tests.training.test_resume import assert_equal_records, signalled, steps
from tests.wandb_server import Server

GRID = """
method: grid
parameters:
  dataset: {value: digits}
  depth: {value: 8}
  shortcut: {values: [none, A]}
  recipe: {value: smoke}
  seed: {values: [0, 1]}
"""


Pause = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def pause(start: Start) -> Pause:
    """Begin to train; the process stops itself at a moment, and goes on at SIGCONT."""

    def begin(runs: Path, moment: str, *more: str, **environment: str) -> subprocess.Popen[str]:
        arguments = ("study", "train", *CELL, f"--runs={runs}", *more)
        process = start("tests.signalled", "SIGSTOP", moment, *arguments, **environment)
        wait_for(lambda: has_stopped(process.pid) or process.poll() is not None)
        return process

    return begin


def proceed(process: subprocess.Popen[str], seconds: float = 120) -> str:
    """Let a paused process go on to its end; returns what it says."""
    os.kill(process.pid, signal.SIGCONT)
    return process.communicate(timeout=seconds)[0]


def other_rank(process: subprocess.Popen[str]) -> int:
    """The process of rank 1."""
    (rank,) = [pid for pid in children(process.pid) if "train" in Path(f"/proc/{pid}/cmdline").read_text()]
    return rank


def is_gone(pid: int) -> bool:
    """Whether a process has ended, even if nobody has asked how."""
    try:
        return not Path(f"/proc/{pid}/cmdline").read_text()
    except OSError:
        return True


def one_line(done: subprocess.CompletedProcess[str], status: int, *words: str) -> None:
    """A program that ended with that status and one line, which has these words."""
    assert done.returncode == status, done.stdout + done.stderr
    assert done.stderr.count("\n") == 1 and all(word in done.stderr for word in words), done.stderr


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    """A file system of 70 MB."""
    folder = tmp_path / "small"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=70m", "tmpfs", str(folder)], capture_output=True, text=True
    )
    if mounted.returncode:
        pytest.skip(f"no file system can be mounted here: {mounted.stderr.strip()}")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def fill(folder: Path) -> Path:
    """Take all the room of a file system."""
    filler = folder / "filler"
    with filler.open("wb", buffering=0) as file:
        try:
            while file.write(bytes(4096)):
                pass
        except OSError:
            return filler
    raise AssertionError("it has room without end")


@pytest.mark.process
@pytest.mark.parametrize(
    ("moment", "lines"),
    [("open:last.tmp:3", 3), ("open:metrics.jsonl:1", 0), ("open:responses.tmp:1", 8)],
    ids=["a checkpoint", "a line", "the final files"],
)
def test_a_full_disk_is_one_line_and_the_run_goes_on_once_there_is_room(
    moment: str, lines: int, small: Path, pause: Pause, undisturbed: Record
) -> None:
    runs = small / "runs"
    process = pause(runs, moment)
    filler = fill(small)
    said = proceed(process)
    assert process.returncode == 1 and said.count("\n") == 1 and "No space left on device" in said, said
    record = Record(runs, SPEC)
    assert len(record.sound_rows()) == lines and record.state() == "interrupted"
    one_line(train(runs), 2, "MiB free", "make room")
    filler.unlink()
    done = train(runs)
    assert done.returncode == 0 and not done.stderr, done.stderr
    assert_equal_records(record, undisturbed)


@pytest.mark.process
def test_a_folder_that_is_removed_under_a_run_ends_it(tmp_path: Path, pause: Pause) -> None:
    record = Record(tmp_path, SPEC)
    process = pause(tmp_path, "open:metrics.jsonl:3")
    shutil.rmtree(record.folder)
    said = proceed(process)
    assert process.returncode == 1 and said.count("\n") == 1 and record.folder.name in said, said
    assert not record.folder.exists()


@pytest.mark.process
def test_a_run_whose_checkpoints_are_removed_makes_new_ones(tmp_path: Path, pause: Pause, undisturbed: Record) -> None:
    process = pause(tmp_path, "open:metrics.jsonl:3")
    shutil.rmtree(Record(tmp_path, SPEC).checkpoint.parent)
    proceed(process)
    assert process.returncode == 0
    assert_equal_records(Record(tmp_path, SPEC), undisturbed)


@pytest.mark.process
def test_a_rank_that_hangs_ends_the_run_which_goes_on(tmp_path: Path, pause: Pause, two_ranks: Record) -> None:
    process = pause(tmp_path, "open:metrics.jsonl:3", "--devices=2", STUDY_RANK_TIMEOUT="8")
    os.kill(rank := other_rank(process), signal.SIGSTOP)
    said = proceed(process)
    assert (
        process.returncode == 1
        and "has not answered for 8 s" in said
        and said.count("study:") == 1
        and "Traceback" not in said
    ), said
    wait_for(lambda: is_gone(rank), seconds=10)
    assert train(tmp_path, "--devices=2").returncode == 0
    assert_equal_records(Record(tmp_path, SPEC), two_ranks)


@pytest.mark.process
def test_a_second_signal_ends_a_run_that_waits_for_a_rank(tmp_path: Path, pause: Pause) -> None:
    process = pause(tmp_path, "open:metrics.jsonl:3", "--devices=2")
    os.kill(rank := other_rank(process), signal.SIGSTOP)
    os.kill(process.pid, signal.SIGCONT)
    os.kill(process.pid, signal.SIGTERM)
    time.sleep(PATIENCE + 1)
    assert process.poll() is None, "the first waits for a step that all ranks take"
    os.kill(process.pid, signal.SIGTERM)
    assert process.wait(10) == 128 + signal.SIGTERM
    wait_for(lambda: is_gone(rank), seconds=10)


@pytest.mark.process
def test_a_rank_that_is_killed_is_one_line(tmp_path: Path, pause: Pause) -> None:
    process = pause(tmp_path, "open:metrics.jsonl:3", "--devices=2")
    os.kill(other_rank(process), signal.SIGKILL)
    said = proceed(process)
    assert (
        process.returncode == 1
        and "another rank has ended" in said
        and said.count("study:") == 1
        and "Traceback" not in said
    ), said


@pytest.fixture
def steep(monkeypatch: pytest.MonkeyPatch) -> None:
    """Train the digits at a rate at which every loss overflows."""
    monkeypatch.setitem(recipes.RECIPES["digits"], "smoke", STEEP)


def test_a_loss_that_is_no_number_ends_the_run(steep: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    machine = MachineOptions(runs=tmp_path, wandb="disabled", precision="32", step="plain")
    assert train_here(SPEC, machine) == DIVERGED == 3
    record = Record(tmp_path, SPEC)
    said = capsys.readouterr()
    assert said.err.count("\n") == 1 and "has diverged: its loss is no longer a number at step 5" in said.err
    assert record.state() == "diverged" and steps(record) == [5]
    summary = record.summary()
    assert summary is not None and summary["diverged"]["step"] == 5 and summary["diverged"]["lr"] > 1e29
    for file in record.folder.glob("*.json*"):
        for line in file.read_text().splitlines() if file.suffix == ".jsonl" else [file.read_text()]:
            json.loads(line, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
    found = read_folder(record.folder)
    assert isinstance(found, Run) and found.state == "diverged"
    assert local.run([SPEC], machine, 1) == 0, "a sweep goes on: the cell has an outcome"
    assert "diverged" in capsys.readouterr().out
    assert train_here(SPEC, machine) == DIVERGED and "move" in capsys.readouterr().err


@pytest.mark.process
def test_ranks_with_other_settings_do_not_train(tmp_path: Path) -> None:
    """The recipe is changed in the first process, and not in the second, which Lightning starts."""
    arguments = ("study", "train", *CELL, "--devices=2", f"--runs={tmp_path}")
    done = run("tests.faults.steep", *arguments)
    assert done.returncode == 1 and "Traceback" not in done.stderr, done.stderr
    assert "study: the ranks do not have the same settings" in done.stderr
    assert not Record(tmp_path, SPEC).history()


@pytest.mark.process
def test_wandb_is_told_of_a_loss_that_is_no_number(tmp_path: Path) -> None:
    server = Server()
    own = server.environment | {"WANDB_CONFIG_DIR": str(tmp_path / "config"), "NETRC": "/nowhere"}
    arguments = ("study", "train", *CELL, "--wandb=online", f"--runs={tmp_path / 'runs'}")
    done = run("tests.faults.steep", *arguments, **own)
    server.close()
    assert done.returncode == DIVERGED and done.stderr.count("has diverged") == 1, done.stderr
    (only,) = server.cloud.runs.values()
    assert only.exit_code == DIVERGED and "diverged" in only.fields["tags"]
    assert json.loads(only.summary)["diverged"]["step"] == 5
    assert [title for title, _ in only.alerts] == [f"{SPEC.name} has diverged"]


def test_too_little_memory_says_what_would_fit(tmp_path: Path) -> None:
    machine = MachineOptions(runs=tmp_path, precision="32")
    with (
        pytest.raises(MachineError, match=r"--precision=bf16, --checkpoint-every=10, --devices=2$"),
        machine_errors(Record(tmp_path, SPEC), machine),
    ):
        torch.empty(10**15)


@pytest.mark.process
def test_a_run_is_not_gone_on_with_otherwise_unless_asked(tmp_path: Path) -> None:
    signalled(tmp_path, "SIGTERM", "call:batch:13")
    one_line(train(tmp_path, "--devices=2"), 2, "--devices=1", "--changes=accept")
    one_line(train(tmp_path, "--precision=bf16"), 2, "--precision=32", "--changes=accept")
    assert not Record(tmp_path, SPEC).provenance()["resumed"]
    done = train(tmp_path, "--precision=bf16", "--changes=accept", OMP_NUM_THREADS="2")
    assert done.returncode == 0 and "differ in precision 32, bf16; threads 1, 2" in done.stderr
    found = read_folder(tmp_path / SPEC.name)
    assert isinstance(found, Run) and found.covariates["changed"] == "precision 32, bf16; threads 1, 2"


@pytest.mark.process
@pytest.mark.parametrize("count", [6, pytest.param(20, marks=pytest.mark.slow)])
def test_many_sweeps_of_one_folder_train_each_cell_once(count: int, tmp_path: Path, start: Start) -> None:
    file, runs = write_sweep(tmp_path, GRID), tmp_path / "runs"
    sweeps = [start("study", "sweep", str(file), "--wandb=disabled", f"--runs={runs}") for _ in range(count)]
    for sweep in sweeps:
        said = sweep.communicate(timeout=500)[0]
        assert sweep.returncode == 0 and "study:" not in said, said
    assert len(list(runs.iterdir())) == 4
    for folder in runs.iterdir():
        record = Record.at(folder)
        assert record.state() == "finished" and len(steps(record)) == 8 and record.provenance()["resumed"] == []


@pytest.mark.process
@pytest.mark.parametrize("signum", [signal.SIGKILL, signal.SIGHUP, signal.SIGTERM])
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


@pytest.mark.process
def test_a_secret_never_reaches_a_record(tmp_path: Path) -> None:
    secret = "local-0123456789abcdef0123456789abcdef01234567"
    arguments = [*CELL, f"--runs={tmp_path}", f'--_wandb={{"api_key": "{secret}"}}']
    done = run("study", "train", *arguments, WANDB_API_KEY=secret)
    assert done.returncode == 0 and secret not in done.stdout + done.stderr
    assert not [path for path in tmp_path.rglob("*") if path.is_file() and secret.encode() in path.read_bytes()]
