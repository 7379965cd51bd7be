"""The direction of imports is the architecture; this is where it is enforced."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT

ALLOWED = {
    "study.spec": set(),
    "study.recipes": {"study.spec"},
    "study.network": set(),
    "study.order": set(),
    "study.data": {"study.spec", "study.recipes", "study.order"},
    "imagenet.jpeg": set(),
    "imagenet.folder": {"study.spec", "study.order"},
    "imagenet.readers": {"study.order", "study.recipes", "study.imagenet", "study.imagenet.folder"},
    "imagenet.batches": {
        *("study.spec", "study.recipes", "study.imagenet", "study.imagenet.folder", "study.imagenet.readers"),
    },
    "imagenet.prepare": {
        *("study.spec", "study.imagenet", "study.imagenet.batches", "study.imagenet.folder", "study.imagenet.readers"),
    },
    "imagenet.weights": {"study.spec", "study.network", "study.imagenet.folder", "study.imagenet.readers"},
    "imagenet.protocols": {
        *("study.network", "study.imagenet", "study.imagenet.batches", "study.imagenet.folder"),
        "study.imagenet.readers",
    },
    "imagenet.evaluate": {
        *("study.spec", "study.recipes", "study.store", "study.machine", "study.module", "study.network"),
        *("study.imagenet", "study.imagenet.batches", "study.imagenet.folder", "study.imagenet.protocols"),
        "study.imagenet.weights",
    },
    "imagenet.bench": {
        *("study.spec", "study.recipes", "study.imagenet", "study.imagenet.batches", "study.imagenet.folder"),
        "study.imagenet.readers",
    },
    "study.flags": {"study.spec"},
    "study.doctor": {"study", "study.spec", "study.machine", "study.imagenet"},
    "study.step": {"study.data", "study.recipes"},
    "study.module": {"study", "study.spec", "study.recipes", "study.data", "study.order", "study.step"},
    "study.store": {"study.spec"},
    "study.callbacks": {"study.module", "study.store"},
    "study.mps": set(),
    "study.sweep": {"study.spec", "study.recipes", "study.store", "study.mps"},
    "study.machine": {"study.spec", "study.recipes", "study.store"},
    "study.account": {"study.spec"},
    "study.figures": {"study.spec", "study.store"},
    "study.tracking": {"study.spec", "study.recipes", "study.store", "study.account", "study.figures"},
    "study.launch": {"study.spec", "study.store", "study.account", "study.sweep"},
    "study.train": {
        *("study", "study.spec", "study.recipes", "study.store", "study.machine", "study.module", "study.callbacks"),
        "study.imagenet.batches",
    },
    "study.__main__": {
        *("study", "study.spec", "study.recipes", "study.store", "study.data", "study.machine", "study.train"),
        *("study.flags", "study.bench", "study.doctor", "study.probes"),
        *("study.imagenet.bench", "study.imagenet.evaluate", "study.imagenet.prepare"),
    },
    "study.complexity": {"study.network"},
    "study.probes": {
        *("study", "study.spec", "study.recipes", "study.network", "study.data", "study.machine", "study.module"),
        "study.store",
    },
    "bench.arms": {
        *("study", "study.spec", "study.recipes", "study.data", "study.machine", "study.module", "study.step"),
        *("study.store", "study.train"),
    },
    "bench.measures": {
        *("study", "study.spec", "study.data", "study.machine", "study.step", "study.store", "study.bench.arms"),
    },
    "bench.run": {
        *("study", "study.spec", "study.recipes", "study.machine", "study.mps", "study.step"),
        *("study.bench", "study.bench.arms"),
    },
    "reports.paper": set(),
    "reports.stats": set(),
    "reports.snapshot": {"study.spec", "study.recipes", "study.store"},
    "reports.remote": {"study.account", "study.spec", "study.store"},
    "reports.gather": {"reports.snapshot", "reports.remote", "study.store"},
    "claims.kinds": {"reports", "study.spec", "study.recipes"},
    "claims.cifar": {"reports", "reports.claims.kinds"},
    "claims.imagenet": {"reports", "reports.claims.kinds"},
    "claims.counted": {"reports.claims.kinds"},
    "reports.tables": {"reports.stats"},
    "reports.exhibits": {
        *("reports", "reports.claims", "reports.claims.kinds", "reports.stats", "reports.tables"),
        *("study.spec", "study.recipes"),
    },
    "reports.curves": {"reports", "reports.claims.kinds"},
    "reports.probes": {"reports.claims.kinds", "reports.curves", "reports.tables"},
    "reports.render": {
        *("reports", "reports.claims", "reports.claims.kinds", "reports.curves", "reports.snapshot", "reports.tables"),
        "study.spec",
    },
    "reports.publish": {"reports.paper", "study.account", "study.spec", "study.store"},
    "reports.__main__": {"reports", "reports.gather", "reports.publish", "study.spec", "study.flags"},
}  # fmt: skip


def ours(path: Path) -> set[str]:
    """The modules of ours that a file imports."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add(node.module or "")
    return {name for name in names if name.split(".")[0] in ("study", "reports")}


def files() -> list[Path]:
    return [path for folder in ("study", "reports") for path in sorted((ROOT / folder).rglob("*.py"))]


@pytest.mark.parametrize(
    "path", [p for p in files() if p.name != "__init__.py"], ids=lambda p: f"{p.parent.name}.{p.stem}"
)
def test_imports_go_one_way(path: Path) -> None:
    assert ours(path) <= ALLOWED[f"{path.parent.name}.{path.stem}"]


@pytest.mark.parametrize(
    ("module", "without"),
    [
        ("study.__main__", ("torch", "pandas", "wandb")),
        ("study.sweep", ("torch", "pandas", "wandb")),
        ("study.launch", ("torch", "pandas", "wandb")),
        ("study.train", ("wandb",)),
        ("reports.__main__", ("torch", "wandb")),
        ("reports.render", ("torch", "pytorch_lightning", "wandb")),
    ],
)
def test_what_is_heavy_is_not_imported(module: str, without: tuple[str, ...]) -> None:
    check = f"import sys, {module}; sys.exit(' '.join(m for m in {without!r} if m in sys.modules) or 0)"
    done = subprocess.run([sys.executable, "-c", check], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, f"{module} imports {done.stderr}"


def test_files_and_functions_stay_short() -> None:
    for path in files():
        text = path.read_text()
        assert text.count("\n") <= 300, path
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef):
                assert (node.end_lineno or 0) - node.lineno < 45, f"{path}: {node.name}"
