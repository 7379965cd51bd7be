"""The examples, as their readers run them: the notebook by Jupyter's own client, the script by Python."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

from study.weights.pretrained import Config
from tests.support import ENVIRONMENT, RESULTS, ROOT

pytestmark = pytest.mark.process
EXAMPLES = ROOT / "examples"
NOTEBOOK = EXAMPLES / "quickstart.ipynb"
NETWORK = RESULTS / "weights" / "cifar10-20-none-paper-s0"
FACTORS = 'DEPTH, RECIPE = 56, "mini"'
TRAINED = re.compile(r"digits-\d+-(none|A)-\w+-s0: train ([\d.]+) %, test ([\d.]+) %")


def execute(folder: Path, monkeypatch: pytest.MonkeyPatch, factors: str = FACTORS, **variables: str) -> dict[str, Any]:
    """Run the notebook in a folder, with other factors; return the text and the pictures of each cell by its id."""
    own = {"PYTHONPATH": str(ROOT), "IPYTHONDIR": str(folder / "ipython")}
    for name, value in {**ENVIRONMENT, **own, **variables}.items():
        monkeypatch.setenv(name, value)
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    (cell,) = [cell for cell in notebook.cells if cell.source == FACTORS]
    cell.source = factors
    NotebookClient(notebook, timeout=600, resources={"metadata": {"path": str(folder)}}).execute()
    return {cell.id: cell.outputs for cell in notebook.cells if cell.cell_type == "code"}


def text(outputs: list[Any]) -> str:
    return "".join(output.get("text", "") for output in outputs)


def pictures(outputs: list[Any]) -> list[str]:
    return [output["data"]["image/png"] for output in outputs if "image/png" in output.get("data", {})]


def test_the_notebook_is_committed_without_outputs() -> None:
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    nbformat.validate(notebook)
    assert not any(cell.get("outputs") or cell.get("execution_count") for cell in notebook.cells)


def test_the_notebook_runs_without_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From an empty folder, with a shorter pair: it ends with ten digits."""
    outputs = execute(tmp_path, monkeypatch, 'DEPTH, RECIPE = 8, "smoke"', STUDY_DATA=str(tmp_path))
    assert [shortcut for shortcut, *_ in TRAINED.findall(text(outputs["train"]))] == ["none", "A"]
    measured = Config.read(NETWORK).measured
    assert measured and text(outputs["load"]) == f"{NETWORK.name}: {measured.wrong} of 10,000 test images wrong\n"
    assert len(pictures(outputs["curves"])) == len(pictures(outputs["classify"])) == 1
    right = re.fullmatch(r"(\d+) of 10 right\n", text(outputs["classify"]))
    assert right and int(right[1]) >= 8


@pytest.mark.slow
def test_the_notebook_shows_the_degradation(cifar10: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As committed, with CIFAR-10: plain-56 trains far worse than ResNet-56, and ten photographs are classified."""
    outputs = execute(tmp_path, monkeypatch, STUDY_DATA=str(cifar10))
    errors = {shortcut: float(train) for shortcut, train, _ in TRAINED.findall(text(outputs["train"]))}
    assert errors["none"] > 20 and errors["A"] < 5
    assert text(outputs["classify"]) == "10 of 10 right\n"


def test_the_script_classifies_files(jpegs: list[Path], tmp_path: Path) -> None:
    assert len((EXAMPLES / "load_and_classify.py").read_text().splitlines()) <= 40
    lines = classify(NETWORK, *jpegs[:2])
    for line, path in zip(lines, jpegs, strict=False):
        assert re.fullmatch(rf"{re.escape(str(path))}: \w+ \(\d+ %\)", line)
    assert len(lines) == 2


def test_the_script_classifies_test_images(cifar10: Path) -> None:
    lines = classify(NETWORK, f"--data={cifar10}")
    assert len(lines) == 10
    for line in lines:
        assert (found := re.fullmatch(r"test image \d, (\w+): (\w+) \(\d+ %\)", line)) and found[1] == found[2]


def classify(*arguments: Path | str) -> list[str]:
    words = [sys.executable, EXAMPLES / "load_and_classify.py", *arguments]
    environment = os.environ | ENVIRONMENT | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(words, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()
