"""Runs in real processes that are killed at awkward moments or stopped by a signal, and go on to the very same end."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from study.recording.record import FIGURES, Record
from tests.support import CELL, SPEC, Start, train, values, wait_for


def test_a_run_killed_again_and_again_ends_as_one_left_alone(undisturbed: Record, tmp_path: Path, start: Start) -> None:
    """SIGKILL before the first checkpoint, between evaluations, and in the middle of writing a checkpoint."""
    record = Record(tmp_path, SPEC)
    arguments = ("study", "train", *CELL, f"--runs={tmp_path}")

    def kill_when(condition: Callable[[subprocess.Popen[str]], bool]) -> None:
        process = start(*arguments)
        wait_for(lambda: condition(process) or process.poll() is not None, pause=0)
        assert process.poll() is None, process.communicate()[0]
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()

    torn = record.checkpoint.with_suffix(".tmp")

    def in_mid_write(process: subprocess.Popen[str]) -> bool:
        """Stop the process where it stands, and see whether it stands in the middle of a checkpoint."""
        if not torn.exists():
            return False
        os.killpg(process.pid, signal.SIGSTOP)
        time.sleep(0.02)
        if not torn.exists():
            os.killpg(process.pid, signal.SIGCONT)
        return torn.exists()

    kill_when(lambda _: (record.folder / "provenance.json").exists())
    assert not record.checkpoint.exists()
    kill_when(lambda _: len(record.history()) >= 9)
    kill_when(in_mid_write)
    assert torn.exists(), "the kill came while a checkpoint was being written"
    kill_when(lambda _: len(record.history()) >= 40)
    done = train(tmp_path)
    assert done.returncode == 0, done.stderr
    assert_equal_records(record, undisturbed)
    assert len(record.provenance()["resumed"]) == 4


def assert_equal_records(one: Record, other: Record) -> None:
    assert values(one) == values(other)
    summaries = [record.summary() for record in (one, other)]
    assert summaries[0] and summaries[1] and summaries[0]["weights_sha256"] == summaries[1]["weights_sha256"]
    for figure in FIGURES:
        assert one.figure(figure) == other.figure(figure) is not None


@pytest.mark.slow
def test_each_signal_ends_the_step_and_leaves_a_checkpoint(undisturbed: Record, tmp_path: Path, start: Start) -> None:
    record = Record(tmp_path, SPEC)
    for signum, after in ((signal.SIGTERM, 5), (signal.SIGUSR1, 20), (signal.SIGINT, 35)):
        process = start("study", "train", *CELL, f"--runs={tmp_path}")
        wait_for(lambda after=after, process=process: len(record.history()) >= after or process.poll() is not None)
        process.send_signal(signum)
        output = process.communicate(timeout=60)[0]
        assert process.returncode == 128 + signum, output
        assert "the same command goes on from step" in output
        assert record.state() == "interrupted"
    assert train(tmp_path).returncode == 0
    assert_equal_records(record, undisturbed)


@pytest.mark.slow
def test_two_ranks_resume_exactly(two_ranks: Record, tmp_path: Path, start: Start) -> None:
    record = Record(tmp_path, SPEC)
    process = start("study", "train", *CELL, f"--runs={tmp_path}", "--devices=2")
    wait_for(lambda: len(record.history()) >= 20 or process.poll() is not None)
    process.send_signal(signal.SIGTERM)
    assert process.communicate(timeout=60) and process.returncode == 143
    assert train(tmp_path, "--devices=2").returncode == 0
    assert_equal_records(record, two_ranks)


def test_a_killed_parent_takes_its_ranks_with_it(tmp_path: Path, start: Start) -> None:
    record = Record(tmp_path, SPEC)
    process = start("study", "train", *CELL, f"--runs={tmp_path}", "--devices=2")
    wait_for(lambda: len(record.history()) >= 2 or process.poll() is not None)
    ranks = subprocess.run(["pgrep", "-f", f"runs={tmp_path}"], capture_output=True, text=True).stdout.split()
    assert str(process.pid) in ranks and len(ranks) == 2
    process.kill()
    wait_for(lambda: not subprocess.run(["pgrep", "-f", f"runs={tmp_path}"], capture_output=True).stdout, seconds=10)
