from __future__ import annotations

from dataclasses import replace

import pytest

from study.recipes import RECIPES
from study.recording.bench_lines import Measured
from study.sweeps.estimate import hours


def test_the_hours_of_a_run_are_those_worked_out_by_hand() -> None:
    """36,000 steps of 50 ms take half an hour; 90 evaluations of 20 s take another half."""
    recipe = replace(RECIPES["cifar10"]["paper"], steps=36_000, evaluations=90)
    assert hours(recipe, Measured(ms_per_step=50.0, evaluation_seconds=20.0, peak_mb=0.0)) == pytest.approx(1.0)
    assert hours(recipe, Measured(ms_per_step=50.0, evaluation_seconds=0.0, peak_mb=0.0)) == pytest.approx(0.5)
    assert hours(recipe, Measured(ms_per_step=0.0, evaluation_seconds=20.0, peak_mb=0.0)) == pytest.approx(0.5)
