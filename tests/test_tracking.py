"""The real W&B client against a loopback server that can fail."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import run, wait_for
from wandb_server import Faults, Server

from study.spec import Spec
from study.store import Record

SPEC = Spec("digits", 8, "none", "paper", 1)
CELL = ("--dataset=digits", "--depth=8", "--shortcut=none", "--seed=1")
Start = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    yield server
    if not server.closing.is_set():
        server.close()


def isolated(server: Server, folder: Path) -> dict[str, str]:
    """The client's variables, with nothing read from or written to this user's own settings."""
    own = {name: str(folder) for name in ("WANDB_CONFIG_DIR", "WANDB_CACHE_DIR", "WANDB_DATA_DIR")}
    return server.environment | own | {"NETRC": "/nowhere"}


def train(runs: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return run("study", "train", *CELL, f"--runs={runs}", "--wandb=online", **environment)


def logged(server: Server) -> list[dict[str, Any]]:
    """The one run's rows as the server has them, without W&B's own keys."""
    (only,) = server.runs.values()
    return [{k: v for k, v in row.items() if not k.startswith("_")} for row in only.rows]


def test_an_online_run_is_the_record(server: Server, tmp_path: Path) -> None:
    done = train(tmp_path, **isolated(server, tmp_path))
    assert done.returncode == 0, done.stderr
    record, (only,) = Record(tmp_path, SPEC), server.runs.values()
    assert logged(server) == record.history()
    assert only.exit_code == 0 and only.id == record.provenance()["wandb_id"]
    assert {k: v for k, v in json.loads(only.summary).items() if not k.startswith("_")} == record.summary()
    assert only.fields["displayName"] == SPEC.name and only.fields["groupName"] == SPEC.group
    assert only.fields["jobType"] == "train" and only.fields["tags"] == ["scaled down"]
    covariates = {
        "commit",
        "dirty",
        "device",
        "world_size",
        "per_device_batch",
        "precision",
        "threads",
        "data_fingerprint",
    }
    assert set(only.config) == set(SPEC.factors) | covariates
    assert {key: only.config[key] for key in SPEC.factors} == SPEC.factors
    assert not any(name.endswith(".ckpt") for name in only.files), "no model is uploaded"


def test_a_stopped_run_goes_on_as_the_same_run(server: Server, tmp_path: Path, start: Start) -> None:
    """SIGTERM, then SIGKILL, then to the end: one run there, with one continuous history."""
    record, environment = Record(tmp_path, SPEC), isolated(server, tmp_path)
    arguments = ("study", "train", *CELL, f"--runs={tmp_path}", "--wandb=online")
    process = start(*arguments, **environment)
    wait_for(lambda: len(record.history()) >= 10 or process.poll() is not None)
    process.terminate()
    assert process.communicate(timeout=90) and process.returncode == 143
    (only,) = server.runs.values()
    assert only.preempting and only.exit_code == 143
    process = start(*arguments, **environment)
    wait_for(lambda: len(record.history()) >= 30 or process.poll() is not None)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert train(tmp_path, **environment).returncode == 0
    assert logged(server) == record.history() and len(record.history()) == 64
    assert only.exit_code == 0


@pytest.mark.parametrize("status", [500, 429, 0], ids=["500s", "429s", "dropped connections"])
def test_requests_that_fail_now_and_then_lose_nothing(server: Server, tmp_path: Path, status: int) -> None:
    server.faults = Faults(status, every=4)
    done = train(tmp_path, **isolated(server, tmp_path))
    assert done.returncode == 0, done.stderr
    assert logged(server) == Record(tmp_path, SPEC).history()


def test_a_server_that_is_not_there_costs_one_warning(server: Server, tmp_path: Path) -> None:
    server.close()
    done = train(tmp_path, **isolated(server, tmp_path), WANDB_INIT_TIMEOUT="3")
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("study: W&B cannot be reached") == 1 and "wandb sync" in done.stderr
    record = Record(tmp_path, SPEC)
    assert record.state() == "finished" and len(record.history()) == 64
    assert list(record.folder.glob("wandb/offline-run-*/*.wandb"))


def test_a_server_that_never_answers_costs_one_warning(server: Server, tmp_path: Path) -> None:
    server.faults = Faults(-1, every=1)
    done = train(tmp_path, **isolated(server, tmp_path), WANDB_INIT_TIMEOUT="3")
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("study: W&B cannot be reached") == 1
    assert Record(tmp_path, SPEC).state() == "finished"


def test_a_server_that_goes_away_in_mid_run_does_not_hold_the_run_up(
    server: Server, tmp_path: Path, start: Start
) -> None:
    record = Record(tmp_path, SPEC)
    environment = isolated(server, tmp_path) | {"WANDB_FINISH_TIMEOUT": "5"}
    process = start("study", "train", *CELL, f"--runs={tmp_path}", "--wandb=online", **environment)
    wait_for(lambda: len(record.history()) >= 10 or process.poll() is not None)
    server.close()
    output = process.communicate(timeout=90)[0]
    assert process.returncode == 0, output
    assert record.state() == "finished" and len(record.history()) == 64
    assert output.count(f"study: W&B lacks the end of {SPEC.name}; later: wandb sync") == 1
    assert list(record.folder.glob("wandb/run-*/*.wandb")), "what W&B lacks is on disk"
