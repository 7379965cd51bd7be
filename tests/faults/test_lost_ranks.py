"""Ranks that hang, are killed, or were started otherwise."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from study.recording.record import Record
from study.training.signals import PATIENCE
from tests.faults.pausing import Pause, is_gone, one_sentence, other_rank, proceed
from tests.support import CELL, ROOT, SPEC, run, train, wait_for
from tests.training.test_resume import assert_equal_records

OBSERVED = 5.5  # seconds, in which Lightning looks after its ranks once: it then kills the first, if it may


@pytest.mark.process
def test_a_rank_that_hangs_ends_the_run_which_goes_on(tmp_path: Path, pause: Pause, two_ranks: Record) -> None:
    process = pause(tmp_path, "open:metrics.jsonl:3", "--devices=2", STUDY_RANK_TIMEOUT="40")
    os.kill(rank := other_rank(process), signal.SIGSTOP)
    said = proceed(process)
    one_sentence(process, said, "has not answered for 40 s")
    wait_for(lambda: is_gone(rank), seconds=10)
    assert train(tmp_path, "--devices=2").returncode == 0
    assert_equal_records(Record(tmp_path, SPEC), two_ranks)


@pytest.mark.slow
@pytest.mark.process
def test_a_second_signal_ends_a_run_that_waits_for_a_rank(tmp_path: Path, pause: Pause) -> None:
    process = pause(tmp_path, "open:metrics.jsonl:3", "--devices=2")
    os.kill(rank := other_rank(process), signal.SIGSTOP)
    os.kill(process.pid, signal.SIGCONT)
    os.kill(process.pid, signal.SIGTERM)
    time.sleep(PATIENCE + 1)
    assert process.poll() is None, "the first waits for a step that all ranks take"
    os.kill(process.pid, signal.SIGTERM)
    assert process.wait(10) == 128 + signal.SIGTERM
    wait_for(lambda: is_gone(rank), seconds=10)


@pytest.mark.process
def test_a_rank_that_is_killed_is_one_line(tmp_path: Path, pause: Pause) -> None:
    process = pause(tmp_path, "open:metrics.jsonl:3", "--devices=2")
    os.kill(other_rank(process), signal.SIGKILL)
    time.sleep(OBSERVED)
    one_sentence(process, proceed(process), "another rank has ended")


@pytest.mark.process
def test_ranks_with_other_settings_do_not_train(tmp_path: Path) -> None:
    """The recipe is changed in the first process, and not in the second, which Lightning starts."""
    arguments = ("study", "train", *CELL, "--devices=2", f"--runs={tmp_path}")
    done = run("tests.faults.steep", *arguments)
    assert done.returncode == 1 and "Traceback" not in done.stderr, done.stderr
    assert "study: the ranks do not have the same settings" in done.stderr
    assert not Record(tmp_path, SPEC).history()


@pytest.mark.process
def test_a_loss_that_is_no_number_ends_all_ranks(tmp_path: Path) -> None:
    """Python runs `sitecustomize` at the start of every process, and so of each rank."""
    (tmp_path / "sitecustomize.py").write_text("from tests.faults.steep import change\nchange()\n")
    runs, places = tmp_path / "runs", os.pathsep.join((str(tmp_path), str(ROOT)))
    done = train(runs, "--devices=2", PYTHONPATH=places)
    assert done.returncode == 3 and "Traceback" not in done.stderr, done.stderr
    summary = Record(runs, SPEC).summary()
    assert summary and summary["diverged"]["step"] <= 40 and summary["test/seen"] == 360
    assert Record(runs, SPEC).state() == "diverged"
    again = train(runs, "--devices=2", PYTHONPATH=places)
    assert again.returncode == 3 and Record(runs, SPEC).provenance()["resumed"] == [], (
        "it is not started again by itself"
    )
