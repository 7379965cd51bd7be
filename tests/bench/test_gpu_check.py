"""The first half hour on a GPU, without one: the rules on recorded results, the report, and whole rehearsals."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from study.bench.gpu_check import rules
from study.bench.gpu_check.candidates import Candidate
from study.bench.gpu_check.child import Ended
from study.bench.gpu_check.judge import judge
from study.bench.gpu_check.report import report
from study.bench.gpu_check.run import Call
from study.bench.gpu_check.scale import FULL, REHEARSAL
from study.bench.gpu_check.stages import Setup, Stage, plan
from study.bench.gpu_check.state import Result, State, Status
from study.spec import InputError

PLAIN, GRAPH, HALF = Candidate("plain", "tf32"), Candidate("graph", "tf32"), Candidate("graph", "bf16")
FUSED = Candidate("fused-graph", "bf16", is_extra=True)
LOSSES = {"what": "losses", "dataset": "cifar10", "step": "graph", "losses": [2.5, 2.25, 2.0]}


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
    ("last", "says"),
    [
        (2.0, ""),
        (2.0009, ""),
        (2.0011, "the loss of step 3 is 2.0011, and on the CPU 2: off by 0.0011, and 0.001 is allowed"),
        (float("nan"), "the loss of step 3 is nan, and on the CPU 2: off by nan, and 0.001 is allowed"),
    ],
)
def test_losses_may_differ_by_a_thousandth_at_the_last_step(last: float, says: str) -> None:
    assert rules.loss_difference({"losses": [9.0, 9.0, last]}, LOSSES) == says


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
    assert "step-digits-20-graph-tf32" in before and not [name for name in before if "cifar10" in name]
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


def test_a_part_that_has_used_its_time_is_left_for_the_next_one(tmp_path: Path) -> None:
    slow = replace(result("losses-cifar10-fused-graph", "failed", part=3), seconds=400.0)
    found(tmp_path, result("data"), timed(20, GRAPH, 1.0), slow)
    call = Call(setup(tmp_path), 1500, retries=False)
    parts = {each.part for each in call.waiting()}
    assert 3 not in parts and 4 in parts
    assert call.obstacles()["jobs"] == "part 3 has used its 6 minutes"


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
    assert "| cifar10 | graph | 3 | 2 | 2 | 0 | 0 | passed |" in text
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
