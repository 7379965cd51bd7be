"""The plan's digest in provenance: of the file's bytes, without importing what reads it."""

from __future__ import annotations

import hashlib
from pathlib import Path

from reports.judging.plan import FILE, plan
from study.recording.provenance import PLAN, plan_digest


def test_the_digest_is_that_of_the_plan_by_which_verdicts_are_given() -> None:
    assert PLAN == FILE
    assert plan_digest() == plan().digest == hashlib.sha256(FILE.read_bytes()).hexdigest()


def test_without_the_plan_there_is_no_digest(tmp_path: Path) -> None:
    assert plan_digest(tmp_path / "plan.toml") is None
