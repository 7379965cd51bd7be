"""W&B's own sweep, agents and the launcher, against the loopback server: what people use every day."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pytest

from reports.gathering import snapshot
from study.machine.options import MachineOptions
from study.recording.folders import read_runs
from study.recording.record import Record
from study.spec import Spec
from study.sweeps import agents, grid
from study.sweeps.slices import slices
from tests.support import ENVIRONMENT, ROOT, children, run, wait_for
from tests.wandb_server import ENTITY, Faults, Server

pytestmark = pytest.mark.process

PROJECT = "resnet-study"
WANDB = str(Path(sys.executable).parent / "wandb")
SMALL = """
program: study
command: ["${env}", python, -m, study, train, "${args}"]
method: grid
parameters:
  dataset: {value: digits}
  depth: {value: 8}
  shortcut: {values: [none, A, B]}
"""


@dataclass
class Bench:
    """A server, a runs folder, and processes that know of both and of nothing else."""

    server: Server
    folder: Path

    @property
    def runs(self) -> Path:
        return self.folder / "runs"

    @property
    def environment(self) -> dict[str, str]:
        own = {"WANDB_CONFIG_DIR": str(self.folder / "config"), "NETRC": "/nowhere", "STUDY_RUNS": str(self.runs)}
        here = {"WANDB_DIR": str(self.folder), "XDG_CACHE_HOME": str(self.folder / "cache")}
        path = {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "WANDB_PROJECT": PROJECT}
        return os.environ | ENVIRONMENT | self.server.environment | own | here | path

    def start(self, *words: str, **variables: str) -> subprocess.Popen[bytes]:
        """Start a program in a session of its own, as a terminal does."""
        log = (self.folder / "output.log").open("ab")
        return subprocess.Popen(
            words, env=self.environment | variables, cwd=ROOT, stdout=log, stderr=log, start_new_session=True
        )

    def make_sweep(self, file: Path) -> str:
        """``wandb sweep``; returns the sweep's path."""
        done = subprocess.run([WANDB, "sweep", file], env=self.environment, cwd=ROOT, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        *_, made = self.server.cloud.sweeps
        return f"{ENTITY}/{PROJECT}/{made}"

    def agent(self, path: str, *flags: str, **variables: str) -> subprocess.Popen[bytes]:
        """``wandb agent``."""
        return self.start(WANDB, "agent", *flags, path, **variables)

    def gather(self, name: str, *flags: str) -> snapshot.Snapshot:
        out = self.folder / name
        done = run("reports", "gather", *flags, f"--out={out}", **self.environment)
        assert done.returncode == 0, done.stderr
        return snapshot.read(out)

    @property
    def output(self) -> str:
        return (self.folder / "output.log").read_text()


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    bench = Bench(Server(), tmp_path)
    yield bench
    for process in left_running(bench.runs):
        os.kill(process, signal.SIGKILL)
    bench.server.close()


def left_running(runs: Path) -> list[int]:
    """Processes that were told of this runs folder."""
    found = []
    for path in Path("/proc").glob("[0-9]*/environ"):
        try:
            if f"STUDY_RUNS={runs}".encode() in path.read_bytes().split(b"\0"):
                found.append(int(path.parent.name))
        except OSError:
            continue
    return found


def small(folder: Path) -> Path:
    file = folder / "small.yaml"
    file.write_text(SMALL)
    return file


def assert_trained_once_each(bench: Bench, cells: list[Spec]) -> None:
    """Every cell is one finished run here and there, with nothing lost, doubled or out of order."""
    runs, strange = read_runs(bench.runs)
    assert not strange and {r.spec for r in runs} == set(cells) and all(r.state == "finished" for r in runs)
    assert len(bench.server.cloud.runs) == len(cells), bench.output
    for r in runs:
        there = bench.server.cloud.runs[r.wandb_id or ""]
        own = [{k: v for k, v in row.items() if not k.startswith("_")} for row in there.rows]
        assert [row for row in own if "test/wrong" in row] == r.history and there.state == "finished"
    wait_for(lambda: not left_running(bench.runs), 20)


def assert_gathers_alike(bench: Bench, *states: str) -> None:
    """From W&B and from disk: the same frames, value for value, of runs in these states, ``finished`` among them."""
    there, here = bench.gather("there", f"--wandb={ENTITY}/{PROJECT}"), bench.gather("here", f"--runs={bench.runs}")
    for name in ("runs", *snapshot.PACKED):
        pd.testing.assert_frame_equal(getattr(there, name), getattr(here, name), check_exact=True)
    assert set(here.runs["state"]) == set(states) and len(here.counting) == list(here.runs["state"]).count("finished")


def test_two_agents_train_every_cell_once_and_both_sources_gather_alike(bench: Bench) -> None:
    """One of the agents trains over two ranks, as its machine's variable says."""
    path = bench.make_sweep(small(bench.folder))
    started = [bench.agent(path), bench.agent(path, STUDY_DEVICES="2")]
    assert [agent.wait(300) for agent in started] == [0, 0]
    assert_trained_once_each(bench, grid.cells(small(bench.folder)))
    assert sorted({r.covariates["world_size"] for r in read_runs(bench.runs)[0]}) == [1, 2]
    assert_gathers_alike(bench, "finished")


@pytest.mark.slow
def test_finished_cells_that_are_handed_out_are_shown_and_leave_no_run_without_a_name(bench: Bench) -> None:
    """One was trained without W&B before; then the sweep is made twice."""
    file = bench.folder / "two.yaml"
    file.write_text(SMALL.replace("[none, A, B]", "[none, A]") + "  recipe: {value: smoke}\n")
    plain, residual = grid.cells(file)
    assert bench.start(sys.executable, "-m", "study", "train", *plain.flags, "--wandb=disabled").wait(120) == 0
    for _ in range(2):
        assert bench.agent(bench.make_sweep(file)).wait(240) == 0, bench.output
    own = {Record(bench.runs, cell).provenance()["wandb_id"]: cell for cell in (plain, residual)}
    runs = bench.server.cloud.runs
    assert {sweep.state for sweep in bench.server.cloud.sweeps.values()} == {"FINISHED"}
    assert {one.state for one in runs.values()} == {"finished"}
    assert {one.fields["displayName"] for one in runs.values()} == {plain.name, residual.name}
    for run_id, cell in own.items():
        rows = [row for row in runs[run_id].rows if "test/wrong" in row]
        assert [row["step"] for row in rows] == [row["step"] for row in Record(bench.runs, cell).history()]
        assert runs[run_id].fields["jobType"] == "train" and runs[run_id].fields["notes"].startswith("Recipe smoke")
    skipped = [one for one in runs.values() if one.fields["jobType"] == "skipped"]
    assert len(skipped) == 3 == len(runs) - len(own)
    for one in skipped:
        begun = Record(bench.runs, Spec.parse(one.fields["displayName"])).provenance()
        named = begun["wandb_id"] if one is skipped[0] else begun["url"]  # the first was not in W&B yet
        assert one.fields["notes"].startswith("Skipped: ") and named in one.fields["notes"]
    found = bench.gather("there", f"--wandb={ENTITY}/{PROJECT}")
    assert found.counting["run"].tolist() == [residual.name, plain.name]
    assert found.failed.empty and len(found.excluded) == 3 and found.excluded["reason"].str.startswith("skipped").all()


@pytest.mark.slow
@pytest.mark.parametrize("project", ["", "mine"])
def test_all_ways_end_in_one_project(bench: Bench, project: str) -> None:
    """`wandb sweep`, `study launch` and `study train`: the study's own, or WANDB_PROJECT's."""
    file = bench.folder / "one.yaml"
    file.write_text(SMALL.replace("[none, A, B]", "[A]") + f"  recipe: {{value: smoke}}\nproject: {PROJECT}\n")
    own = {"WANDB_PROJECT": project}
    made = bench.start(WANDB, "sweep", str(file), **own)
    launched = bench.start(sys.executable, "-m", "study", "launch", str(file), "--gpus=cpu", **own)
    (cell,) = grid.cells(file)
    flags = (*cell.flags, "--seed=1", "--wandb=online")
    trained = bench.start(sys.executable, "-m", "study", "train", *flags, **own)
    assert [process.wait(120) for process in (made, launched, trained)] == [0, 0, 0], bench.output
    cloud = bench.server.cloud
    assert (len(cloud.sweeps), len(cloud.runs)) == (2, 2)
    assert {one.project for one in (*cloud.sweeps.values(), *cloud.runs.values())} == {project or PROJECT}


@pytest.mark.slow
def test_a_preempted_agents_cell_ends_as_if_left_alone(bench: Bench, tmp_path: Path) -> None:
    """SIGTERM to an agent in mid-run, then a new agent: one run, one history, the weights of an undisturbed one."""
    file = bench.folder / "one.yaml"
    file.write_text(SMALL.replace("[none, A, B]", "[A]") + "  seed: {value: 3}\n")
    (cell,) = grid.cells(file)
    path, record = bench.make_sweep(file), Record(bench.runs, cell)
    first = bench.agent(path, "--forward-signals")
    wait_for(lambda: len(record.history()) >= 10 or first.poll() is not None)
    first.terminate()
    assert first.wait(120) == 0, bench.output
    assert record.state() == "interrupted" and [r.state for r in bench.server.cloud.runs.values()] == ["preempted"]
    assert bench.agent(path, "--forward-signals").wait(120) == 0
    assert_trained_once_each(bench, [cell])
    assert len(record.provenance()["resumed"]) == 1
    alone = Record(tmp_path / "alone", cell)
    done = run("study", "train", *(f"--{k}={v}" for k, v in cell.factors.items()), f"--runs={alone.folder.parent}")
    assert done.returncode == 0, done.stderr
    assert len({(each.summary() or {})["weights_sha256"] for each in (record, alone)}) == 1


def kill_run(bench: Bench, record: Record) -> None:
    """As a machine does that lacks memory."""
    (process,) = [number for number in left_running(bench.runs) if record.spec.name in open_files(number)]
    os.kill(process, signal.SIGKILL)


def open_files(process: int) -> str:
    """The names of the files that a process holds open, such as the lock of the run that it trains."""
    folder = Path(f"/proc/{process}/fd")
    return " ".join(str(link.readlink()) for link in folder.iterdir())


def end_sweep(bench: Bench, flag: str) -> None:
    """``wandb sweep --cancel`` or ``--stop`` of the only sweep."""
    (sweep,) = bench.server.cloud.sweeps
    words = [WANDB, "sweep", flag, f"{ENTITY}/{PROJECT}/{sweep}"]
    subprocess.run(words, env=bench.environment, cwd=ROOT, check=True, capture_output=True)


def press_stop(bench: Bench, record: Record) -> None:
    """The dashboard's button, by the client."""
    path = f"{ENTITY}/{PROJECT}/{record.provenance()['wandb_id']}"
    words = f"import wandb; wandb.Api().run('{path}').stop()"
    subprocess.run([sys.executable, "-c", words], env=bench.environment, cwd=ROOT, check=True, capture_output=True)


@pytest.mark.slow
def test_a_run_stopped_in_w_and_b_stays_stopped_until_it_is_asked_for(bench: Bench) -> None:
    """The agent goes on with the next cell. The stopped one is left alone, by sweeps too, and then resumed as itself.

    Its state is the same wherever it is asked for.
    """
    file = bench.folder / "two.yaml"
    file.write_text(SMALL.replace("{value: 8}", "{values: [56, 8]}").replace("[none, A, B]", "[A]"))
    first, second = (Record(bench.runs, cell) for cell in grid.cells(file))
    agent = bench.agent(bench.make_sweep(file), "--forward-signals")
    wait_for(lambda: len(first.history()) >= 3 or agent.poll() is not None)
    press_stop(bench, first)
    assert agent.wait(120) == 0, bench.output
    assert (first.state(), second.state()) == ("stopped", "finished") and first.checkpoint.exists()
    assert first.stopped().startswith("stopped in W&B at 20") and not first.provenance()["resumed"]
    states = {run.fields["displayName"]: run.state for run in bench.server.cloud.runs.values()}
    assert states == {first.spec.name: "killed", second.spec.name: "finished"}
    assert_gathers_alike(bench, "finished", "stopped")
    left = run("study", "sweep", str(file), **bench.environment)
    assert left.returncode == 1 and f"{first.spec.name} was stopped in W&B at 20" in left.stderr, left.stderr
    assert first.state() == "stopped" and not first.provenance()["resumed"]
    done = run("study", "sweep", str(file), "--again", **bench.environment)
    assert done.returncode == 0 and len(bench.server.cloud.runs) == 2, done.stderr
    assert_trained_once_each(bench, grid.cells(file))


@pytest.mark.slow
def test_a_sweep_of_eight_cells_is_told_alike_everywhere(bench: Bench) -> None:
    """Two agents; one run is killed, one stopped in the dashboard, six end: so say W&B, --status and gather."""
    path = bench.make_sweep(ROOT / "sweeps" / "digits.yaml")
    deep = [Record(bench.runs, Spec("digits", 56, shortcut)) for shortcut in ("none", "A")]
    started = [bench.agent(path, "--forward-signals") for _ in range(2)]
    for record, end in zip(deep, (kill_run, press_stop), strict=True):
        wait_for(lambda record=record: len(record.history()) >= 2, 600)  # type: ignore[misc]
        end(bench, record)
    assert [agent.wait(900) for agent in started] == [0, 0], bench.output
    killed, stopped = deep
    bench.server.cloud.runs[killed.provenance()["wandb_id"]].is_silent = True
    wanted = {cell.name: "finished" for cell in grid.cells(ROOT / "sweeps" / "digits.yaml")}
    wanted |= {killed.spec.name: "interrupted", stopped.spec.name: "stopped"}
    words = {"finished": "finished", "killed": "stopped", "crashed": "interrupted"}
    assert {run.fields["displayName"]: words[run.state] for run in bench.server.cloud.runs.values()} == wanted
    shown = run("study", "sweep", "digits", "--status", **bench.environment).stdout
    listed = [line.replace("│", " ").split() for line in shown.splitlines() if "digits-" in line]
    assert {words[0]: words[1] for words in listed} == wanted, shown
    sent = run("study", "sync", str(killed.folder), **bench.environment)  # the rows that a killed run had not sent
    assert sent.returncode == 0, sent.stdout + sent.stderr
    assert_gathers_alike(bench, *set(wanted.values()))
    here = bench.gather("both", f"--runs={bench.runs}", f"--wandb={ENTITY}/{PROJECT}").runs
    assert dict(zip(here["run"], here["state"], strict=True)) == wanted


@pytest.mark.slow
def test_a_run_without_an_agent_is_stopped_in_w_and_b_after_a_checkpoint(bench: Bench) -> None:
    record = Record(bench.runs, Spec("digits", 56, "A"))
    words = [sys.executable, "-m", "study", "train", *(f"--{k}={v}" for k, v in record.spec.factors.items())]
    process = bench.start(*words)
    wait_for(lambda: len(record.history()) >= 3 or process.poll() is not None)
    press_stop(bench, record)
    assert process.wait(60) == 143, bench.output
    assert (
        record.state() == "stopped"
        and record.checkpoint.exists()
        and "give the command again with --again" in bench.output
    )
    (only,) = bench.server.cloud.runs.values()
    assert only.state == "killed" and "stopped" in only.fields["tags"]
    wait_for(lambda: not left_running(bench.runs), 20)


@pytest.mark.slow
def test_launch_trains_nothing_of_a_sweep_that_was_cancelled(bench: Bench) -> None:
    """Two cells run and one waits when ``wandb sweep --cancel`` comes."""
    file = bench.folder / "deep.yaml"
    file.write_text(SMALL.replace("{value: 8}", "{value: 56}"))
    records = [Record(bench.runs, cell) for cell in grid.cells(file)]
    process = bench.start(sys.executable, "-m", "study", "launch", str(file), "--gpus=cpu")
    wait_for(lambda: sum(len(r.history()) >= 2 for r in records) >= 2 or process.poll() is not None)
    end_sweep(bench, "--cancel")
    assert process.wait(30) == 1, bench.output
    assert "was cancelled in W&B; 3 cells left; go on with: study launch" in bench.output
    assert sorted(r.state() for r in records) == ["missing", "stopped", "stopped"]
    wait_for(lambda: not left_running(bench.runs), 20)
    shown = run("study", "sweep", str(file), "--status", **bench.environment).stdout
    assert shown.count("stopped") == 2


@pytest.mark.slow
def test_launch_leaves_the_cells_of_a_sweep_that_was_stopped(bench: Bench) -> None:
    """``wandb sweep --stop`` lets the running cell finish and hands out no other."""
    file = bench.folder / "some.yaml"
    file.write_text(SMALL.replace("[none, A, B]", "[none, A, B, C]"))
    records = [Record(bench.runs, cell) for cell in grid.cells(file)]
    process = bench.start(sys.executable, "-m", "study", "launch", str(file), "--gpus=cpu")
    wait_for(lambda: any(r.history() for r in records) or process.poll() is not None)
    end_sweep(bench, "--stop")
    assert process.wait(60) == 1, bench.output
    assert sorted(r.state() for r in records) == ["finished", "finished", "missing", "missing"]
    assert "was stopped in W&B; 2 cells left" in bench.output


@pytest.mark.slow
def test_a_run_started_elsewhere_is_resumed_as_itself(bench: Bench) -> None:
    """Handed to an agent as a new run, an interrupted cell stays the run that it was."""
    file = bench.folder / "one.yaml"
    file.write_text(SMALL.replace("[none, A, B]", "[A]"))
    (cell,) = grid.cells(file)
    record = Record(bench.runs, cell)
    words = [sys.executable, "-m", "study", "train", *(f"--{k}={v}" for k, v in cell.factors.items())]
    process = bench.start(*words)
    wait_for(lambda: len(record.history()) >= 10 or process.poll() is not None)
    process.terminate()
    assert process.wait(60) == 143
    (begun,) = bench.server.cloud.runs
    assert bench.agent(bench.make_sweep(file)).wait(120) == 0
    assert record.state() == "finished" and bench.server.cloud.runs[begun].state == "finished"
    found = bench.gather("there", f"--wandb={ENTITY}/{PROJECT}")
    assert found.counting["run"].tolist() == [cell.name] and len(found.history) == 64
    assert found.excluded["reason"].tolist() == ["skipped: an agent was given the cell, which another run has trained"]


@pytest.mark.slow
def test_launch_trains_a_sweep_from_one_command_and_what_w_and_b_lost(bench: Bench) -> None:
    """A cell that was handed out to nobody is trained all the same."""
    bench.server.cloud.lost = 1
    file = small(bench.folder)
    process = bench.start(sys.executable, "-m", "study", "launch", str(file), "--gpus=cpu")
    assert process.wait(300) == 0, bench.output
    assert {r.spec for r in read_runs(bench.runs)[0] if r.state == "finished"} == set(grid.cells(file))
    slices = [Record(bench.runs, cell).provenance()["slice"] for cell in grid.cells(file)]
    assert set(slices) == {"cpu0", "cpu1"}
    for cell, part in zip(grid.cells(file), slices, strict=True):
        assert f"{cell.name} running on {part}" in bench.output and f"{cell.name} finished on {part}" in bench.output
    assert {path.name for path in bench.folder.iterdir()} <= {"runs", "config", "cache", "output.log", "small.yaml"}
    wait_for(lambda: not left_running(bench.runs), 20)


@pytest.mark.slow
def test_launch_stops_cleanly(bench: Bench) -> None:
    """Ctrl-C: both runs checkpoint, are marked as preempted, and nothing is left running."""
    cells = grid.cells(small(bench.folder))
    records = [Record(bench.runs, cell) for cell in cells]
    process = bench.start(sys.executable, "-m", "study", "launch", str(small(bench.folder)), "--gpus=cpu")
    wait_for(lambda: sum(len(r.history()) >= 3 for r in records) >= 2 or process.poll() is not None)
    process.send_signal(signal.SIGINT)
    assert process.wait(120) == 130, bench.output
    assert {r.state() for r in records} <= {"interrupted", "finished", "missing"}
    states = [r.state for r in bench.server.cloud.runs.values()]
    assert "preempted" in states and "running" not in states
    wait_for(lambda: not left_running(bench.runs), 20)


@pytest.mark.slow
def test_the_digits_sweep_by_two_agents(bench: Bench) -> None:
    path = bench.make_sweep(ROOT / "sweeps" / "digits.yaml")
    started = [bench.agent(path), bench.agent(path, STUDY_DEVICES="2")]
    assert [agent.wait(900) for agent in started] == [0, 0]
    assert_trained_once_each(bench, grid.cells(ROOT / "sweeps" / "digits.yaml"))
    assert_gathers_alike(bench, "finished")


@pytest.mark.slow
def test_the_digits_sweep_launched(bench: Bench) -> None:
    process = bench.start(sys.executable, "-m", "study", "launch", "digits", "--gpus=cpu")
    assert process.wait(900) == 0, bench.output
    assert_trained_once_each(bench, grid.cells(ROOT / "sweeps" / "digits.yaml"))


def test_an_agent_is_told_its_slice_and_its_machine_and_nothing_of_a_surrounding_job(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Absolute folders, as an agent may start a run elsewhere; W&B's mode is the agent's own."""
    monkeypatch.chdir(tmp_path)
    for name in ("MASTER_PORT", "WORLD_SIZE", "WANDB_RUN_ID"):
        monkeypatch.setenv(name, "1")
    monkeypatch.setenv("STUDY_DATA", "elsewhere")
    options = MachineOptions(devices=2, precision="bf16", data=Path("d"), wandb="offline")
    variables = agents.environment(slices("4,5", 2)[0], options)
    assert {name: value for name, value in variables.items() if name.startswith("STUDY_")} == {
        "STUDY_SLICE": "gpu4+5",
        "STUDY_DEVICES": "2",
        "STUDY_PRECISION": "bf16",
        "STUDY_STEP": "auto",
        "STUDY_CHECKPOINT_EVERY": "0",
        "STUDY_RUNS": str(tmp_path / "runs"),
        "STUDY_DATA": str(tmp_path / "d"),
        "STUDY_SIGNALS": "False",
        "STUDY_ARTIFACT": "final",
        "STUDY_CHANGES": "refuse",
        "STUDY_AGAIN": "False",
    }
    assert variables["CUDA_VISIBLE_DEVICES"] == "4,5" and variables["WANDB_DIR"] == str(tmp_path / "runs")
    assert not {"MASTER_PORT", "WORLD_SIZE", "WANDB_RUN_ID"} & set(variables)


def test_launch_into_a_folder_that_cannot_be_written_makes_no_sweep(bench: Bench) -> None:
    (bench.folder / "file").touch()
    words = ("study", "launch", str(small(bench.folder)), "--gpus=cpu", f"--runs={bench.folder / 'file' / 'runs'}")
    done = run(*words, **bench.environment)
    assert done.returncode == 2 and "cannot be written" in done.stderr and done.stderr.count("\n") == 1, done.stderr
    assert not bench.server.cloud.sweeps


@pytest.mark.slow
def test_launch_without_an_account_or_a_server_is_one_line(bench: Bench) -> None:
    bench.server.close()
    small(bench.folder)
    for variables, says in (({"WANDB_API_KEY": ""}, "wandb login"), ({}, "W&B cannot create the sweep")):
        words = ("study", "launch", str(bench.folder / "small.yaml"), "--gpus=cpu")
        since = time.monotonic()
        done = run(*words, **bench.environment | variables)
        assert done.returncode == 2 and says in done.stderr and "python -m study sweep" in done.stderr
        assert done.stderr.count("\n") == 1 and time.monotonic() - since < 60


@pytest.mark.slow
def test_a_client_that_never_ends_does_not_hold_the_launch(bench: Bench) -> None:
    """wandb's own service process, stopped while it is asked: the launch says so and is gone all the same."""
    bench.server.faults = Faults((-1,), every=1)
    process = bench.start(sys.executable, "-m", "study", "launch", str(small(bench.folder)), "--gpus=cpu")
    wait_for(lambda: bench.server.requests > 0)
    (service,) = children(process.pid, "wandb-core")
    os.kill(service, signal.SIGSTOP)
    try:
        assert process.wait(90) == 2
    finally:
        os.kill(service, signal.SIGKILL)
    said = (bench.folder / "output.log").read_text()
    assert "W&B cannot create the sweep" in said and said.count("\n") == 1, said
