"""Runs and sweeps that somebody stopped in W&B, without a server: what is left alone, and until when."""

from __future__ import annotations

from pathlib import Path

import pytest

from study.recording.record import Record
from study.recording.wandb.stops import SweepState
from study.spec import Spec
from study.sweeps import agents, grid
from tests.support import SPEC, TINY_SWEEP, run, train

BEGUN = {"recipe": {}, "data_fingerprint": "f", "commit": "c", "wandb_id": "w"}


def interrupted(runs: Path, spec: Spec = SPEC) -> Record:
    record = Record(runs, spec)
    record.open(BEGUN)
    record.close()
    return record


def stopped(runs: Path, spec: Spec = SPEC) -> Record:
    record = interrupted(runs, spec)
    record.stop("stopped in W&B")
    return record


@pytest.mark.process
def test_a_stopped_run_is_not_trained_before_it_is_asked_for(tmp_path: Path) -> None:
    record = stopped(tmp_path)
    done = train(tmp_path)
    assert done.returncode == 0 and f"{SPEC.name} was stopped in W&B at 20" in done.stdout and "--again" in done.stdout
    assert record.state() == "stopped" and not record.provenance()["resumed"]


@pytest.mark.process
def test_a_sweep_leaves_a_stopped_cell_and_says_so(tmp_path: Path) -> None:
    record, file = stopped(tmp_path / "runs"), tmp_path / "one.yaml"
    file.write_text(TINY_SWEEP.replace("[none, A, B]", "[A]") + "  recipe: {value: smoke}\n  seed: {value: 3}\n")
    assert grid.cells(file) == [SPEC]
    done = run("study", "sweep", str(file), f"--runs={tmp_path / 'runs'}")
    assert done.returncode == 1 and f"{SPEC.name} was stopped in W&B at 20" in done.stderr
    assert "stopped" in done.stdout and record.state() == "stopped" and not record.provenance()["resumed"]


@pytest.mark.parametrize(
    ("state", "is_handed_out", "says"),
    [
        ("RUNNING", True, ""),
        ("RUNNING", False, ""),
        ("PAUSED", True, "is paused"),
        ("CANCELED", True, "was cancelled"),
        ("FINISHED", True, ""),  # W&B has lost the cell
        ("FINISHED", False, "was stopped"),
    ],
)
def test_what_somebody_did_to_a_sweep_decides_whether_launch_goes_on(
    tmp_path: Path, state: str, is_handed_out: bool, says: str
) -> None:
    found = SweepState(state, frozenset({SPEC} if is_handed_out else ()), frozenset())
    assert agents.why_left(found, [Record(tmp_path, SPEC)]) == says


@pytest.mark.parametrize(
    ("state", "stops", "ends"),
    [("CANCELED", set(), "stopped"), ("RUNNING", {"w"}, "stopped"), ("RUNNING", {"other"}, "interrupted")],
)
def test_a_run_that_an_agent_killed_is_noted_as_stopped(tmp_path: Path, state: str, stops: set[str], ends: str) -> None:
    record = interrupted(tmp_path)
    agents.note_stopped([record], SweepState(state, frozenset({SPEC}), frozenset(stops)))
    assert record.state() == ends
