"""How many cells at a time `sweep --jobs=auto` chooses, from made-up measurements, and once from real ones."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from study.machine.options import MachineOptions
from study.recording.bench_lines import SharedRate, say
from study.spec import InputError, Spec
from study.sweeps.auto import choose_jobs, describe, grow
from tests.support import SPEC, TINY_SWEEP, wait_for, write_sweep


@pytest.mark.parametrize(
    ("rates", "free_mb", "limit", "jobs", "measured", "why"),
    [
        ({1: 100, 2: 190, 4: 300, 8: 310}, 1e6, 64, 4, [1, 2, 4, 8], "8 give less than 10% more"),
        ({1: 100, 2: 109}, 1e6, 64, 1, [1, 2], "2 give less than 10% more"),
        ({1: 100, 2: 190, 4: 300, 5: 400}, 1e6, 5, 5, [1, 2, 4, 5], "there are no more cells or cores"),
        ({1: 100, 2: 190, 3: 270}, 2300.0, 64, 3, [1, 2, 3], "memory has no room for more"),
        ({1: 100}, 900.0, 64, 1, [1], "memory has no room for more"),
        ({1: 100, 2: 190}, 1e6, 64, 2, [1, 2], "4 did not run"),
    ],
)
def test_runs_are_doubled_while_that_is_worth_it(
    rates: dict[int, float], free_mb: float, limit: int, jobs: int, measured: list[int], why: str
) -> None:
    """A run takes 1,000 MB, and other runs may take nine tenths of what is free beside the first."""

    def measure(count: int) -> SharedRate:
        if count not in rates:
            raise InputError("out of memory")
        return SharedRate(rates[count], free_mb)

    choice = grow(measure, 1000.0, limit)
    assert (choice.jobs, list(choice.rates), choice.why) == (jobs, measured, why)
    assert f"takes {jobs} at a time" in describe(choice, 1, 1000.0)


def test_a_run_of_several_devices_is_not_measured() -> None:
    with pytest.raises(InputError, match="give a number with --devices=2"):
        choose_jobs([SPEC], MachineOptions(devices=2))


def test_one_cell_needs_no_measurement(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert choose_jobs([Spec("digits", 8, "A")], MachineOptions(runs=tmp_path)) == 1
    assert "there are no more cells" in capsys.readouterr().err


def test_a_bench_of_runs_at_the_same_time_is_read(capsys: pytest.CaptureFixture[str]) -> None:
    say("jobs", jobs=2, way="processes", images_per_second=123.456, free_mb=7.0)
    assert SharedRate.read(capsys.readouterr().out) == SharedRate(123.5, 7.0)
    with pytest.raises(InputError, match="the bench printed no 'jobs'"):
        SharedRate.read("")


@pytest.mark.slow
@pytest.mark.process
def test_a_sweep_chooses_says_why_and_trains(tmp_path: Path, start: Callable[..., subprocess.Popen[str]]) -> None:
    file, runs = write_sweep(tmp_path, TINY_SWEEP), tmp_path / "runs"
    process = start("study", "sweep", str(file), f"--runs={runs}", "--jobs=auto")
    wait_for(lambda: bool(list(runs.glob("*/metrics.jsonl"))) or process.poll() is not None, seconds=400, pause=0.2)
    process.terminate()
    said, _ = process.communicate(timeout=60)
    assert process.returncode == 143, said
    measures, takes = (line for line in said.splitlines() if line.startswith("study: --jobs=auto"))
    assert "measures digits-8-" in measures and "images/s: 1 at a time" in takes
