from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from study.recipes import RECIPES
from study.recording.bench_lines import Measured
from study.sweeps.estimate import hours, turns


def test_the_hours_of_a_run_are_those_worked_out_by_hand() -> None:
    """36,000 steps of 50 ms take half an hour; 90 evaluations of 20 s take another half."""
    recipe = replace(RECIPES["cifar10"]["paper"], steps=36_000, evaluations=90)
    assert hours(recipe, Measured(ms_per_step=50.0, evaluation_seconds=20.0, peak_mb=0.0)) == pytest.approx(1.0)
    assert hours(recipe, Measured(ms_per_step=50.0, evaluation_seconds=0.0, peak_mb=0.0)) == pytest.approx(0.5)
    assert hours(recipe, Measured(ms_per_step=0.0, evaluation_seconds=20.0, peak_mb=0.0)) == pytest.approx(0.5)


@pytest.mark.parametrize(("gpus", "takes"), [("", 3), ("0", 200)])
def test_a_turn_is_long_enough_for_the_device(
    gpus: str, takes: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A GPU that its driver lists; the stand-in for that driver shows nothing of what happens on it."""
    program = tmp_path / "nvidia-smi"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", gpus)
    assert f"--steps={takes}" in turns()
