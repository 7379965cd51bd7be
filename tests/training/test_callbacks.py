"""The clock of a run, which excludes evaluation from its speed and continues on resume; and the bar on a terminal."""

from __future__ import annotations

import os
import pty
from collections.abc import Iterator
from contextlib import redirect_stderr, suppress
from pathlib import Path

import pytest
import pytorch_lightning as pl

from study.data.digits import load_digits
from study.machine.options import MachineOptions
from study.recording.evaluation import Errors, Evaluation
from study.recording.record import Record
from study.training.callbacks import Clock, ProgressBar
from study.training.module import TrainingModule
from study.training.train import build_trainer
from tests.support import SPEC


class Run:
    """A module that takes its steps in no time, and a clock whose time passes only when it is told to."""

    def __init__(self, folder: Path) -> None:
        self.time = 1_000.0
        self.clock = Clock(lambda: self.time)
        self.module = TrainingModule(SPEC, load_digits())
        self.trainer: pl.Trainer = build_trainer(Record(folder, SPEC), MachineOptions(), None)

    def train(self, seconds: float, steps: int) -> None:
        self.clock.on_train_epoch_start(self.trainer, self.module)
        self.time += seconds
        self.module.step += steps

    def evaluate(self, seconds: float) -> Evaluation:
        self.clock.on_validation_start(self.trainer, self.module)
        self.time += seconds
        none = Errors(0, 1, 0.0)
        self.module.evaluation = Evaluation(self.module.step, 0.0, 0, 0.1, none, none)
        self.clock.on_validation_end(self.trainer, self.module)
        return self.module.evaluation


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return Run(tmp_path)


def test_speed_excludes_evaluation_and_hours_exclude_what_follows_it(run: Run) -> None:
    run.train(seconds=10, steps=5)
    first = run.evaluate(seconds=30)
    assert first.images_per_second == 5 * 64 / 10 and first.hours == 40 / 3600
    run.time += 500  # the checkpoint is written
    run.train(seconds=20, steps=5)
    second = run.evaluate(seconds=30)
    assert second.images_per_second == 5 * 64 / 20 and second.hours == 90 / 3600
    assert run.clock.seconds == {"train": 30.0, "evaluation": 60.0} and run.clock.hours == 90 / 3600


def test_a_checkpoint_within_an_interval_has_the_seconds_up_to_then(run: Run) -> None:
    run.train(seconds=10, steps=5)
    run.evaluate(seconds=30)
    run.train(seconds=7, steps=2)
    assert run.clock.state_dict() == {"train": 17.0, "evaluation": 30.0}
    assert run.clock.seconds == {"train": 10.0, "evaluation": 30.0}, "reading the clock does not stop it"


def test_a_resumed_run_continues_its_clock(run: Run, tmp_path: Path) -> None:
    run.train(seconds=10, steps=5)
    run.evaluate(seconds=30)
    run.train(seconds=7, steps=2)
    resumed = Run(tmp_path)
    resumed.clock.load_state_dict(run.clock.state_dict())
    resumed.module.step = run.module.step
    resumed.time += 9_999  # no one trained in between
    resumed.train(seconds=3, steps=3)
    last = resumed.evaluate(seconds=30)
    assert last.images_per_second == 3 * 64 / 3 and last.hours == (20 + 60) / 3600


def test_the_bar_shows_step_errors_and_speed_on_a_terminal(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "200")
    leader, follower = pty.openpty()
    with os.fdopen(follower, "w") as terminal, redirect_stderr(terminal):
        bar = ProgressBar()
        bar.on_train_start(run.trainer, run.module)
        run.train(seconds=10, steps=5)
        run.evaluate(seconds=30)
        bar.on_validation_end(run.trainer, run.module)
        bar.on_train_end(run.trainer, run.module)
    shown = b"".join(_read_to_end(leader)).decode()
    assert "ResNet-8  train 0.00%  test 0.00%  32 images/s" in shown
    assert f"5/{run.module.recipe.steps}" in shown


def _read_to_end(leader: int) -> Iterator[bytes]:
    """What was written to a terminal that is closed by now; the kernel may hand it over in several pieces."""
    with os.fdopen(leader, "rb", buffering=0) as terminal, suppress(OSError):  # EIO marks the end
        while piece := terminal.read(65_536):
            yield piece


def test_the_bar_is_silent_without_a_terminal(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    bar = ProgressBar()
    bar.on_exception(run.trainer, run.module, RuntimeError("before training began"))
    bar.on_train_start(run.trainer, run.module)
    run.train(seconds=10, steps=5)
    run.evaluate(seconds=30)
    bar.on_validation_end(run.trainer, run.module)
    bar.on_train_end(run.trainer, run.module)
    assert capsys.readouterr() == ("", "")
