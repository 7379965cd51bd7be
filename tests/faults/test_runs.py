"""Losses that are no numbers, too little memory, sessions that differ, and secrets."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from study import recipes
from study.machine.options import MachineOptions
from study.recording.folders import read_folder
from study.recording.record import DIVERGED, Record
from study.recording.run import Run
from study.spec import MachineError
from study.sweeps import local
from study.sweeps.slices import share
from study.training import train as training
from study.training.failures import machine_errors
from tests.faults.pausing import one_line
from tests.faults.steep import STEEP
from tests.support import CELL, SPEC, run, train
from tests.training.test_resume import signalled, steps
from tests.wandb_server import Server


@pytest.fixture
def steep(monkeypatch: pytest.MonkeyPatch) -> None:
    """Train the digits at a rate at which every loss overflows."""
    monkeypatch.setitem(recipes.RECIPES["digits"], "smoke", STEEP)


def train_here(machine: MachineOptions) -> int:
    """Train the cell in this process."""
    record = Record(machine.runs, SPEC)
    try:
        return training.train(record, machine)
    finally:
        record.close()


def test_a_loss_that_is_no_number_ends_the_run(steep: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    machine = MachineOptions(runs=tmp_path, wandb="disabled", precision="32", step="plain")
    assert train_here(machine) == DIVERGED == 3
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
    assert local.run([SPEC], machine, share(1)) == 0, "a sweep goes on: the cell has an outcome"
    assert "diverged" in capsys.readouterr().out
    assert train_here(machine) == DIVERGED and "move" in capsys.readouterr().err


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
def test_a_secret_never_reaches_a_record(tmp_path: Path) -> None:
    secret = "local-0123456789abcdef0123456789abcdef01234567"
    arguments = [*CELL, f"--runs={tmp_path}", f'--_wandb={{"api_key": "{secret}"}}']
    done = run("study", "train", *arguments, WANDB_API_KEY=secret)
    assert done.returncode == 0 and secret not in done.stdout + done.stderr
    assert not [path for path in tmp_path.rglob("*") if path.is_file() and secret.encode() in path.read_bytes()]
