"""Shared by all tests: real data, real processes, no stand-ins."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import torch

from study.spec import Spec
from study.store import Record

ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "reports" / "results"
# One thread, as in the subprocesses: sums come in the same order everywhere, so that equal means equal to the bit.
ENVIRONMENT = {"OMP_NUM_THREADS": "1", "WANDB_MODE": "disabled"}
torch.set_num_threads(1)


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


SAMPLE = ROOT.parent / "shared" / "data" / "imagenet-sample"  # 200 real JPEGs, a class in each name


def arrange(root: Path, classes: int = 20, val: int = 1) -> None:
    """Link the sample's images as ImageNet's layout, in equal classes, the first `val` images of each to test on."""
    files = sorted(SAMPLE.glob("*.JPEG"))
    if not files:
        pytest.skip(f"no ImageNet images are here: {SAMPLE}")
    each = len(files) // classes
    for i in range(classes):
        wnid = files[i * each].name.split("_")[0]
        for j, file in enumerate(files[i * each : (i + 1) * each]):
            folder = root / ("val" if j < val else "train") / wnid
            folder.mkdir(parents=True, exist_ok=True)
            (folder / file.name).symlink_to(file.resolve())


@pytest.fixture(scope="session")
def imagenet(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with 200 real ImageNet images in 20 classes, prepared as a declared subset."""
    data = tmp_path_factory.mktemp("data")
    arrange(data / "imagenet")
    done = run("study", "prepare", "imagenet", "--subset", f"--data={data}")
    assert done.returncode == 0, done.stderr
    return data


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", *arguments]


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run ``python -m ...`` to its end."""
    variables = os.environ | ENVIRONMENT | environment
    return subprocess.run(command(*arguments), env=variables, cwd=ROOT, capture_output=True, text=True, timeout=300)


SPEC = Spec("digits", 8, "A", "mini", 3)
CELL = ("--dataset=digits", "--depth=8", "--shortcut=A", "--seed=3")
TIMED = ("images_per_second", "hours", "data_wait_ms")
Start = Callable[..., subprocess.Popen[str]]


def train(runs: Path, *more: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return run("study", "train", *CELL, f"--runs={runs}", *more, **environment)


def values(record: Record) -> list[dict[str, Any]]:
    """The history without what a clock measured, as its raw lines have it."""
    lines = (record.folder / "metrics.jsonl").read_text().splitlines()
    return [{k: v for k, v in json.loads(line).items() if k not in TIMED} for line in lines]


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


def wait_for(condition: Callable[[], bool], seconds: float = 120, pause: float = 0.01) -> None:
    """Wait until the condition holds."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        if pause:
            time.sleep(pause)


def children(parent: int, name: str) -> list[int]:
    """The processes of that name which a process started."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):  # it ended meanwhile
            pid, called, _, started_by = path.read_text().split()[:4]
            if (called, started_by) == (f"({name})", str(parent)):
                found.append(int(pid))
    return found
