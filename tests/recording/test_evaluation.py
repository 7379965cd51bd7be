"""Evaluations are read as they were written, and the snapshot's columns are theirs."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from study.recording.evaluation import (
    COLUMNS,
    COUNT_COLUMNS,
    HISTORY_COLUMNS,
    SUMMARY_COLUMNS,
    TEST_ERROR,
    TRAIN_ERROR,
    Errors,
    Evaluation,
    Summary,
    describe,
    is_evaluation,
)
from tests.support import ROOT

counts = st.integers(0, 10**8)
measures = st.floats(allow_nan=False, allow_infinity=False)
errors = st.builds(Errors, wrong=counts, seen=st.integers(1, 10**8), loss=measures)
names = st.text(min_size=1).filter(lambda name: name not in COLUMNS)
evaluations = st.builds(
    Evaluation,
    step=counts,
    epoch=measures,
    samples=counts,
    lr=measures,
    train=errors,
    test=errors,
    images_per_second=measures,
    hours=measures,
    notes=st.dictionaries(names, measures, max_size=3),
)


@given(evaluations)
def test_an_evaluation_is_read_from_the_line_that_it_wrote(evaluation: Evaluation) -> None:
    row = evaluation.row()
    assert Evaluation.from_row(row) == evaluation
    assert Evaluation.from_row(json.loads(json.dumps(row))) == evaluation
    assert is_evaluation(row)


def test_a_line_has_its_fixed_names_in_their_order() -> None:
    """As lines of metrics.jsonl have been since the first run."""
    evaluation = Evaluation(3, 0.5, 192, 0.1, Errors(1, 4, 0.25), Errors(2, 5, 0.5), 10.0, 0.01, {"data_wait_ms": 7.0})
    assert list(evaluation.row().items()) == [
        ("step", 3),
        ("epoch", 0.5),
        ("samples", 192),
        ("lr", 0.1),
        ("train/top1_error", 25.0),
        ("train/wrong", 1),
        ("train/seen", 4),
        ("train/loss", 0.25),
        ("test/top1_error", 40.0),
        ("test/wrong", 2),
        ("test/seen", 5),
        ("test/loss", 0.5),
        ("data_wait_ms", 7.0),
        ("images_per_second", 10.0),
        ("hours", 0.01),
    ]
    assert describe(evaluation) == "train 25.00 %, test 40.00 % (2 of 5 wrong), 0.6 minutes"


def test_a_missing_column_is_named() -> None:
    row = Evaluation(3, 0.5, 192, 0.1, Errors(1, 4, 0.25), Errors(2, 5, 0.5)).row()
    del row["test/loss"]
    with pytest.raises(KeyError, match="test/loss"):
        Evaluation.from_row(row)


def test_the_snapshots_columns_are_all_that_is_measured() -> None:
    last = Evaluation(3, 0.5, 192, 0.1, Errors(1, 4, 0.25), Errors(2, 5, 0.5))
    summary = Summary(last, None, 0.1, 100.0, 75_002, "ab", "2026-11-25T14:00:00+00:00").row()
    assert set(HISTORY_COLUMNS) == set(COLUMNS) == set(last.row())
    assert set(SUMMARY_COLUMNS) == set(summary) - {"lr"}
    assert set(COUNT_COLUMNS) == {name for name in SUMMARY_COLUMNS if not isinstance(summary[name], float)}


def test_the_errors_names_stand_in_one_file_of_study() -> None:
    texts = {path.name: path.read_text() for path in (ROOT / "study").rglob("*.py")}
    files = [name for name, text in texts.items() if TRAIN_ERROR in text or TEST_ERROR in text]
    assert files == ["evaluation.py"]
