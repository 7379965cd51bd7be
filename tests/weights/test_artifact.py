"""A run's weights in W&B: the real client logs them to a server on loopback, and fetches them from it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from study import load
from study.commands import cli
from study.recording.record import Record
from study.spec import InputError
from study.weights.digest import weights_sha256
from study.weights.pretrained import CARD, CONFIG, WEIGHTS
from tests.recording.test_wandb import isolated
from tests.support import RESULTS, SPEC, refusal, train
from tests.wandb_server import Server
from tests.wandb_server.artifacts import Artifact

pytestmark = pytest.mark.process
FILES = (WEIGHTS, CONFIG, CARD)


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    server = Server()
    yield server
    server.close()


@pytest.fixture(scope="module")
def record(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Record:
    """A run that was trained online."""
    runs = tmp_path_factory.mktemp("runs")
    done = train(runs, "--wandb=online", **isolated(server, runs))
    assert done.returncode == 0 and not done.stderr, done.stderr
    return Record(runs, SPEC)


@pytest.fixture
def path(record: Record, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The run in W&B, for this process."""
    for name, value in (isolated(server, tmp_path) | {"WANDB_CACHE_DIR": str(tmp_path / "cache")}).items():
        monkeypatch.setenv(name, value)
    return f"loopback/resnet-study/{record.provenance()['wandb_id']}"


def test_an_online_run_logs_what_export_writes(record: Record, server: Server, tmp_path: Path) -> None:
    summary, run_id = record.summary(), record.provenance()["wandb_id"]
    assert summary is not None
    artifact = only(server)
    assert (artifact.type, artifact.collection, artifact.run) == ("model", f"model-{run_id}", run_id)
    assert set(artifact.aliases) == {"latest", "final", SPEC.name, summary["weights_sha256"]}
    assert cli.run(["export", str(record.folder), f"--out={tmp_path}"]) == 0
    assert artifact.files == {name: (tmp_path / name).read_bytes() for name in FILES}


def only(server: Server) -> Artifact:
    (artifact,) = server.cloud.artifacts.values()
    return artifact


def test_a_run_in_wandb_loads_and_is_exported(path: str, record: Record, server: Server, tmp_path: Path) -> None:
    summary, net = record.summary(), load(path)
    assert summary is not None and weights_sha256(net) == summary["weights_sha256"]
    assert net.preprocess.size == (1, 8, 8) and not net.training
    assert cli.run(["export", path, f"--out={tmp_path / 'out'}", f"--data={tmp_path}"]) == 0
    assert {name: (tmp_path / "out" / name).read_bytes() for name in FILES} == only(server).files


def test_what_cannot_be_fetched_is_refused_in_one_line(
    path: str, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(source: str) -> str:
        return refusal(cli.run, "export", source, f"--out={tmp_path / 'out'}")

    fix = "check the path (a run that ended online has them, unless it had --artifact=off), or export its folder"
    assert refused("loopback/resnet-study/other").endswith(fix)
    assert "project 'other' not found" in refused("loopback/other/other")
    held = only(server).files
    whole = held[WEIGHTS]
    held[WEIGHTS] = whole[:-1] + bytes([whole[-1] ^ 1])
    assert "Digest mismatch for file: model.safetensors" in refused(path)
    held[WEIGHTS] = whole
    load(path)  # nothing of the other file was kept
    monkeypatch.setenv("WANDB_API_KEY", "")
    assert "W&B has no API key here; run: wandb login" in refused(path)
    assert not (tmp_path / "out").exists()


def test_a_folder_that_exists_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shipped = next((RESULTS / "weights").glob("cifar10-20-*"))
    shutil.copytree(shipped, tmp_path / "entity" / "project" / "run")
    monkeypatch.chdir(tmp_path)
    net = load("entity/project/run")
    assert net.config is not None and net.config.name == shipped.name
    with pytest.raises(InputError, match="entity/project/other does not exist; give the folder of a run"):
        load("entity/project/other")


def test_weights_that_are_refused_cost_one_line(tmp_path: Path) -> None:
    server = Server()
    server.cloud.is_full = True
    done = train(tmp_path, "--wandb=online", **isolated(server, tmp_path))
    server.close()
    (line,) = done.stderr.splitlines()
    assert done.returncode == 0 and Record(tmp_path, SPEC).state() == "finished"
    assert line.startswith(f"study: W&B may lack the weights of {SPEC.name} (") and "storage limit exceeded" in line
    assert line.endswith(f"export them from the run: python -m study export {tmp_path / SPEC.name} --out=DIR")
    (run,) = server.cloud.runs.values()
    assert run.state == "finished" and not server.cloud.artifacts
