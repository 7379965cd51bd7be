"""The choice of `--step=auto` on a processor: when it is measured, how it is decided, where it is kept."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from study.bench import choose as choosing
from study.bench.choices import choice_file, kept_choices
from study.bench.choose import bench_command, candidates, choose, decide, rough_hours
from study.bench.run import _contender
from study.commands import checks
from study.commands.cli import parser
from study.machine.compiler import has_compiler
from study.machine.options import MachineOptions
from study.recording.bench_lines import Line
from study.spec import Spec

DIGITS = Spec("digits", 8, "A", "smoke")
PAPER = Spec("cifar10", 20, "A")
AUTO = MachineOptions(precision="32")

pytestmark = pytest.mark.skipif(torch.cuda.is_available(), reason="the choice on a processor")
compiles = pytest.mark.skipif(not has_compiler(), reason="needs a C++ compiler")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cache folder of its own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))


def lines(low: float, ratio: float, high: float) -> list[Line]:
    """What a bench of plain (``ours``) and compiled steps prints."""
    return [
        {"what": "machine"},
        {"what": "step", "arm": "ours", "ms_per_step": 200.0},
        {"what": "step", "arm": "compiled", "ms_per_step": 200 * ratio},
        {"what": "ratio", "ours_to": "compiled", "times_as_fast": ratio, "interval": [low, high], "rounds": 10},
    ]


@pytest.mark.parametrize(
    ("low", "ratio", "high", "chosen"),
    [(0.7, 0.8, 0.9, "compiled"), (0.8, 0.9, 1.01, "plain"), (1.02, 1.06, 1.1, "plain")],
)
def test_compiled_steps_are_taken_only_if_the_interval_lies_below_1(
    low: float, ratio: float, high: float, chosen: str
) -> None:
    choice = decide(lines(low, ratio, high))
    assert choice["chosen"] == chosen
    assert choice["seconds_a_step"] == {"plain": 0.2, "compiled": pytest.approx(0.2 * ratio)}


def test_a_short_run_is_not_measured() -> None:
    for spec in (DIGITS, Spec("digits", 56, "A"), Spec("cifar10", 110, "A", "smoke")):
        assert rough_hours(spec) < 1
        assert choose(spec, AUTO) == (AUTO, None)
    assert kept_choices() == []


@compiles
def test_a_long_run_is_measured_unless_its_way_is_given_or_only_one_is_possible() -> None:
    assert rough_hours(PAPER) > 1 and candidates(PAPER, AUTO) == ("plain", "compiled")
    for only in (
        MachineOptions(step="plain"),
        MachineOptions(step="compiled"),
        MachineOptions(devices=2),
        MachineOptions(checkpoint_every=3),
    ):
        assert candidates(PAPER, only) == ("plain",)
        assert choose(PAPER, only) == (only, None)


def test_the_measuring_command_is_one_that_the_bench_reads() -> None:
    """And lasts about a minute: fewer rounds for deeper networks, never too few for an interval."""
    words = bench_command(PAPER, AUTO)[3:]
    read = parser().read(words)
    assert (read.depth, read.step, read.precision, read.arms, read.brief) == (20, "plain", "32", "ours,compiled", True)
    assert 8 <= read.rounds <= 20
    assert parser().read(bench_command(Spec("cifar10", 110, "A"), AUTO)[3:]).rounds == 8


def test_a_choice_is_of_one_network_on_one_machine() -> None:
    files = {
        choice_file(PAPER, AUTO),
        choice_file(Spec("cifar10", 20, "none"), AUTO),
        choice_file(PAPER, MachineOptions(precision="bf16")),
    }
    assert len(files) == 3
    assert choice_file(Spec("cifar10", 20, "A", "eighth", 5), AUTO) in files, "recipes of one batch share it"


@compiles
def test_a_kept_choice_is_taken_without_measuring(capsys: pytest.CaptureFixture[str]) -> None:
    kept = decide(lines(0.7, 0.8, 0.9))
    file = choice_file(PAPER, AUTO)
    file.parent.mkdir(parents=True)
    file.write_text(json.dumps(kept))
    machine, choice = choose(PAPER, AUTO)
    assert choice == kept and machine.step == "compiled"
    (line,) = capsys.readouterr().err.splitlines()
    assert line == (
        "study: --step=auto is compiled: compiled steps take 0.80 (0.70 to 0.90) times as long as plain ones"
    )


@compiles
def test_the_bench_trains_as_training_would() -> None:
    assert _contender(DIGITS, AUTO).machine.step == "plain"
    file = choice_file(DIGITS, AUTO)
    file.parent.mkdir(parents=True)
    file.write_text(json.dumps(decide(lines(0.7, 0.8, 0.9))))
    assert _contender(DIGITS, AUTO).machine.step == "compiled"
    assert _contender(DIGITS, MachineOptions(precision="32", step="plain")).machine.step == "plain"


@compiles
@pytest.mark.process
def test_a_measurement_that_fails_leaves_the_plain_step_and_is_not_kept(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """CIFAR-10 is not there."""
    machine, choice = choose(PAPER, MachineOptions(precision="32", data=tmp_path / "none"))
    assert choice is not None and machine.step == choice["chosen"] == "plain"
    assert "the measurement failed: " in choice["why"] and "prepare cifar10" in choice["why"]
    assert kept_choices() == [] and len(capsys.readouterr().err.splitlines()) == 2


@compiles
@pytest.mark.slow
@pytest.mark.process
def test_a_run_is_measured_once_and_its_provenance_says_what_was_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    """Digits, as if their runs took long."""
    monkeypatch.setattr(choosing, "LONG", 0.0)
    monkeypatch.setattr(choosing, "SECONDS", 0.0)
    machine, choice = choose(DIGITS, AUTO)
    assert choice is not None and machine.step == choice["chosen"] in ("plain", "compiled")
    assert choice["rounds"] == 8 and min(choice["seconds_a_step"].values()) > 0
    again = choose(DIGITS, AUTO)
    assert again[0].step == choice["chosen"] and again[1] is not None and again[1]["measured"] == choice["measured"]
    assert [kept["for"]["depth"] for kept in kept_choices()] == [8]
    assert f"digits-8 {choice['chosen']}" in checks._steps().report
