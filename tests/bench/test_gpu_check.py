"""The first half hour on a GPU, without one: the rules on recorded results, the report, and whole rehearsals."""

from __future__ import annotations

import os
import resource
import shutil
import signal
import subprocess
import sys
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from filelock import FileLock

from study.bench.gpu_check import child, probe, rules
from study.bench.gpu_check.candidates import Candidate
from study.bench.gpu_check.child import Ended
from study.bench.gpu_check.judge import judge
from study.bench.gpu_check.losses import losses
from study.bench.gpu_check.report import report
from study.bench.gpu_check.run import Call, say
from study.bench.gpu_check.scale import FULL, REHEARSAL
from study.bench.gpu_check.stages import Setup, Stage, plan
from study.bench.gpu_check.state import Result, State, Status
from study.commands import cli as study
from study.commands.cli import parser
from study.commands.flags import read_options
from study.machine.options import MachineOptions
from study.recording.bench_lines import read
from study.recording.record import Record
from study.spec import InputError
from tests.fixtures.make_images import make_cifar10
from tests.support import ROOT, SPEC, Start, refusal, run, wait_for
from tests.training import standin

PLAIN, GRAPH, HALF = Candidate("plain", "tf32"), Candidate("graph", "tf32"), Candidate("graph", "bf16")
FUSED = Candidate("fused-graph", "bf16", is_extra=True)
LOSSES = {"what": "losses", "dataset": "cifar10", "step_path": "graph", "losses": [2.5, 2.25, 2.0]}


def result(stage: str, status: Status = "passed", part: int = 2, **line: Any) -> Result:
    lines = ({"what": stage.partition("-")[0], **line},) if line else ()
    return Result(stage, part, status, 10.0, lines, ended="2026-11-25T12:00:00+00:00")


def timed(depth: int, way: Candidate, ms: float) -> Result:
    return result(f"step-cifar10-{depth}-{way.name}", ms_per_step=ms, images_per_second=128e3 / ms)


def found(folder: Path, *results: Result) -> State:
    """The state after these results, written and read again."""
    folder.mkdir(exist_ok=True)
    state = State(folder)
    for each in results:
        state.add(each)
    return State(folder)


def setup(folder: Path) -> Setup:
    return Setup(folder, folder / "data", FULL)


def names(folder: Path, state: State) -> list[str]:
    return [stage.name for stage in plan(setup(folder), state)]


def stage(name: str, **changes: Any) -> Stage:
    return replace(Stage(name, 2, name, (), 60.0), **changes)


def ended(status: int | None, *words: str) -> Ended:
    return Ended(status, 60.0, "", words)


def test_what_was_found_is_read_as_it_was_written(tmp_path: Path) -> None:
    written = [timed(20, PLAIN, 8.0), result("data", "absent"), replace(result("jobs", "failed"), words=("a", "b"))]
    state = found(tmp_path, *written)
    assert state.results == written and state.latest["jobs"].words == ("a", "b")
    assert [path.name for path in tmp_path.iterdir()] == ["state.jsonl"], "no temporary file is left"


def test_the_last_result_of_a_stage_counts(tmp_path: Path) -> None:
    state = found(tmp_path, result("data", "absent"), result("data"))
    assert state.passed("data") and len(state.results) == 2


@pytest.mark.parametrize("text", ["{}\n", "not json\n", '{"stage": "data"}\n', "[1]\n"])
def test_a_broken_state_is_refused_in_one_line(tmp_path: Path, text: str) -> None:
    (tmp_path / "state.jsonl").write_text(text)
    with pytest.raises(InputError, match=r"state\.jsonl holds a line that is no result .*; move it away"):
        State(tmp_path)


@pytest.mark.parametrize(
    ("step", "off", "says"),
    [
        (1, 0.9e-4, ""),
        (1, 1.1e-4, "the loss of step 1 is 2.00011, and on the CPU 2: off by 0.00011, and 0.0001 is allowed"),
        (5, 0.9e-3, ""),
        (5, 1.1e-3, "the loss of step 5 is 2.0011, and on the CPU 2: off by 0.0011, and 0.001 is allowed"),
        (20, 0.04, ""),
        (6, -0.06, "the loss of step 6 is 1.94, and on the CPU 2: off by 0.06, and 0.05 is allowed"),
        (20, float("nan"), "the loss of step 20 is nan, and on the CPU 2: off by nan, and 0.05 is allowed"),
    ],
)
def test_losses_may_differ_by_what_another_order_of_sums_makes(step: int, off: float, says: str) -> None:
    losses = [2.0] * 20
    losses[step - 1] += off
    assert rules.loss_difference({"losses": losses}, {"losses": [2.0] * 20}) == says


def test_losses_that_are_not_there_are_not_right() -> None:
    assert rules.loss_difference({}, LOSSES) == "0 losses were measured and 3 on the CPU"
    assert rules.loss_difference(LOSSES, {}) == "3 losses were measured and 0 on the CPU"


@pytest.mark.parametrize("stage", ["digits-graph", "digits-plain", "losses-cifar10-graph", "losses-digits-plain"])
def test_a_step_that_is_wrong_or_does_not_end_stops_all_cells(tmp_path: Path, stage: str) -> None:
    state = found(tmp_path, timed(20, PLAIN, 8.0), result("data"), replace(result(stage, "failed"), why="no summary"))
    assert rules.why_no_cells(state, FULL) == f"{stage} failed (no summary)"
    call = Call(setup(tmp_path), 600, retries=False)
    assert not [each.name for each in call.waiting() if each.part == 4]
    assert [each.name for each in call.waiting() if each.part < 4], "what does not depend on it goes on"


def test_an_extra_way_that_fails_stops_no_cell(tmp_path: Path) -> None:
    wrong = result("losses-cifar10-fused-graph", "failed")
    state = found(
        tmp_path, timed(20, PLAIN, 8.0), result("data"), wrong, result("losses-cifar10-compiled-graph", "refused")
    )
    assert rules.why_no_cells(state, FULL) == ""


def test_without_a_step_time_there_is_no_best_way(tmp_path: Path) -> None:
    state = found(tmp_path, result("data"), result("step-cifar10-20-plain-tf32", "failed", ms_per_step=1.0))
    assert rules.best(state, FULL, 20) is None
    assert rules.why_no_cells(state, FULL) == "no step has been measured yet"


def test_the_best_way_is_the_fastest_at_the_nearest_depth(tmp_path: Path) -> None:
    state = found(tmp_path, timed(20, GRAPH, 1.0), timed(20, HALF, 1.2), timed(110, GRAPH, 5.0), timed(110, HALF, 4.0))
    assert [rules.best(state, FULL, depth) for depth in (20, 32, 56, 110, 1202)] == [GRAPH, GRAPH, HALF, HALF, HALF]


@pytest.mark.parametrize(("ms", "expected"), [(3.7, GRAPH), (3.6, FUSED)])
def test_an_extra_way_must_be_clearly_faster(tmp_path: Path, ms: float, expected: Candidate) -> None:
    state = found(tmp_path, timed(110, GRAPH, 4.0), timed(110, FUSED, ms))
    assert rules.best(state, FULL, 110) == expected


def test_an_extra_way_that_gains_too_little_is_left_at_larger_depths(tmp_path: Path) -> None:
    state = found(tmp_path, result("data"), timed(20, GRAPH, 1.0), timed(20, FUSED, 0.95))
    assert rules.is_left(state, FULL, FUSED, 110) and not rules.is_left(state, FULL, FUSED, 20)
    assert "step-cifar10-110-fused-graph-bf16" not in names(tmp_path, state)
    assert "step-cifar10-110-compiled-graph-bf16" in names(tmp_path, state)


@pytest.mark.parametrize(("ms", "is_due"), [(2.9, True), (2.6, False)])
def test_a_captured_step_below_three_times_the_plain_one_is_profiled(tmp_path: Path, ms: float, is_due: bool) -> None:
    state = found(tmp_path, result("data"), timed(20, PLAIN, 8.0), timed(20, GRAPH, ms))
    assert ("profile" in names(tmp_path, state)) == is_due


def test_without_cifar10_digits_are_measured_and_no_cell_is_planned(tmp_path: Path) -> None:
    before, after = (
        names(tmp_path, found(tmp_path, result("data", "absent"))),
        names(tmp_path, found(tmp_path, result("data"))),
    )
    assert (
        "step-digits-20-graph-tf32" in before
        and "step-digits-110-graph-tf32" not in before
        and not [name for name in before if "cifar10" in name]
    )
    assert "step-cifar10-20-graph-tf32" in after and not [name for name in after if name.startswith("step-digits")]
    assert len(set(after)) == len(after)


def test_missing_data_are_looked_for_by_the_next_call(tmp_path: Path) -> None:
    found(tmp_path, result("versions", part=1), result("data", "absent"), result("reference-digits", "failed"))
    waiting = [each.name for each in Call(setup(tmp_path), 600, retries=False).waiting()]
    assert {"versions", "data"} <= set(waiting) and "reference-digits" not in waiting
    assert "reference-digits" in [each.name for each in Call(setup(tmp_path), 600, retries=True).waiting()]


def test_a_call_keeps_its_last_minute_free(tmp_path: Path) -> None:
    call = Call(setup(tmp_path), 540, retries=False)
    assert call.seconds_for(stage("x", limit=1e9, part=4)) == pytest.approx(480, abs=5)
    assert not list(Call(setup(tmp_path), 5, retries=False).waiting()), "five seconds are too few for anything"


def test_a_cell_that_was_stopped_has_another_turn_when_nothing_else_waits(tmp_path: Path) -> None:
    """Cells alone can be left: of the rest, all have passed."""
    state = found(tmp_path, result("data"), timed(20, GRAPH, 1.0))
    rest = [result(each.name, part=each.part) for each in plan(setup(tmp_path), state) if each.part < 4]
    cells = [f"cell-{each.spec.name}" for each in FULL.cells]
    stopped = [replace(result(name, part=4), status="unfinished") for name in cells[:2]]
    found(tmp_path, *rest, timed(20, GRAPH, 1.0), *stopped, *(result(name, part=4) for name in cells[2:]))
    call = Call(setup(tmp_path), 1500, retries=False)
    assert [each.name for each in call.waiting()] == ["versions", *cells[:2]]
    call.tried |= {"versions", *cells[:2]}
    assert not list(call.waiting())
    turn = call.next_turn()
    assert turn and turn.name == cells[0] and "versions" in call.tried
    call.end = 0.0
    assert call.next_turn() is None, "no time is left"


def test_a_part_that_has_used_its_time_is_left_for_the_next_one(tmp_path: Path) -> None:
    slow = replace(result("losses-cifar10-fused-graph", "failed", part=3), seconds=400.0)
    found(tmp_path, result("data"), result("reference-cifar10"), timed(20, GRAPH, 1.0), slow)
    call = Call(setup(tmp_path), 1500, retries=False)
    parts = {each.part for each in call.waiting()}
    assert 3 not in parts and 4 in parts
    assert call.obstacles()["jobs"] == "part 3 has used its 6 minutes"
    again = Call(setup(tmp_path), 1500, retries=True)
    assert slow.stage in [each.name for each in again.waiting()], "what is run again has its time back"


@pytest.mark.parametrize(
    ("changes", "process", "is_cut", "expected"),
    [
        ({}, ended(0), False, ("passed", "")),
        ({}, ended(1, "Traceback", "ValueError: x", ""), False, ("failed", "ended with status 1: ValueError: x")),
        ({}, ended(-11), False, ("failed", "was killed by SIGSEGV: it printed nothing")),
        ({}, ended(2, "study: no compiler"), False, ("failed", "ended with status 2: study: no compiler")),
        ({"is_extra": True}, ended(2, "study: no compiler"), False, ("refused", "study: no compiler")),
        ({}, ended(None), False, ("failed", "it took longer than its limit of 60 s")),
        ({}, ended(None), True, ("unfinished", "the time was up after 60 s; a later call repeats it")),
        (
            {"goes_on": True},
            ended(None),
            False,
            ("unfinished", "stopped after 60 s, at or after step 0; its turn comes again"),
        ),
    ],
)
def test_how_a_process_ended_is_said(
    tmp_path: Path, changes: dict[str, Any], process: Ended, is_cut: bool, expected: tuple[str, str]
) -> None:
    assert judge(FULL, stage("x", **changes), process, [], State(tmp_path), is_cut) == expected


def test_a_stage_whose_process_ended_well_can_still_be_wrong(tmp_path: Path) -> None:
    state = found(tmp_path, result("reference-cifar10", **{k: v for k, v in LOSSES.items() if k != "what"}))
    state.latest["reference-cifar10"].lines[0]["what"] = "losses"
    state = found(tmp_path, replace(state.results[0], lines=(LOSSES,)))
    compared = stage("losses-cifar10-graph", needs=("reference-cifar10",))
    assert judge(FULL, compared, ended(0), [LOSSES], state, False) == ("passed", "")
    status, why = judge(FULL, compared, ended(0), [LOSSES | {"losses": [2.5, 2.25, 2.1]}], state, False)
    assert status == "failed" and "off by 0.1" in why
    assert judge(FULL, stage("step-cifar10-20-graph-tf32"), ended(0), [], state, False)[1] == "it printed no step time"
    fallen = [{"what": "machine", "step_path": "plain"}, {"what": "step", "ms_per_step": 1.0}]
    timing = stage("step-digits-8-compiled-32", step="compiled")
    assert judge(REHEARSAL, timing, ended(0, "no compiler"), fallen, state, False) == (
        "refused",
        "its steps were plain: no compiler",
    )
    skipped = [{"what": "tests", "report": "9 skipped in 3 s"}]
    assert judge(FULL, stage("tests"), ended(0), skipped, state, False)[0] == "failed", "a GPU, and no test ran on it"
    assert judge(REHEARSAL, stage("tests"), ended(0), skipped, state, False)[0] == "passed"


def test_the_report_says_what_was_found_and_what_to_do(tmp_path: Path) -> None:
    device = {"what": "device", "name": "NVIDIA H100", "driver": "570.86"}
    failed = replace(
        result("losses-cifar10-fused-graph", "failed", part=3),
        why="off by 0.1",
        words=("last words",),
        command="python -m x",
    )
    state = found(
        tmp_path,
        replace(result("versions", part=1), lines=(device,)),
        result("data"),
        replace(result("reference-cifar10"), lines=(LOSSES,)),
        replace(result("losses-cifar10-graph"), lines=(LOSSES,)),
        timed(20, PLAIN, 8.0),
        timed(20, GRAPH, 2.0),
        failed,
    )
    call = Call(setup(tmp_path), 600, retries=False)
    text = report(FULL, tmp_path, state, call.obstacles())
    assert text.startswith("# The first half hour on a GPU") and "rehearsal" not in text.lower()
    assert "device: name NVIDIA H100, driver 570.86" in text
    assert "- Device: NVIDIA H100\n- Losses like the CPU's: cifar10-graph passed, cifar10-fused-graph failed\n" in text
    assert "- Fastest at 20 layers: graph-tf32, 2 ms a step\n" in text
    assert "| cifar10 | graph | 3 | 2 | 2 | 0.0e+00 | 0.0e+00 | 0.0e+00 | passed |" in text
    assert "| cifar10 | 20 | graph-tf32 | 2 | 6.4e+04 | 4 | 2.133 | – |" in text
    assert "Train with `--step=graph --precision=tf32`" in text
    assert "### losses-cifar10-fused-graph: failed" in text and "$ python -m x\nlast words" in text
    assert f"--out={tmp_path} --retry" in text
    assert "- `cell-cifar10-110-A-paper-s0`: for another call" in text
    assert "- `step-cifar10-20-fused-graph-bf16`: needs losses-cifar10-fused-graph" in text


def test_calls_on_other_machines_are_said_to_be_so(tmp_path: Path) -> None:
    first, second = ({"what": "device", "name": name} for name in ("NVIDIA H100", "NVIDIA H200"))
    versions = replace(result("versions", part=1), lines=(first,))
    state = found(tmp_path, versions, replace(versions, lines=(second,)))
    text = report(FULL, tmp_path, state, {})
    assert "do not compare their times" in text
    assert "do not compare" not in report(FULL, tmp_path, found(tmp_path / "x", versions, versions), {})


def test_every_command_of_the_plan_is_accepted(tmp_path: Path) -> None:
    """With all that can be found, so that every stage is planned; the numbers are made up."""
    everything = [timed(turn.depth, way, 10.0 / (1 + way.is_extra)) for turn in FULL.timed for way in FULL.candidates]
    state = found(tmp_path, result("data"), *everything)
    rehearsed = found(tmp_path / "rehearsal", result("step-digits-8-plain-32", ms_per_step=1.0))
    stages = [*plan(setup(tmp_path), state), *plan(Setup(tmp_path, tmp_path, REHEARSAL), rehearsed)]
    assert {stage.part for stage in stages} == {1, 2, 3, 4} and len(stages) > 50
    for each in stages:
        match each.command[1], each.command[2:]:
            case "study", arguments:
                options = parser().read(arguments)
                read_options(options)
            case "study.bench.gpu_check.probe", arguments:
                probe.parser().parse_args(arguments)
            case module, arguments:
                assert module == "pytest" and all((ROOT / word).exists() for word in arguments if word.endswith(".py"))


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], "there is no GPU here; to run the same stages on the CPU, add --rehearse"),
        (["--rehearse", "--minutes=0"], "--minutes=0.0 must be at least 0.5"),
        (["--rehearse", "--minutes=nan"], "--minutes=nan must be at least 0.5"),
        (["--rehearse", "--out={file}/x"], "{file}/x cannot be written (Not a directory); give another"),
        (["--rehearse", "--out={gpu}"], "{gpu} holds the results of a check on a GPU; give another folder"),
        (["--rehearse", "--out={broken}"], "{broken}/state.jsonl holds a line that is no result"),
    ],
)
@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_check_that_cannot_be(tmp_path: Path, arguments: list[str], says: str) -> None:
    places = {name: str(tmp_path / name) for name in ("file", "gpu", "broken")}
    (tmp_path / "file").touch()
    found(tmp_path / "gpu", result("data"))
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "state.jsonl").write_text("x\n")
    given = [argument.format(**places) for argument in arguments]
    assert refusal(study.run, "gpu-check", *given).startswith(says.format(**places))


def test_two_checks_do_not_share_a_folder(tmp_path: Path) -> None:
    with FileLock(tmp_path / ".lock"):
        assert refusal(study.run, "gpu-check", "--rehearse", f"--out={tmp_path}").startswith("another check works in")


def test_a_full_disk_leaves_the_results_that_are_there(tmp_path: Path) -> None:
    """The kernel refuses to let a file grow, as a full disk does."""
    state = found(tmp_path, result("data"))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        with pytest.raises(OSError, match="too large"):
            state.add(replace(result("jobs"), why="x" * 10_000))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert [each.stage for each in State(tmp_path).results] == ["data"]


def test_captured_losses_are_the_plain_ones_on_a_stand_in(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three steps before the capture and six after it, on a tape in place of CUDA's graph."""
    log = standin.install(monkeypatch)
    plain, captured = (losses(SPEC, MachineOptions(precision="32"), mode, 9) for mode in ("plain", "graph"))
    assert rules.loss_difference({"losses": captured}, {"losses": plain}) == "" and len(plain) == 9
    assert log.captures == 1
    late = [*captured[:6], *captured[5:8]]
    assert rules.loss_difference({"losses": late}, {"losses": plain}), "one batch late"


def test_a_check_goes_on_when_nobody_reads_it(monkeypatch: pytest.MonkeyPatch) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    unread = open(writer, "w")  # noqa: SIM115 - closing it raises, as what it holds cannot be written
    monkeypatch.setattr(sys, "stdout", unread)
    say("first")
    say("second", end="")
    with pytest.raises(BrokenPipeError):
        unread.close()


STUBBORN = """
import signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print(subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"]).pid, flush=True)
print("the last words", file=sys.stderr, flush=True)
time.sleep(600)
"""


@pytest.mark.process
def test_a_process_that_hangs_is_killed_with_all_that_it_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(child, "GRACE", 0.5)
    ended = child.run([sys.executable, "-c", STUBBORN], tmp_path / "x", 3, os.environ)
    assert ended.status is None and ended.words == ("the last words",)
    wait_for(lambda: not Path("/proc", ended.output.strip()).exists(), 10)


INTERRUPTED = """
import os, signal, sys
from pathlib import Path
from study.bench.gpu_check import child

def interrupt(follow=child.die_with_parent):
    follow()
    os.kill(os.getppid(), signal.{name})

signal.signal(signal.{name}, signal.default_int_handler)
child.die_with_parent, child.GRACE = interrupt, 5
try:
    child.run(["sleep", "1000"], Path(sys.argv[1]), 30, os.environ)
except KeyboardInterrupt:
    print("interrupted", Path("/proc/self/task", str(os.getpid()), "children").read_text())
"""


@pytest.mark.process
@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_an_interrupt_while_a_process_is_being_started_stops_that_process(tmp_path: Path, name: str) -> None:
    script = [sys.executable, "-c", INTERRUPTED.format(name=name), tmp_path / "x"]
    done = subprocess.run(script, capture_output=True, text=True, timeout=60)
    assert done.stdout == "interrupted \n", done.stdout + done.stderr


@pytest.mark.process
def test_the_first_losses_and_a_profile_are_printed() -> None:
    cell = ("--dataset=digits", "--depth=8", "--steps=3")
    done, again = (run("study.bench.gpu_check.probe", "losses", *cell) for _ in range(2))
    (line,) = read(done.stdout)
    assert len(line["losses"]) == 3 and list(read(again.stdout)) == [line], done.stderr
    profiled = list(read(run("study.bench.gpu_check.probe", "profile", *cell).stdout))
    assert {row["name"]: row["calls"] for row in profiled}["aten::native_batch_norm"] == 7, "of 7 layers, in each step"


def work(out: Path) -> list[str]:
    """The processes that mention a folder on their command line."""
    lines = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            lines.append(path.read_text())
    return [line for line in lines if str(out) in line]


@pytest.mark.slow
@pytest.mark.process
def test_a_rehearsal_survives_broken_data_and_a_kill(tmp_path: Path, start: Start) -> None:
    """Killed within its first cell, then run again, then once more without the broken data."""
    out, data = tmp_path / "out", tmp_path / "data"
    make_cifar10(data)
    arguments = ("study", "gpu-check", "--rehearse", "--minutes=30", f"--out={out}", f"--data={data}")
    cell = REHEARSAL.cells[0].spec
    record = Record(out / "runs", cell)
    first = start(*arguments)
    wait_for(lambda: len(record.history()) > 3 or first.poll() is not None, 900, pause=0.05)
    first.kill()
    wait_for(lambda: not work(out), 20)
    before = State(out)
    assert before.latest["data"].status == "failed" and "is corrupt" in before.latest["data"].find("data")["report"]
    others = {name: each.status for name, each in before.latest.items() if name != "data"}
    assert {"digits-plain", "losses-digits-plain", "step-digits-8-plain-32", "jobs"} <= set(others)
    assert set(others.values()) <= {"passed", "refused"} and not record.summary()

    second = run(*arguments, timeout=900)
    assert second.returncode == 1, second.stderr
    after = State(out)
    assert after.results[: len(before.results)] == before.results, "what was found is kept"
    more = [each.stage for each in after.results[len(before.results) :]]
    assert more == ["versions", *(f"cell-{each.spec.name}" for each in REHEARSAL.cells)], "and not run again"
    assert len(record.provenance()["resumed"]) == 1 and record.summary()
    text = (out / "report.md").read_text()
    assert text.startswith("# Rehearsal without a GPU") and "### data: failed" in text
    assert f"| {cell.name} | passed | 336 | 336 |" in text

    shutil.rmtree(data)
    third = run(*arguments, "--retry", timeout=300)
    assert third.returncode == 0, third.stderr
    repeated = {each.stage for each in State(out).results[len(after.results) :]}
    assert {"versions", "data"} <= repeated
    assert not [name for name in repeated - {"versions"} if after.passed(name)], "what passed is not run again"


@pytest.mark.slow
@pytest.mark.process
@pytest.mark.parametrize(("signum", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_a_rehearsal_that_is_interrupted_stops_what_it_runs(
    tmp_path: Path, start: Start, signum: signal.Signals, status: int
) -> None:
    process = start("study", "gpu-check", "--rehearse", f"--out={tmp_path / 'out'}")
    wait_for(lambda: bool(work(tmp_path / "out" / "paths")) or process.poll() is not None, 300)
    process.send_signal(signum)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == status, output
    assert "interrupted; run the same command again to go on" in output and not work(tmp_path / "out")
    assert "- `digits-plain`: for another call" in (tmp_path / "out" / "report.md").read_text()
