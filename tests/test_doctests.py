"""The examples in docstrings are run."""

from __future__ import annotations

import doctest
import importlib
from pathlib import Path

import pytest

from study.recording.record import Record


@pytest.mark.parametrize(
    "module",
    [
        "study.spec",
        "study.recipes",
        "study.network",
        "study.data.datasets",
        "study.data.sampling",
        "study.recording.bench_lines",
        "study.recording.evaluation",
        "study.recording.record",
        "study.training.schedule",
        "study.training.step",
    ],
)
def test_examples_print_what_they_say(module: str) -> None:
    failed, tried = doctest.testmod(importlib.import_module(module))
    assert tried and not failed


def test_the_example_of_the_package_runs_beside_a_trained_run(
    undisturbed: Record, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "runs").symlink_to(undisturbed.folder.parent)
    monkeypatch.chdir(tmp_path)
    failed, tried = doctest.testmod(importlib.import_module("study"))
    assert tried > 5 and not failed
