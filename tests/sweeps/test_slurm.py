"""The scripts of docs/slurm and ``study sweep --slurm``, on a real Slurm; and what is refused before it is asked."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from submitit import LocalExecutor

from study.commands import cli
from study.recording.record import Record
from study.spec import Spec
from study.sweeps import grid, slurm
from tests.slurm import Cluster, Job, cluster, missing
from tests.support import ENVIRONMENT, ROOT, SPEC, TINY_SWEEP, Start, children, refusal, run, wait_for, write_sweep
from tests.sweeps.test_agents import Bench, assert_trained_once_each, bench, small

__all__ = ["bench"]  # a fixture

DONE = Job("COMPLETED", restarts=0, exit_code="0:0")
LONG = Spec("digits", 110, "A")  # about a minute, so that the first time limit comes before its end
LONG_SWEEP = """
method: grid
parameters:
  dataset: {value: digits}
  depth: {value: 110}
  shortcut: {value: A}
"""


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A Slurm on this machine."""
    if absent := missing():
        pytest.skip(f"Slurm is missing ({', '.join(absent)}); apt-get install slurmctld slurmd munge slurm-client")
    with cluster(tmp_path_factory.mktemp("slurm")) as made:
        yield made


@pytest.fixture(scope="module")
def array(here: Cluster, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The folder in which an array of three cells was submitted and has ended, and its job."""
    folder = tmp_path_factory.mktemp("array")
    job = here.submit(
        folder, "array.sbatch", str(write_sweep(folder, TINY_SWEEP)), "--array=0-2%2", "--cpus-per-task=1"
    )
    assert here.wait(job) == [DONE] * 3
    return folder, job


def records(folder: Path) -> list[Record]:
    return [Record(folder / "runs", spec) for spec in grid.cells(folder / "sweep.yaml")]


def wait_for_rows(record: Record, more: int) -> None:
    """Wait until there are so many more evaluations."""
    rows = len(record.sound_rows()) + more
    wait_for(lambda: len(record.sound_rows()) >= rows, 300, pause=0.05)


def trained_alone(runs: Path, spec: Spec, *more: str) -> str:
    """The weights of a run that nothing disturbs."""
    done = run("study", "train", *spec.flags, f"--runs={runs}", *more)
    assert done.returncode == 0, done.stderr
    return weights(Record(runs, spec))


def sessions(log: Path) -> list[int]:
    """The restarts that a job's log tells of, in order."""
    return [int(number) for number in re.findall(r"^\S+ job \d+ on \S+, restart (\d+)$", log.read_text(), re.MULTILINE)]


def weights(record: Record) -> str:
    summary = record.summary()
    assert summary is not None
    return str(summary["weights_sha256"])


@pytest.mark.slow
@pytest.mark.process
def test_an_array_trains_each_cell_once_and_leaves_finished_ones_alone(here: Cluster, array: tuple[Path, str]) -> None:
    folder, job = array
    for record in records(folder):
        assert record.state() == "finished" and record.provenance()["resumed"] == []
    logs = [folder / f"resnet-study-{job}_{place}.log" for place in range(3)]
    assert sorted(folder.glob("*.log")) == logs
    assert [log.read_text().count("finished") for log in logs] == [1, 1, 1], "each task had one cell"
    before = [weights(record) for record in records(folder)]
    again = here.submit(folder, "array.sbatch", str(folder / "sweep.yaml"), "--array=0-2", "--cpus-per-task=1")
    assert here.wait(again) == [DONE] * 3
    assert [weights(record) for record in records(folder)] == before
    assert all(record.provenance()["resumed"] == [] for record in records(folder))


@pytest.mark.slow
@pytest.mark.process
def test_a_run_that_needs_three_limits_ends_by_itself_as_if_left_alone(
    here: Cluster, tmp_path: Path, start: Start
) -> None:
    """The first limit is Slurm's own, which looks every 30 seconds; two more warnings come when there is progress."""
    file, record = write_sweep(tmp_path, LONG_SWEEP), Record(tmp_path / "runs", LONG)
    short = ("--array=0", "--cpus-per-task=1", "--time=1", "--signal=B:USR1@60")
    job = here.submit(tmp_path, "array.sbatch", str(file), *short)
    alone = start("study", "train", *LONG.flags, f"--runs={tmp_path / 'alone'}")
    here.wait_for_requeue(job, 1)
    here.call("scontrol", "update", f"JobId={job}_0", "TimeLimit=60")
    for restarts in (2, 3):
        wait_for_rows(record, 2)
        here.warn(f"{job}_0")
        here.wait_for_requeue(job, restarts)
    assert here.wait(job) == [Job("COMPLETED", restarts=3, exit_code="0:0")]
    assert alone.wait(400) == 0 and weights(record) == weights(Record(tmp_path / "alone", LONG))
    (log,) = tmp_path.glob("*.log")
    assert log.name == f"resnet-study-{job}_0.log" and sessions(log) == [0, 1, 2, 3] and "finished" in log.read_text()


@pytest.mark.slow
@pytest.mark.process
def test_one_run_over_ranks_is_requeued_and_ends_as_if_left_alone(here: Cluster, tmp_path: Path) -> None:
    spec = Spec("digits", 8, "A")
    record = Record(tmp_path / "runs", spec)
    job = here.submit(
        tmp_path, "one_run.sbatch", "--nodes=1", "--gpus-per-node=2", "--cpus-per-task=2", "--time=10", spec.name
    )
    wait_for_rows(record, 3)
    here.warn(job)
    here.wait_for_requeue(job, 1)
    assert record.state() == "interrupted" and record.provenance()["world_size"] == 2
    assert here.wait(job) == [Job("COMPLETED", restarts=1, exit_code="0:0")]
    assert len(record.provenance()["resumed"]) == 1
    assert weights(record) == trained_alone(tmp_path / "alone", spec, "--devices=2")
    log = tmp_path / f"resnet-run-{job}.log"
    assert sessions(log) == [0, 1] and "stopped by SIGTERM, checkpoint written" in log.read_text()


@pytest.mark.slow
@pytest.mark.process
def test_an_agent_at_its_limit_comes_back_and_its_run_with_it(here: Cluster, bench: Bench) -> None:
    sweep, first = bench.make_sweep(small(bench.folder)), Record(bench.runs, Spec("digits", 8, "none"))
    own = {name: value for name, value in bench.environment.items() if os.environ.get(name) != value}
    own |= {"PATH": here.environment["PATH"]}
    job = here.submit(bench.folder, "agents.sbatch", "--array=0-1", "--cpus-per-task=1", sweep, **own)
    wait_for_rows(first, 3)
    here.warn(f"{job}_0")
    assert here.wait(job) == [replace(DONE, restarts=1), DONE]
    assert_trained_once_each(bench, grid.cells(bench.folder / "small.yaml"))
    assert len(first.provenance()["resumed"]) == 1
    log = bench.folder / f"resnet-agent-{job}_0.log"
    assert sessions(log) == [0, 1] and "W&B's client failed" not in log.read_text(), "the agent alone was told"


@pytest.mark.slow
@pytest.mark.process
def test_a_sweep_submits_its_cells_and_they_come_back_after_a_limit(
    here: Cluster, array: tuple[Path, str], tmp_path: Path
) -> None:
    file = write_sweep(tmp_path, TINY_SWEEP)
    words = (
        "study",
        "sweep",
        str(file),
        f"--runs={tmp_path / 'runs'}",
        "--slurm=time=10,partition=main,cpus=1,parallel=2",
    )
    done = run(*words, **here.environment)
    assert done.returncode == 0, done.stderr
    job = done.stdout.split()[1].rstrip(":")
    logs = [Path(line.split()[1]) for line in done.stdout.splitlines()[1:]]
    first, *rest = records(tmp_path)
    wait_for_rows(first, 3)
    here.warn(f"{job}_0", "USR2")
    assert here.wait(job) == [replace(DONE, restarts=1), DONE, DONE]
    assert [len(record.provenance()["resumed"]) for record in (first, *rest)] == [1, 0, 0]
    assert [weights(record) for record in (first, *rest)] == [weights(record) for record in records(array[0])]
    assert all(f"{record.spec.name}: " in log.read_text() for record, log in zip((first, *rest), logs, strict=True))
    again = run(*words, **here.environment)
    assert again.returncode == 0 and "nothing to submit" in again.stdout
    refused = run(*words[:3], f"--runs={tmp_path / 'more'}", "--slurm=time=10,partition=gpu", **here.environment)
    assert refused.returncode == 2
    assert refused.stderr.count("\n") == 1 and "Invalid partition" in refused.stderr


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        ("time=1:00:00,parttion=gpu", "did you mean partition?"),
        ("time=1:00:00,nonsense=1", "there are: time, partition"),
        ("partition=gpu", "time=24:00:00"),
        ("time=soon", "minutes, HH:MM:SS or DAYS-HH:MM:SS"),
        ("time=0", "minutes, HH:MM:SS or DAYS-HH:MM:SS"),
        ("time=60,gpus=two", "not a whole number"),
        ("time=60,gpus=0", "not a whole number"),
        ("time=60,account=", "account=VALUE"),
        ("", "key '' is unknown"),
    ],
)
def test_a_request_that_cannot_be_is_refused(asked: str, says: str) -> None:
    assert says in refusal(cli.run, "sweep", "digits", f"--slurm={asked}")


def test_times_are_slurms() -> None:
    texts = ("90", "00:30:00", "24:00:00", "1-00:30:00", "00:00:01")
    assert [slurm.read_request(f"time={text}")["time"] for text in texts] == [90, 30, 1440, 1470, 1]


def test_without_slurm_it_says_where_to_submit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "login node" in refusal(cli.run, "sweep", "digits", "--slurm=time=60", f"--runs={tmp_path / 'runs'}")
    assert not (tmp_path / "runs").exists()


@pytest.mark.process
def test_a_job_that_is_stopped_is_requeued_where_its_run_was(
    undisturbed: Record, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    """By submitit's executor for one machine, which requeues as the one for Slurm does."""
    for name, value in {**ENVIRONMENT, "PYTHONPATH": str(ROOT)}.items():
        monkeypatch.setenv(name, value)
    record = Record(tmp_path / "runs", SPEC)
    made = LocalExecutor(tmp_path / "jobs")
    made.update_parameters(timeout_min=5)
    job = made.submit(slurm.Training(grid.command(SPEC, [f"--runs={tmp_path / 'runs'}"])))
    request.addfinalizer(job.cancel)
    wait_for_rows(record, 1)
    (task,) = children(int(job.job_id))
    os.kill(task, signal.SIGUSR2)
    wait_for(job.done, pause=0.1)
    assert "Requeued job" in (job.stdout() or "") and record.state() == "finished", job.stderr()
    assert len(record.provenance()["resumed"]) == 1 and weights(record) == weights(undisturbed)


@pytest.mark.process
def test_without_submitit_it_says_what_to_install(tmp_path: Path) -> None:
    """In a Python that does not see the package."""
    hidden = "import sys; sys.modules['submitit'] = None; from study.sweeps import slurm; slurm._check_installed()"
    done = subprocess.run([sys.executable, "-c", hidden], capture_output=True, text=True)
    assert "pip install 'resnet-study[slurm]'" in done.stderr


@pytest.mark.parametrize(("asked", "says"), [("8", "cells 0 to 7"), ("3-1", "cells 0 to 7"), ("x", "--only=0,4-7")])
def test_a_cell_that_is_not_in_the_file_is_refused(asked: str, says: str) -> None:
    assert says in refusal(cli.run, "sweep", "digits", f"--only={asked}", "--dry-run")


def test_cells_are_chosen_in_the_order_of_a_dry_run(capsys: pytest.CaptureFixture[str]) -> None:
    cli.run(["sweep", "digits", "--dry-run"])
    every = capsys.readouterr().out.splitlines()
    cli.run(["sweep", "digits", "--dry-run", "--only=7,0-2,1"])
    assert capsys.readouterr().out.splitlines() == [every[place] for place in (0, 1, 2, 7)]
