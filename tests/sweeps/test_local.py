from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from reports.paper import numbers as paper
from study.commands.cli import parser
from study.recording.record import Record
from study.spec import InputError, Spec
from study.sweeps import local as sweep
from tests.support import ROOT, run, wait_for

TINY = """
method: grid
parameters:
  dataset: {value: digits}
  depth: {values: [8]}
  shortcut: {values: [none, A, B]}
"""
GOOD = {"dataset": {"value": "digits"}, "depth": {"values": [8]}, "shortcut": {"value": "A"}}


def write(folder: Path, text: str) -> Path:
    path = folder / "sweep.yaml"
    path.write_text(text)
    return path


def test_cells_come_in_an_agents_order(tmp_path: Path) -> None:
    names = [spec.name for spec in sweep.cells(write(tmp_path, TINY))]
    assert names == [f"digits-8-{s}-mini-s0" for s in ("none", "A", "B")]


@pytest.mark.parametrize("path", sorted((ROOT / "sweeps").glob("*.yaml")), ids=lambda path: path.name)
def test_every_sweep_file_is_sound(path: Path) -> None:
    """Cells that exist, an explicit command, and flags that the trainer has, however W&B spells them."""
    cells, file = sweep.cells(path), yaml.safe_load(path.read_text())
    assert file["command"] == ["${env}", "python", "-m", "study", "train", "${args}"]
    assert file["method"] == "grid" and file["run_cap"] == len(cells)
    assert file["metric"] == {"name": "test/top1_error", "goal": "minimize"}
    for spec in cells:
        options = parser().read(["train", *(f"--{k}={v}" for k, v in spec.factors.items())])
        assert Spec(options.dataset, options.depth, options.shortcut, options.recipe, options.seed) == spec


def test_the_sweeps_hold_every_cell_that_the_exhibits_need_and_none_twice() -> None:
    cells = [cell for path in sorted((ROOT / "sweeps").glob("*.yaml")) for cell in sweep.cells(path)]
    assert len(cells) == len(set(cells))
    tables = {Spec("cifar10", result.depth, result.shortcut) for result in paper.CIFAR10}
    tables |= {Spec("imagenet", result.depth, result.shortcut) for result in paper.IMAGENET}
    five_runs = {Spec("cifar10", 110, "A", "paper", seed) for seed in range(5)}  # Table 6
    only_said = {Spec("cifar10", 110, "none"), Spec("imagenet", 50, "none"), Spec("imagenet", 101, "none")}
    needed = tables | five_runs | only_said
    assert {cell for cell in cells if cell.recipe == "paper"} == needed
    variants = {cell.recipe for cell in cells} - {"paper"}
    assert variants == {"mini", "eighth", "long", "nowarmup", "paper45k"}


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"dept": {"value": 8}}, "parameter 'dept' is unknown; did you mean 'depth'"),
        ({"lr": {"value": 0.1}}, "parameter 'lr' is unknown; there are: dataset"),
        ({"seed": {"value": "1e-4"}}, "YAML reads '1e-4' as text; write numbers bare, and 1e-4 as 1.0e-4"),
        ({"depth": {"value": "20"}}, "YAML reads '20' as text"),
        ({"depth": {"value": 20.0}}, "20.0 is not a whole number"),
        ({"depth": {"values": []}}, "needs a list of values that is not empty"),
        ({"depth": {"min": 8, "max": 20}}, "needs either 'value: ...' or 'values: [...]'"),
        ({"depth": 8}, "needs either"),
        ({"depth": {"values": [8, 21]}}, "depth 21 is not 6n"),
        ({"shortcut": {"value": "D"}}, "shortcut 'D' is unknown"),
        ({"recipe": {"value": "fast"}}, "'fast' is unknown"),
    ],
)
def test_a_wrong_parameter_is_named(tmp_path: Path, change: dict[str, object], says: str) -> None:
    path = write(tmp_path, yaml.safe_dump({"method": "grid", "parameters": GOOD | change}))
    with pytest.raises(InputError, match=says.replace("[", r"\[")):
        sweep.cells(path)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("method: grid", "a block 'parameters'"),
        ("method: random\nparameters: {dataset: {value: digits}}", "'random' is not 'grid'"),
        ("methods: grid\nparameters: {}", "key 'methods' is unknown; did you mean 'method'"),
        ("method: grid\nparameters: {dataset: {value: digits}}", "'depth' is missing"),
        ("method: [grid\n", "not valid YAML"),
    ],
)
def test_a_broken_file_is_refused(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(InputError, match=says):
        sweep.cells(write(tmp_path, text))


def test_none_may_be_yamls_null(tmp_path: Path) -> None:
    parameters = GOOD | {"shortcut": {"values": [None, "A"]}}
    path = write(tmp_path, yaml.safe_dump({"method": "grid", "parameters": parameters}))
    assert [spec.shortcut for spec in sweep.cells(path)] == ["none", "A"]


def test_a_sweep_runs_resumes_skips_and_goes_on_after_a_failure(
    tmp_path: Path, start: Callable[..., subprocess.Popen[str]]
) -> None:
    """Three cells, one of which cannot be trained: killed in the middle, run again, and then found done."""
    runs, file = tmp_path / "runs", write(tmp_path, TINY)
    broken = Record(runs, Spec("digits", 8, "none"))
    broken.checkpoint.parent.mkdir(parents=True)
    broken.checkpoint.write_bytes(b"no checkpoint")
    arguments = ("study", "sweep", str(file), f"--runs={runs}", "--jobs=2")
    first = start(*arguments)
    wait_for(lambda: len(Record(runs, Spec("digits", 8, "A")).history()) > 3 or first.poll() is not None)
    os.killpg(first.pid, signal.SIGKILL)

    second = run(*arguments)
    assert second.returncode == 1
    assert "digits-8-none-mini-s0 ended with status" in second.stderr
    states = [Record(runs, spec).state() for spec in sweep.cells(file)]
    assert states == ["interrupted", "finished", "finished"]
    assert len(Record(runs, Spec("digits", 8, "A")).provenance()["resumed"]) == 1, "it went on, not anew"

    broken.checkpoint.unlink()
    third = run(*arguments)
    assert third.returncode == 0 and third.stdout.count("finished") == 3
    status = run("study", "sweep", str(file), f"--runs={runs}", "--status")
    assert status.returncode == 0 and status.stdout.count("finished") == 3


def test_a_stopped_sweep_stops_its_cells_after_a_checkpoint(
    tmp_path: Path, start: Callable[..., subprocess.Popen[str]]
) -> None:
    file, record = write(tmp_path, TINY), Record(tmp_path / "runs", Spec("digits", 8, "none"))
    process = start("study", "sweep", str(file), f"--runs={tmp_path / 'runs'}")
    wait_for(lambda: len(record.history()) > 3 or process.poll() is not None)
    process.terminate()
    process.communicate(timeout=60)
    assert process.returncode == 143
    assert record.state() == "interrupted"
    assert "the same command goes on from step" in (record.folder / "output.log").read_text()
    assert [path.name for path in (tmp_path / "runs").iterdir()] == [record.spec.name], "no other cell was begun"


def test_a_dry_run_shows_commands_and_runs_nothing(tmp_path: Path) -> None:
    done = run(
        "study", "sweep", str(write(tmp_path, TINY)), f"--runs={tmp_path / 'runs'}", "--dry-run", "--precision=bf16"
    )
    lines = done.stdout.splitlines()
    assert len(lines) == 3 and not (tmp_path / "runs").exists()
    assert lines[1].startswith(
        "python -m study train --dataset=digits --depth=8 --shortcut=A --recipe=mini --seed=0 --devices=1"
    )
