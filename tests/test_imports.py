"""The direction of imports is the architecture; this is where it is enforced."""

from __future__ import annotations

import ast
import subprocess
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

from tests.architecture import FLOORS, REPORT_FLOORS, SHARED, files, floor, imports, module
from tests.support import ROOT

ORDER = [*REPORT_FLOORS, *FLOORS]


@pytest.mark.parametrize("path", [path for path in files() if floor(module(path))], ids=module)
def test_a_folder_imports_only_what_stands_below_it(path: Path) -> None:
    mine = module(path)
    for name in imports(path):
        below = name == floor(mine) or ORDER.index(floor(name) or ORDER[0]) >= ORDER.index(floor(mine))
        assert below, f"{mine} reaches up to {name}"
        if mine.startswith("reports.") and name.startswith("study."):
            assert any(f"{name}.".startswith(f"{shared}.") for shared in SHARED), f"{mine} imports {name}"


def test_no_two_files_import_each_other() -> None:
    TopologicalSorter({module(path): imports(path) - {module(path)} for path in files()}).prepare()


def test_every_folder_has_its_floor_and_only_says_what_it_is() -> None:
    for package in ("study", "reports"):
        folders = {f"{package}.{path.parent.name}" for path in (ROOT / package).glob("*/__init__.py")}
        assert folders <= set(ORDER)
    for path in files():
        if path.name == "__init__.py" and path.parent.parent != ROOT:
            (docstring,) = ast.parse(path.read_text()).body
            assert isinstance(docstring, ast.Expr), path


def test_the_network_stands_on_torch_alone() -> None:
    assert imports(ROOT / "study" / "network.py") == set()


@pytest.mark.parametrize(
    ("modules", "without"),
    [
        ("study study.commands.cli", ("torch", "pandas", "wandb")),
        ("study.sweeps.local study.sweeps.estimate study.sweeps.agents", ("torch", "pandas", "wandb")),
        ("study.sweeps.slurm", ("torch", "pandas", "wandb", "submitit")),
        ("study.recording.record study.spec study.recipes", ("torch", "pandas", "wandb")),
        ("study.training.train", ("wandb",)),
        ("reports.__main__", ("torch", "wandb")),
        ("reports.page.render reports.gathering.remote", ("torch", "pytorch_lightning", "wandb")),
    ],
)
@pytest.mark.process
def test_what_is_heavy_is_not_imported(modules: str, without: tuple[str, ...]) -> None:
    check = f"import sys, {modules.replace(' ', ', ')}; sys.exit(' '.join(m for m in {without!r} if m in sys.modules))"
    done = subprocess.run([sys.executable, "-c", check], cwd=ROOT, capture_output=True, text=True)
    assert not done.stderr.strip(), f"{modules} imports {done.stderr}"


def test_files_and_functions_stay_short() -> None:
    for path in files():
        text = path.read_text()
        assert text.count("\n") <= 300, path
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef):
                assert (node.end_lineno or 0) - node.lineno < 40, f"{path}: {node.name}"
