"""The Hugging Face Hub: its own client uploads to a server on loopback and fetches from it."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from study.recording.record import Record
from study.weights.pretrained import CARD, CONFIG, WEIGHTS
from tests.support import ROOT, SPEC
from tests.weights.hub_server import Hub, hub
from tests.weights.test_export import export

pytestmark = pytest.mark.process
FILES = (WEIGHTS, CONFIG, CARD)


@pytest.fixture
def server() -> Iterator[Hub]:
    with hub() as running:
        yield running


@pytest.fixture(scope="module")
def exported(undisturbed: Record, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return export(undisturbed.folder, tmp_path_factory.mktemp("export") / SPEC.name)


def python(server: Hub, home: Path, *arguments: str, token: str = "hf_a", answer: str = "") -> tuple[int, str]:
    """Run Python as a user of the server; `answer` is typed at a terminal, where there is one."""
    user = {"HF_ENDPOINT": server.address, "HF_HOME": str(home), "HF_TOKEN": token, "HF_HUB_DISABLE_TELEMETRY": "1"}
    screen, terminal = pty.openpty()
    os.write(screen, answer.encode())
    done = subprocess.run(
        [sys.executable, *arguments],
        env=os.environ | user,
        cwd=ROOT,
        text=True,
        stdin=terminal if answer else subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    os.close(screen)
    os.close(terminal)
    return done.returncode, done.stdout


def test_a_pushed_network_is_fetched_whole(server: Hub, exported: Path, tmp_path: Path) -> None:
    status, said = python(server, tmp_path, "-m", "study", "push", str(exported), "me/net", answer="y\n")
    assert status == 0, said
    assert all(name in said for name in FILES) and "for everyone to see" in said
    assert server.models["me/net"] == {name: (exported / name).read_bytes() for name in FILES}
    code = "import study; net = study.load('me/net'); print(net.config.name, net.preprocess.size)"
    status, said = python(server, tmp_path, "-c", code)
    assert (status, said.strip()) == (0, f"{SPEC.name} (1, 8, 8)"), said


def test_nothing_is_uploaded_without_a_yes(server: Hub, exported: Path, tmp_path: Path) -> None:
    push = ("-m", "study", "push", str(exported), "me/net")
    status, said = python(server, tmp_path, *push, answer="n\n")
    assert status == 1 and "Nothing was uploaded" in said
    status, said = python(server, tmp_path, *push)
    assert status == 2 and "add --yes" in said
    status, said = python(server, tmp_path, *push, "--yes", token="")
    assert status == 2 and "hf auth login" in said
    assert server.models == {}


def test_a_model_that_does_not_exist_is_named(server: Hub, tmp_path: Path) -> None:
    code = "import study; study.load('me/other')"
    status, said = python(server, tmp_path, "-c", code)
    assert status == 1 and "me/other is neither a folder nor a model on the Hugging Face Hub" in said
