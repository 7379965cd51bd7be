"""Which runs count, and which have failed."""

from __future__ import annotations

from dataclasses import replace

from reports.gathering.collect import collect, exclusion_reason
from study.recording.record import Record
from study.recording.run import read_run


def test_a_run_that_ended_in_its_warm_up_is_a_failure(undisturbed: Record) -> None:
    run = read_run(undisturbed)
    assert run.summary is not None and not exclusion_reason(run)
    stuck = replace(run, summary=run.summary | {"step": 15, "warm_until": None}, history=run.history[:3])
    reason = exclusion_reason(stuck)
    assert reason == "never left its warm-up: it ended at step 15 of 40"
    snapshot = collect({run.spec.name: stuck}, {})
    assert list(snapshot.failed["run"]) == [run.spec.name] and snapshot.results.empty
