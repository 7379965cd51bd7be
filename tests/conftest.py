"""Fixtures of all tests: real data, real processes, no stand-ins."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NoReturn

import hypothesis
import pytest

from study.commands import cli
from study.data.cifar10 import load_cifar10
from study.data.images import Arrays
from study.recording.record import Record
from tests.fixtures.make_images import make_cifar10, make_jpegs, read_cifar10
from tests.support import (
    ENVIRONMENT,
    ROOT,
    SPEC,
    UNPACK,
    arrange,
    command,
    current,
    official_cifar10,
    real_photographs,
    train,
)
from tests.wandb_server import Server

# The same examples in every run, and few: what fails here fails everywhere.
hypothesis.settings.register_profile("same", derandomize=True, max_examples=60, deadline=None, database=None)
hypothesis.settings.load_profile("same")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add --require-data."""
    parser.addoption("--require-data", action="store_true", help="fail a test that would skip for want of images")


# The fixtures that make a test one of processes, of real images or of a browser.
MARKED = {
    "process": {"start", "undisturbed", "two_ranks", "finished", "server", "bench", "tab"},
    "data": {"cifar10", "real_images"},
    "browser": {"tab"},
}


def pytest_configure() -> None:
    """Let Ctrl-C reach what tests start; children inherit that a shell ignores it for work in the background."""
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Function]) -> None:
    """Mark tests by the fixtures that they use."""
    for item in items:
        for marker, fixtures in MARKED.items():
            if fixtures & set(getattr(item, "fixturenames", ())):
                item.add_marker(marker)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """Let `command` know the test that it is called for."""
    current.test = item
    try:
        return (yield)
    finally:
        current.test = None


@pytest.fixture
def server() -> Iterator[Server]:
    """A loopback W&B server, which the test may close itself."""
    server = Server()
    yield server
    if not server.closing.is_set():
        server.close()


@pytest.fixture(scope="session")
def cifar10(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that holds the official CIFAR-10."""
    found = official_cifar10()
    if found is None:
        lack(request, "CIFAR-10 is missing; run: python -m study prepare cifar10, or set STUDY_DATA")
    if found != UNPACK:
        return found
    folder = tmp_path_factory.mktemp("data")
    subprocess.run([sys.executable, UNPACK, folder], check=True, stdout=subprocess.DEVNULL)
    return folder


@pytest.fixture(scope="session")
def real_images(request: pytest.FixtureRequest) -> list[Path]:
    """200 photographs of ImageNet."""
    found = real_photographs()
    if not found:
        lack(request, "ImageNet's photographs are missing; STUDY_SAMPLE names a folder of 200, as n01440764_tench.JPEG")
    return found


def lack(request: pytest.FixtureRequest, message: str) -> NoReturn:
    """Skip a test for want of data; with --require-data, fail it."""
    if request.config.getoption("--require-data"):
        pytest.fail(message)
    pytest.skip(message)


@pytest.fixture(scope="session")
def synthetic(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with synthetic images: 500 in CIFAR-10's layout, and 200 JPEGs."""
    folder = tmp_path_factory.mktemp("synthetic")
    make_jpegs(folder / "imagenet-sample")
    make_cifar10(folder)
    return folder


@pytest.fixture(scope="session")
def jpegs(request: pytest.FixtureRequest) -> list[Path]:
    """200 JPEGs named by their classes: photographs where there are any, else synthetic ones."""
    return real_photographs() or sorted((request.getfixturevalue("synthetic") / "imagenet-sample").glob("*.JPEG"))


@pytest.fixture(scope="session")
def arrays(request: pytest.FixtureRequest) -> Arrays:
    """Colour images of 32x32 pixels in ten classes: CIFAR-10 where it is, else 500 synthetic ones."""
    if official_cifar10():
        return load_cifar10(request.getfixturevalue("cifar10"))
    return read_cifar10(request.getfixturevalue("synthetic"))


@pytest.fixture(scope="session")
def imagenet(jpegs: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with 200 images in 20 classes, in ImageNet's layout and prepared as a declared subset."""
    data = tmp_path_factory.mktemp("data")
    arrange(jpegs, data / "imagenet")
    assert cli.run(["prepare", "imagenet", "--subset", f"--data={data}"]) == 0
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
