from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from study.recording.evaluation import Errors, Evaluation
from study.recording.files import write_json
from study.recording.folders import read_runs, run_folders
from study.recording.lock import Taken
from study.recording.record import Record
from study.spec import InputError, Spec
from tests.records import ENDED
from tests.strategies import TEXTS

SPEC = Spec("digits", 8, "A")
BEGUN = {"recipe": {"batch": 64}, "data_fingerprint": "f", "commit": "c"}


def row(step: int, notes: Mapping[str, object] = {}) -> dict[str, object]:
    return Evaluation(step, 0.5, 64 * step, 0.1, Errors(1, 10, 0.5), Errors(1, 10, 0.5), notes=notes).row()


def test_what_is_written_is_read(tmp_path: Path) -> None:
    record = Record(tmp_path, SPEC)
    assert record.state() == "missing"
    record.open(BEGUN)
    assert record.state() == "running"
    for step in (5, 10):
        assert record.append(row(step))
    record.finish({**row(10), **ENDED}, {"responses": {"layers": ["stem.bn"], "std": [1.0]}})
    record.close()
    (run,), unreadable = read_runs(tmp_path)
    assert not unreadable
    assert (run.spec, run.state, run.history) == (SPEC, "finished", [row(5), row(10)])
    assert run.summary == {**row(10), **ENDED}
    assert run.responses == {"layers": ["stem.bn"], "std": [1.0]}
    assert record.provenance() == {**BEGUN, "resumed": []}
    assert run.covariates["commit"] == "c" and run.covariates["torch"] is None
    assert json.loads((tmp_path / SPEC.name / "spec.json").read_text()) == SPEC.factors


def test_a_record_of_a_renamed_recipe_is_found_and_read_under_its_new_name(tmp_path: Path) -> None:
    former = tmp_path / "digits-8-A-paper-s0"
    former.mkdir()
    write_json(former / "spec.json", SPEC.factors | {"recipe": "paper"})
    record = Record(tmp_path, SPEC)
    assert record.folder == former and Record.at(former).spec == SPEC
    record.open(BEGUN)
    record.close()
    (run,), unreadable = read_runs(tmp_path)
    assert run.spec.name == "digits-8-A-mini-s0" and not unreadable
    (tmp_path / SPEC.name).mkdir()
    assert Record(tmp_path, SPEC).folder == tmp_path / SPEC.name


def test_a_torn_last_line_is_left_out_and_then_cut_off(tmp_path: Path) -> None:
    record = Record(tmp_path, SPEC)
    record.open(BEGUN)
    record.append(row(5))
    path = record.folder / "metrics.jsonl"
    with path.open("a") as file:
        file.write('{"step": 10, "train/to')
    assert record.history() == [row(5)]
    record.close()
    again = Record(tmp_path, SPEC)
    again.open(BEGUN)
    assert again.append(row(10))
    assert [json.loads(line) for line in path.read_text().splitlines()] == [row(5), row(10)]


VALUES = st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXTS | st.none() | st.booleans()


@given(st.lists(st.dictionaries(TEXTS, VALUES, max_size=4), max_size=5), st.data())
def test_what_a_kill_left_is_read_and_continued(contents: list[dict[str, object]], data: st.DataObject) -> None:
    """The file ends anywhere in its last line: whole rows are read, and a resumed run adds to them."""
    rows = [row(step, notes) for step, notes in enumerate(contents)]
    whole = "".join(json.dumps(row) + "\n" for row in rows)
    lost = data.draw(st.integers(0, len(json.dumps(rows[-1])))) if rows else 0
    with TemporaryDirectory() as folder:
        record = Record(Path(folder), SPEC)
        record.open(BEGUN)
        record.close()
        path = record.folder / "metrics.jsonl"
        path.write_text(whole[: len(whole) - lost])
        assert record.history() == (rows if lost <= 1 else rows[:-1]), "the line end alone is no loss"
        record.open(BEGUN)
        for line in rows:
            record.append(line)
        record.close()
        assert path.read_text() == whole


def test_a_torn_line_in_the_middle_is_no_accident_and_is_reported(tmp_path: Path) -> None:
    record = Record(tmp_path, SPEC)
    record.open(BEGUN)
    (record.folder / "metrics.jsonl").write_text(f'{json.dumps(row(5))}\n{{"st\n{json.dumps(row(15))}\n')
    found, unreadable = read_runs(tmp_path)
    assert not found and unreadable == {SPEC.name: "metrics.jsonl, line 2: not JSON"}


def test_a_repeated_step_is_not_recorded_twice(tmp_path: Path) -> None:
    record = Record(tmp_path, SPEC)
    record.open(BEGUN)
    assert [record.append(row(step)) for step in (5, 10, 5, 10, 15)] == [True, True, False, False, True]
    assert [r["step"] for r in record.history()] == [5, 10, 15]


def test_two_processes_cannot_train_one_cell(tmp_path: Path) -> None:
    record = Record(tmp_path, SPEC)
    record.open(BEGUN)
    with pytest.raises(Taken, match=f"process {os.getpid()} on"):
        Record(tmp_path, SPEC).open(BEGUN)
    record.close()
    Record(tmp_path, SPEC).open(BEGUN)


def test_a_resumed_run_says_where_and_must_be_the_same(tmp_path: Path) -> None:
    for commit in ("c", "d"):
        record = Record(tmp_path, SPEC)
        record.open({**BEGUN, "commit": commit})
        record.close()
    begun = Record(tmp_path, SPEC).provenance()
    assert begun["commit"] == "c" and [segment["commit"] for segment in begun["resumed"]] == ["d"]
    with pytest.raises(InputError, match="another data fingerprint"):
        Record(tmp_path, SPEC).open({**BEGUN, "data_fingerprint": "other"})


def test_a_folder_that_is_no_record_is_reported(tmp_path: Path) -> None:
    (tmp_path / "notes").mkdir()
    (tmp_path / "digits-20-A-mini-s0").mkdir()
    write_json(tmp_path / "digits-20-A-mini-s0" / "spec.json", SPEC.factors)
    found, unreadable = read_runs(tmp_path)
    assert not found and set(unreadable) == {"notes", "digits-20-A-mini-s0"}


def test_a_run_that_is_only_reserved_is_no_record_yet(tmp_path: Path) -> None:
    record = Record(tmp_path, SPEC)
    record.reserve()
    assert record.state() == "running" and run_folders(tmp_path) == []
    record.close()
    record.folder.mkdir()
    (record.folder / "output-host-12.log").touch()
    (tmp_path / "empty").mkdir()
    assert [folder.name for folder in run_folders(tmp_path)] == ["empty"]


def test_a_stopped_run_is_told_from_an_interrupted_one_until_it_resumes(tmp_path: Path) -> None:
    record = Record(tmp_path, SPEC)
    record.open(BEGUN)
    record.stop("stopped in W&B")
    assert record.state() == "running"
    record.close()
    assert record.state() == "stopped" and record.stopped().startswith("stopped in W&B at 20")
    record.open(BEGUN | {"commit": "d"})
    record.close()
    assert record.state() == "interrupted" and not record.stopped()
    assert record.provenance()["stopped"].startswith("stopped in W&B")


def test_no_runs_folder_is_said(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="does not exist"):
        read_runs(tmp_path / "nowhere")
