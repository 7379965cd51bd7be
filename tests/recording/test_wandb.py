"""The real W&B client against a loopback server that can fail."""

from __future__ import annotations

import json
import os
import platform
import re
import signal
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from study.recipes import recipe_for
from study.recording.record import MEASUREMENTS, Record
from study.recording.run import covariates
from study.recording.wandb.description import LEAST, tags
from study.recording.wandb.sending import DIGEST
from study.spec import Spec
from tests.support import Start, children, run, wait_for
from tests.wandb_server import Cloud, Faults, Server

pytestmark = pytest.mark.process

SPEC = Spec("digits", 8, "none", "mini", 1)
CELL = ("--dataset=digits", "--depth=8", "--shortcut=none", "--seed=1", "--wandb=online")


def isolated(server: Server, folder: Path) -> dict[str, str]:
    """The client's variables, with nothing read from or written to this user's own settings."""
    return server.environment | {"WANDB_CONFIG_DIR": str(folder / "config"), "NETRC": "/nowhere"}


def train(runs: Path, *more: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return run("study", "train", *CELL, f"--runs={runs}", *more, **environment)


def assert_mirrored(cloud: Cloud, record: Record, state: str = "finished") -> None:
    """The one run that W&B has is the record: its rows in order, its summary, its figures, what it is called."""
    (only,) = cloud.runs.values()
    own = [{k: v for k, v in row.items() if not k.startswith("_")} for row in only.rows]
    assert [row for row in own if "test/wrong" in row] == record.history() and len(record.history()) == 64
    assert only.state == state and only.id == record.provenance()["wandb_id"]
    summary = {k: v for k, v in json.loads(only.summary).items() if not k.startswith("_")}
    added = {*MEASUREMENTS, DIGEST, *LEAST.values()}
    assert {k: v for k, v in summary.items() if k not in added} == record.summary() and added <= set(summary)
    for column, name in LEAST.items():
        assert summary[name] == min(row[column] for row in record.history()) <= summary[column], "which stays the last"
    for name in MEASUREMENTS:
        assert json.loads(only.files[f"{name}.json"]) == record.measurement(name) is not None
    pictures = {name.split("/")[-1].split("_")[0]: only.files[name] for name in only.files if name.endswith(".png")}
    assert set(pictures) == set(MEASUREMENTS) and all(png.startswith(b"\x89PNG") for png in pictures.values())
    assert only.fields["displayName"] == SPEC.name and only.fields["groupName"] == SPEC.group
    assert only.fields["jobType"] == "train" and only.fields["tags"] == tags(SPEC)
    assert only.fields["notes"] == "Recipe mini on digits: 336 steps of 64 images."
    assert_configured(only.config, record)
    assert not any(name.endswith((".ckpt", ".safetensors")) for name in only.files), "weights are artifacts"


def assert_configured(config: dict[str, Any], record: Record) -> None:
    """Factors and covariates as ever, every field of the recipe, what the network is, and what the machine was."""
    known = {key: value for key, value in covariates(record.provenance()).items() if key != "argv"}
    assert {key: config[key] for key in (*SPEC.factors, *known)} == SPEC.factors | known
    recipe = {f"recipe.{name}": value for name, value in asdict(recipe_for(SPEC)).items()}
    assert {key: tuple(v) if isinstance(v := config[key], list) else v for key in recipe} == recipe
    assert {key: config[key] for key in config if key.startswith("net.")} == {
        "net.title": "plain-8", "net.kind": "plain", "net.parameters": 75_002, "net.macs": 747_136,
    }  # fmt: skip
    assert config["machine.python"] == platform.python_version() and "machine.slice" in config
    assert "argv" not in config, "it differs in every run"


def assert_has_weights(cloud: Cloud, record: Record) -> None:
    """The run has the weights with which it ended."""
    (artifact,) = cloud.artifacts.values()
    summary = record.summary()
    assert summary is not None and summary["weights_sha256"] in artifact.aliases and artifact.is_committed


def sync(output: str, *more: str, **environment: str) -> None:
    """Do what the warning says."""
    (said,) = re.findall(r"later: (wandb sync [^(\n]*)", output)
    path = {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    words = ["bash", "-c", " ".join([said, *more])]
    done = subprocess.run(words, env=os.environ | environment | path, capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stderr


def test_an_online_run_is_the_record(server: Server, tmp_path: Path) -> None:
    done = train(tmp_path, "--artifact=off", **isolated(server, tmp_path))
    assert done.returncode == 0, done.stderr
    assert_mirrored(server.cloud, record := Record(tmp_path, SPEC))
    assert not server.cloud.artifacts, "--artifact=off"
    assert (
        record.provenance()["url"]
        == f"{server.cloud.address}/loopback/resnet-study/runs/{next(iter(server.cloud.runs))}"
    )
    assert {path.name for path in tmp_path.iterdir()} == {SPEC.name, "wandb"}, "all it wrote lies under the runs folder"


@pytest.mark.slow
def test_a_stopped_run_is_resumed_as_the_same_run(server: Server, tmp_path: Path, start: Start) -> None:
    """SIGTERM, then SIGKILL, then to the end: one run there, with one continuous history."""
    record, environment = Record(tmp_path, SPEC), isolated(server, tmp_path)
    arguments = ("study", "train", *CELL, f"--runs={tmp_path}")
    process = start(*arguments, **environment)
    wait_for(lambda: len(record.history()) >= 10 or process.poll() is not None)
    process.terminate()
    assert process.communicate(timeout=90) and process.returncode == 143
    (only,) = server.cloud.runs.values()
    assert only.preempting and only.exit_code == 143
    process = start(*arguments, **environment)
    wait_for(lambda: len(record.history()) >= 30 or process.poll() is not None)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert train(tmp_path, **environment).returncode == 0
    assert_mirrored(server.cloud, record)


@pytest.mark.slow
def test_requests_that_fail_now_and_then_lose_nothing(server: Server, tmp_path: Path) -> None:
    """Errors, refusals and dropped connections in turn, and every answer late."""
    server.faults = Faults((500, 429, 0), every=4, delay=0.1)
    done = train(tmp_path, **isolated(server, tmp_path))
    assert done.returncode == 0, done.stderr
    assert_mirrored(server.cloud, Record(tmp_path, SPEC))
    assert_has_weights(server.cloud, Record(tmp_path, SPEC))
    assert server.requests >= 12, "each fault was met"


@pytest.mark.parametrize(
    "mute", [False, pytest.param(True, marks=pytest.mark.slow)], ids=["not there", "never answers"]
)
def test_a_server_that_cannot_be_reached_costs_one_warning(server: Server, tmp_path: Path, mute: bool) -> None:
    """And doing what it says, once the server is back, gives the run that an online one would have been."""
    server.faults = Faults((-1,), every=1)
    if not mute:
        server.close()
    environment = isolated(server, tmp_path) | {"WANDB_INIT_TIMEOUT": "3"}
    done = train(tmp_path, **environment)
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("study: W&B cannot be reached") == 1
    record = Record(tmp_path, SPEC)
    assert record.state() == "finished" and len(record.history()) == 64 and not server.cloud.runs
    server.faults = Faults()
    if not mute:
        server = server.back()
    sync(done.stderr, **environment)
    assert_mirrored(server.cloud, record)


@pytest.mark.slow
def test_a_server_that_goes_away_in_mid_run_does_not_hold_the_run_up(
    server: Server, tmp_path: Path, start: Start
) -> None:
    record = Record(tmp_path, SPEC)
    environment = isolated(server, tmp_path) | {"WANDB_FINISH_TIMEOUT": "5"}
    process = start("study", "train", *CELL, f"--runs={tmp_path}", **environment)
    wait_for(lambda: len(record.history()) >= 10 or process.poll() is not None)
    server.close()
    output = process.communicate(timeout=90)[0]
    assert process.returncode == 0, output
    assert output.count(f"study: W&B lacks the end of {SPEC.name}; send it later: wandb sync") == 1
    assert output.count(f"study: W&B may lack the weights of {SPEC.name} (") == 1
    back = server.back()
    sync(output, **environment)
    assert_mirrored(back.cloud, record)
    back.close()


@pytest.mark.slow
def test_a_run_deleted_in_mid_run_is_trained_to_its_end(server: Server, tmp_path: Path, start: Start) -> None:
    record = Record(tmp_path, SPEC)
    environment = isolated(server, tmp_path) | {"WANDB_FINISH_TIMEOUT": "5"}
    process = start("study", "train", *CELL, f"--runs={tmp_path}", **environment)
    wait_for(lambda: len(record.history()) >= 10 or process.poll() is not None)
    (only,) = server.cloud.runs.values()
    server.cloud.delete(only)
    output = process.communicate(timeout=90)[0]
    assert process.returncode == 0, output
    sync(output, f"--id={only.id}again", **environment)
    record.note(wandb_id=f"{only.id}again")
    assert_mirrored(server.cloud, record)


@pytest.mark.slow
def test_a_run_deleted_while_it_was_stopped_is_resumed_as_a_new_one(
    server: Server, tmp_path: Path, start: Start
) -> None:
    record, environment = Record(tmp_path, SPEC), isolated(server, tmp_path) | {"WANDB_INIT_TIMEOUT": "5"}
    process = start("study", "train", *CELL, f"--runs={tmp_path}", **environment)
    wait_for(lambda: len(record.history()) >= 10 or process.poll() is not None)
    process.terminate()
    assert process.communicate(timeout=90) and process.returncode == 143
    (only,) = server.cloud.runs.values()
    server.cloud.delete(only)
    done = train(tmp_path, **environment)
    assert done.returncode == 0 and f"{SPEC.name} was deleted in W&B and resumes there as run" in done.stderr
    assert record.provenance()["wandb_id"] != only.id
    assert_mirrored(server.cloud, record)


@pytest.mark.slow
def test_a_client_that_dies_is_started_again(server: Server, tmp_path: Path, start: Start) -> None:
    """wandb's own service process, killed as for want of memory: nothing is lost, here or there."""
    record = Record(tmp_path, SPEC)
    process = start("study", "train", *CELL, f"--runs={tmp_path}", **isolated(server, tmp_path))
    wait_for(lambda: len(record.history()) >= 10 or process.poll() is not None)
    (service,) = children(process.pid, "wandb-core")
    os.kill(service, signal.SIGKILL)
    output = process.communicate(timeout=90)[0]
    assert process.returncode == 0, output
    assert output.count(f"study: W&B's client failed in {SPEC.name}") == 1
    assert_mirrored(server.cloud, record)
    assert_has_weights(server.cloud, record)
