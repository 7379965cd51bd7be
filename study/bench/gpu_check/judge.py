"""How a stage ended: from its process, its lines and its record to a status and a sentence. Imports no torch."""

from __future__ import annotations

import signal
from collections.abc import Iterator, Sequence

from study.bench.gpu_check import rules
from study.bench.gpu_check.child import Ended
from study.bench.gpu_check.scale import Scale
from study.bench.gpu_check.stages import ABSENT, Stage
from study.bench.gpu_check.state import State, Status
from study.recipes import recipe_for
from study.recording.bench_lines import Line
from study.recording.evaluation import TEST_ERROR, TRAIN_ERROR
from study.recording.record import Record

REFUSED = 2  # exit status of a command that cannot be carried out here
KEPT = (
    TEST_ERROR,
    "test/wrong",
    "test/seen",
    TRAIN_ERROR,
    "images_per_second",
    "hours",
    "weights_sha256",
)


def measured(stage: Stage, output: str) -> Iterator[Line]:
    """The lines of what a stage does not print as JSON: the end of pytest's output, and the record of a run."""
    if stage.name == "tests":
        lines = [line for line in output.splitlines() if line.strip()]
        yield {"what": "tests", "report": lines[-1].strip("= ") if lines else "no output"}
    if stage.record:
        yield {"what": "run", **_progress(stage.record)}


def _progress(record: Record) -> Line:
    last, summary, begun = record.last_evaluation(), record.summary() or {}, record.provenance()
    steps = {"step": last.step if last else 0, "steps": recipe_for(record.spec).steps}
    errors = {TEST_ERROR: last.test.percent, TRAIN_ERROR: last.train.percent} if last else {}
    how = {key: begun.get(key) for key in ("device", "step_path", "precision")}
    return {"cell": record.spec.name, **steps, **how, **errors, **{key: summary[key] for key in KEPT if key in summary}}


def judge(
    scale: Scale, stage: Stage, ended: Ended, lines: Sequence[Line], state: State, is_cut: bool
) -> tuple[Status, str]:
    """The status of a stage that ended, and why it is not ``passed``.

    Args:
        scale: Of the check.
        stage: What was run.
        ended: How its process ended.
        lines: What it measured.
        state: What was found before, with which its losses are compared.
        is_cut: Whether it had less time than its own limit, because the call or its part of it was over.
    """
    if ended.status is None:
        return _out_of_time(stage, ended, lines, is_cut)
    if ended.status == ABSENT and stage.name == "data":
        return "absent", _missing(lines)
    if ended.status == REFUSED and stage.is_extra:
        return "refused", _last(ended)
    if ended.status != 0:
        return "failed", f"{_describe(ended.status)}: {_last(ended)}"
    taken = {line["step_path"] for line in lines if line.get("step_path")}
    if stage.step and taken - {stage.step}:
        return "refused", f"its steps were {', '.join(taken)}: {_last(ended)}"
    why = _why_wrong(scale, stage, lines, state)
    return ("failed", why) if why else ("passed", "")


def _out_of_time(stage: Stage, ended: Ended, lines: Sequence[Line], is_cut: bool) -> tuple[Status, str]:
    if stage.goes_on:
        step = _found(lines, "run").get("step", 0)
        return "unfinished", f"stopped after {ended.seconds:.0f} s, at or after step {step}; its turn comes again"
    if is_cut:
        return "unfinished", f"the time was up after {ended.seconds:.0f} s; a later call repeats it"
    return "failed", f"it took longer than its limit of {ended.seconds:.0f} s"


def _missing(lines: Sequence[Line]) -> str:
    line = _found(lines, "data")
    some = f"; {', '.join(line['missing'])} not there" if line["health"] != "absent" else ""
    return f"{line['report']}{some}"


def _found(lines: Sequence[Line], what: str) -> Line:
    return next((line for line in reversed(lines) if line["what"] == what), {})


def _why_wrong(scale: Scale, stage: Stage, lines: Sequence[Line], state: State) -> str:
    """What is wrong with a stage whose process ended well; "" if nothing is."""
    if stage.record and stage.record.summary() is None:
        return "its process ended well, but there is no summary.json"
    if stage.name.startswith("losses-"):
        return rules.loss_difference(_found(lines, "losses"), state.latest[stage.needs[0]].find("losses"))
    if stage.name.startswith("step-") and not _found(lines, "step").get("ms_per_step"):
        return "it printed no step time"
    report = _found(lines, "tests").get("report", "")
    if stage.name == "tests" and "passed" not in report and not scale.is_rehearsal:
        return f"no test of the GPU ran: {report}"
    return ""


def _describe(status: int) -> str:
    return f"ended with status {status}" if status > 0 else f"was killed by {signal.Signals(-status).name}"


def _last(ended: Ended) -> str:
    return next((line.strip() for line in reversed(ended.words) if line.strip()), "it printed nothing")
