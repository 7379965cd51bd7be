"""Fixtures of all tests: real data, real processes, no stand-ins."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from study.recording.record import Record
from tests.support import ENVIRONMENT, ROOT, SPEC, arrange, command, run, train


@pytest.fixture(scope="session")
def cifar10(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that holds the official CIFAR-10: STUDY_DATA, data/, or unpacked from ../shared/data."""
    for folder in (Path(os.environ.get("STUDY_DATA", "data")), ROOT / "data"):
        if (folder / "cifar-10-batches-py" / "batches.meta").exists():
            return folder.absolute()
    unpack = ROOT.parent / "shared" / "data" / "cifar10" / "unpack.py"
    if not unpack.exists():
        pytest.skip("CIFAR-10 is not here: run python -m study prepare cifar10")
    folder = tmp_path_factory.mktemp("data")
    subprocess.run([sys.executable, unpack, folder], check=True, stdout=subprocess.DEVNULL)
    return folder


@pytest.fixture(scope="session")
def imagenet(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with 200 real ImageNet images in 20 classes, prepared as a declared subset."""
    data = tmp_path_factory.mktemp("data")
    arrange(data / "imagenet")
    done = run("study", "prepare", "imagenet", "--subset", f"--data={data}")
    assert done.returncode == 0, done.stderr
    return data


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Record:
    """One run left alone."""
    runs = tmp_path_factory.mktemp("runs")
    done = train(runs)
    assert done.returncode == 0, done.stderr
    return Record(runs, SPEC)


@pytest.fixture(scope="session")
def two_ranks(tmp_path_factory: pytest.TempPathFactory) -> Record:
    """The same cell over two real DDP processes, with no W&B account and a stray SLURM variable or two."""
    runs, slurm = tmp_path_factory.mktemp("runs"), {"SLURM_NTASKS": "4", "SLURM_JOB_NAME": "x", "SLURM_JOB_ID": "1"}
    done = train(runs, "--devices=2", WANDB_MODE="", WANDB_API_KEY="", NETRC="/nowhere", **slurm)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count(SPEC.name) == 1, "one rank speaks"
    return Record(runs, SPEC)


@pytest.fixture
def start() -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Start ``python -m ...`` in the background; whatever still runs at the end of the test is killed."""
    started: list[subprocess.Popen[str]] = []

    def begin(*arguments: str, **environment: str) -> subprocess.Popen[str]:
        variables = os.environ | ENVIRONMENT | environment
        process = subprocess.Popen(
            command(*arguments), env=variables, cwd=ROOT, text=True, start_new_session=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        started.append(process)
        return process

    yield begin
    for process in started:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
