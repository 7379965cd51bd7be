"""Runs in real processes that are killed at awkward moments or stopped by a signal, and resume to the identical end."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

import pytest

from study.recording.record import MEASUREMENTS, Record
from tests.support import CELL, ENVIRONMENT, ROOT, SPEC, Start, command, has_stopped, run, train, values, wait_for


def signalled(runs: Path, signum: str, moment: str, *more: str, **environment: str) -> str:
    """Train until the process sends itself the signal at that moment; returns what it said."""
    done = run("tests.signalled", signum, moment, "study", "train", *CELL, f"--runs={runs}", *more, **environment)
    number = signal.Signals[signum]
    caught = signum not in ("SIGKILL", "SIGXFSZ")
    assert done.returncode == (128 + number if caught else -number), done.stdout + done.stderr
    return done.stderr


def steps(record: Record) -> list[int]:
    return [row["step"] for row in record.history()]


def test_a_run_killed_again_and_again_ends_as_one_left_alone(undisturbed: Record, tmp_path: Path) -> None:
    """Before the first row, between evaluations, between a row and its checkpoint, and in mid-checkpoint."""
    record = Record(tmp_path, SPEC)

    signalled(tmp_path, "SIGKILL", "open:metrics.jsonl:1")
    assert not record.history() and not record.checkpoint.exists()
    signalled(tmp_path, "SIGKILL", "call:batch:13")
    assert steps(record) == [5, 10]
    signalled(tmp_path, "SIGKILL", "rename:last.tmp:3")
    assert steps(record) == [5, 10, 15, 20, 25] and record.checkpoint.with_suffix(".tmp").exists()
    signalled(tmp_path, "SIGXFSZ", "write:100000")
    torn = record.checkpoint.with_suffix(".tmp").stat().st_size
    assert torn == 100_000 < record.checkpoint.stat().st_size, "half a checkpoint"
    assert steps(record) == [5, 10, 15, 20, 25], "the row whose checkpoint was lost is not recorded twice"

    done = train(tmp_path)
    assert done.returncode == 0, done.stderr
    assert_equal_records(record, undisturbed)
    assert len(record.provenance()["resumed"]) == 4


def assert_equal_records(one: Record, other: Record) -> None:
    assert values(one) == values(other)
    summaries = [record.summary() for record in (one, other)]
    assert summaries[0] and summaries[1] and summaries[0]["weights_sha256"] == summaries[1]["weights_sha256"]
    for name in MEASUREMENTS:
        assert one.measurement(name) == other.measurement(name) is not None


def assert_goes_on(record: Record, undisturbed: Record) -> None:
    """The same command goes on without a word, to the same end."""
    done = train(record.folder.parent)
    assert done.returncode == 0 and not done.stderr, done.stderr
    assert_equal_records(record, undisturbed)


def test_a_run_killed_after_its_last_checkpoint_still_leaves_all_its_files(undisturbed: Record, tmp_path: Path) -> None:
    """No step and no evaluation is left to do then, but the files of a finished run are still to be written."""
    record = Record(tmp_path, SPEC)
    signalled(tmp_path, "SIGKILL", "rename:responses.tmp:1")
    assert steps(record) == steps(undisturbed) and record.state() == "interrupted"
    assert record.measurement("confusion") is None
    assert_goes_on(record, undisturbed)


@pytest.mark.slow
def test_each_signal_ends_the_step_and_leaves_a_checkpoint(undisturbed: Record, tmp_path: Path) -> None:
    record = Record(tmp_path, SPEC)
    for signum, batch, step in (("SIGTERM", 13, 13), ("SIGUSR1", 9, 22), ("SIGINT", 12, 34)):
        output = signalled(tmp_path, signum, f"call:batch:{batch}")
        assert f"to resume at step {step}" in output
        assert record.state() == "interrupted"
    assert train(tmp_path).returncode == 0
    assert_equal_records(record, undisturbed)


@pytest.mark.slow
def test_a_checkpoint_that_cannot_be_written_leaves_the_one_before(undisturbed: Record, tmp_path: Path) -> None:
    """As on a full disk: the kernel refuses what goes beyond 100 KiB, a sixth of a checkpoint."""
    record = Record(tmp_path, SPEC)
    signalled(tmp_path, "SIGTERM", "call:batch:13")
    before = record.checkpoint.read_bytes()

    limited = [
        "bash",
        "-c",
        'ulimit -f 100; exec "$@"',
        "bash",
        *command("study", "train", *CELL, f"--runs={tmp_path}"),
    ]
    done = subprocess.run(limited, env=os.environ | ENVIRONMENT, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 1 and "File too large" in done.stderr
    assert record.checkpoint.read_bytes() == before and steps(record)[:2] == [5, 10]

    assert train(tmp_path).returncode == 0
    assert_equal_records(record, undisturbed)


@pytest.mark.slow
def test_two_ranks_resume_exactly(two_ranks: Record, tmp_path: Path) -> None:
    signalled(tmp_path, "SIGTERM", "call:batch:13", "--devices=2")
    assert train(tmp_path, "--devices=2").returncode == 0
    assert_equal_records(Record(tmp_path, SPEC), two_ranks)


@pytest.mark.process
def test_a_killed_parent_takes_its_ranks_with_it(tmp_path: Path, start: Start) -> None:
    moment = ("SIGSTOP", "open:metrics.jsonl:2")
    process = start("tests.signalled", *moment, "study", "train", *CELL, f"--runs={tmp_path}", "--devices=2")
    wait_for(lambda: has_stopped(process.pid) or process.poll() is not None)
    ranks = subprocess.run(["pgrep", "-f", f"runs={tmp_path}"], capture_output=True, text=True).stdout.split()
    assert str(process.pid) in ranks and len(ranks) == 2
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    wait_for(lambda: not subprocess.run(["pgrep", "-f", f"runs={tmp_path}"], capture_output=True).stdout, seconds=10)
