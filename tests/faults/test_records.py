"""Damaged records: each is a row with its reason, the sound ones beside it count, and nothing ends in a traceback."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reports.gathering import snapshot
from reports.gathering.gather import gather
from reports.page.render import texts
from reports.page.sections import report
from study.commands.cli import run as study
from study.recording.files import LARGEST, read_lines
from study.recording.folders import read_folder
from study.recording.record import Record
from study.recording.run import Run
from study.spec import InputError, Spec
from tests.records import write_run
from tests.support import write_sweep

SPEC, SOUND = Spec("digits", 8, "A", "smoke"), Spec("digits", 14, "A", "smoke")
GRID = """
method: grid
parameters: {dataset: {value: digits}, depth: {value: 8}, shortcut: {value: A}, recipe: {value: smoke}}
"""
Damage = Callable[[Path], object]


def line(number: int, **new: Any) -> Damage:
    """Replace values of one line of the history."""

    def damage(folder: Path) -> None:
        path = folder / "metrics.jsonl"
        rows = [json.loads(text) for text in path.read_text().splitlines()]
        rows[number] |= {name.replace("__", "/"): value for name, value in new.items()}
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))

    return damage


def value(name: str, **new: Any) -> Damage:
    """Replace values of another file."""

    def damage(folder: Path) -> None:
        path = folder / name
        path.write_text(json.dumps(json.loads(path.read_text()) | {k.replace("__", "/"): v for k, v in new.items()}))

    return damage


def text(name: str, content: str | bytes) -> Damage:
    """Replace a file."""
    return lambda folder: (folder / name).write_bytes(content.encode() if isinstance(content, str) else content)


def behind(content: bytes) -> Damage:
    """Add something to the history."""
    return lambda folder: (folder / "metrics.jsonl").write_bytes((folder / "metrics.jsonl").read_bytes() + content)


def without(first: int, stop: int) -> Damage:
    """Take lines out of the history."""

    def damage(folder: Path) -> None:
        lines = (folder / "metrics.jsonl").read_text().splitlines(keepends=True)
        (folder / "metrics.jsonl").write_text("".join(lines[:first] + lines[stop:]))

    return damage


def pipe(folder: Path) -> None:
    (folder / "metrics.jsonl").unlink()
    os.mkfifo(folder / "metrics.jsonl")


def huge(folder: Path) -> None:
    os.truncate(folder / "metrics.jsonl", LARGEST + 1)


def twice(folder: Path) -> None:
    behind((folder / "metrics.jsonl").read_bytes())(folder)


def none_of(split: str, seen: int) -> dict[str, Any]:
    """No error on so many images."""
    return {f"{split}__wrong": 0, f"{split}__seen": seen, f"{split}__top1_error": 0.0}


DEEP = "[" * 100_000
MATRIX = '{"classes": ["0"], "counts": [[360]]}'
DAMAGED: dict[str, tuple[Damage, str]] = {
    "a binary byte in the history": (behind(b"\xff\n"), "metrics.jsonl, line 9: not JSON"),
    "a line that is a number": (behind(b"7\n"), "metrics.jsonl, line 9: not an object"),
    "a line that is a list": (behind(b"[1, 2]\n"), "metrics.jsonl, line 9: not an object"),
    "a line without columns": (behind(b"{}\n"), "metrics.jsonl, line 9: step: Field required"),
    "a line that is empty": (behind(b"\n"), "metrics.jsonl, line 9: not JSON"),
    "a line of brackets": (behind(f"{DEEP}\n".encode()), "metrics.jsonl, line 9: not JSON"),
    "a number of 5,000 digits": (behind(b'{"step": ' + b"9" * 5000 + b"}\n"), "metrics.jsonl, line 9: not JSON"),
    "a loss that is text": (line(3, train__loss="low"), "metrics.jsonl, line 4: train/loss: "),
    "a step that is text": (line(3, step="20"), "metrics.jsonl, line 4: step: "),
    "an error that is text": (line(3, test__top1_error="2"), "metrics.jsonl, line 4: test/top1_error: "),
    "an error of 500 %": (line(3, test__top1_error=500.0), "metrics.jsonl, line 4: test/top1_error: "),
    "an error of -3 %": (line(3, test__top1_error=-3.0), "metrics.jsonl, line 4: test/top1_error: "),
    "a negative number of hours": (line(3, hours=-1e9), "metrics.jsonl, line 4: hours: "),
    "more errors than images": (line(3, test__wrong=2_000_000), "test: 2,000,000 of 1,000,000 wrong at step 20"),
    "a percentage of other counts": (line(3, test__wrong=7), "test: 7 of 1,000,000 wrong are not "),
    "another number of images": (line(3, **none_of("test", 360)), "its test set has several sizes"),
    "images that were not trained": (line(3, **none_of("train", 64)), "64 training images counted at step 20"),
    "an infinite loss": (line(3, train__loss=float("inf")), "diverged: its loss is not a number at step 20"),
    "lines missing in the middle": (without(2, 5), "it has no line for step 15 and 2 more"),
    "only the last line": (without(0, 7), "it has no line for step 5 and 6 more"),
    "the history twice": (twice, "metrics.jsonl, line 9: step 5 does not follow 40"),
    "a history that is a pipe": (pipe, "metrics.jsonl: not a file"),
    "a history of 50 MiB": (huge, "metrics.jsonl: 50 MiB are more"),
    "an empty summary": (text("summary.json", ""), "summary.json: not JSON"),
    "a summary without content": (text("summary.json", "{}"), "summary.json: step: Field required"),
    "a summary that is a list": (text("summary.json", "[]"), "summary.json: not an object"),
    "a summary that is text": (text("summary.json", '"best"'), "summary.json: not an object"),
    "a summary of brackets": (text("summary.json", DEEP), "summary.json: not JSON"),
    "a summary of 5,000 digits": (text("summary.json", "9" * 5000), "summary.json: not JSON"),
    "a binary summary": (text("summary.json", b"\xff\xfe\x00"), "summary.json: not JSON"),
    "a digest that is a list": (value("summary.json", weights_sha256=[]), "summary.json: weights_sha256: "),
    "a digest that is none": (value("summary.json", weights_sha256="../x"), "summary.json: weights_sha256: "),
    "a summary of no errors": (value("summary.json", **none_of("test", 10**6)), "its summary says 0.0 for "),
    "a summary of another step": (value("summary.json", step=35), "no evaluation after its last step, 40"),
    "no provenance": (lambda folder: (folder / "provenance.json").unlink(), "provenance.json is missing"),
    "an empty provenance": (text("provenance.json", "{}"), "provenance.json: recipe: Field required"),
    "a provenance that is a list": (text("provenance.json", "[1]"), "provenance.json: not an object"),
    "no versions": (value("provenance.json", versions=None), "provenance.json: versions: "),
    "versions in a list": (value("provenance.json", versions=["torch"]), "provenance.json: versions: "),
    "two devices in words": (value("provenance.json", world_size="two"), "provenance.json: world_size: "),
    "no list of sessions": (value("provenance.json", resumed={}), "provenance.json: resumed: "),
    "a text of 10,000 letters": (value("provenance.json", device="x" * 10_000), "provenance.json: device: "),
    "responses of unequal length": (value("responses.json", std=[]), "responses.json: it: Value error, 1 layers"),
    "responses of text": (value("responses.json", std=["high"]), "responses.json: std.0: "),
    "probes of another kind": (text("probes.json", '{"signals": [{}]}'), "probes.json: signals.0.layer: "),
    "a confusion matrix of others": (text("confusion.json", MATRIX), "its confusion matrix has 360 images"),
    "another cell's factors": (value("spec.json", depth=20), "spec.json is missing or names another cell"),
    "no factors": (text("spec.json", "[]"), "spec.json: not an object"),
    "factors of brackets": (text("spec.json", DEEP), "spec.json: not JSON"),
}  # fmt: skip


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    """A run that will be damaged, and a sound one."""
    for spec in (SPEC, SOUND):
        write_run(tmp_path / "runs", spec)
    return tmp_path / "runs"


@pytest.mark.parametrize("name", DAMAGED)
def test_a_damaged_record_has_its_reason_and_the_others_count(
    name: str, runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    damage, reason = DAMAGED[name]
    damage(runs / SPEC.name)
    found = gather(runs)
    assert list(found.counting["run"]) == [SOUND.name]
    (said,) = found.excluded["reason"]
    assert said.startswith(reason), said
    snapshot.write(found, tmp_path / "out")
    assert list(snapshot.read(tmp_path / "out").excluded["reason"]) == [said]
    assert study(["sweep", str(write_sweep(tmp_path, GRID)), "--status", f"--runs={runs}"]) == 0
    assert SPEC.name in capsys.readouterr().out


def test_a_report_is_built_beside_damaged_records(runs: Path) -> None:
    for number, (damage, _) in enumerate(DAMAGED.values()):
        damage(write_run(runs, Spec("digits", 8, "A", "smoke", number + 1)).folder)
    page = texts(report(gather(runs)))["report.html"]
    assert SOUND.name in page


@pytest.mark.parametrize("name", ["an empty summary", "a summary without content", "a binary summary", "no versions"])
def test_a_run_whose_record_cannot_be_read_is_not_trained_over(name: str, runs: Path) -> None:
    DAMAGED[name][0](runs / SPEC.name)
    if name == "no versions":
        (runs / SPEC.name / "summary.json").unlink()
    with pytest.raises(InputError, match=r"move the folder away") as refused:
        study(["train", *SPEC.flags, "--wandb=disabled", f"--runs={runs}"])
    assert str(refused.value).count("\n") == 0


ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
FILES = (
    "metrics.jsonl",
    "summary.json",
    "provenance.json",
    "responses.json",
    "spec.json",
    "probes.json",
    "confusion.json",
)


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory) -> Record:
    return write_run(tmp_path_factory.mktemp("runs"), SPEC)


@given(st.sampled_from(FILES), st.binary() | ANY.map(lambda value: json.dumps(value).encode()))
def test_whatever_a_file_holds_the_folder_is_a_run_or_has_a_reason(one: Record, name: str, content: bytes) -> None:
    path = one.folder / name
    before = path.read_bytes() if path.exists() else None
    try:
        path.write_bytes(content)
        found = read_folder(one.folder)
        assert isinstance(found, Run) or (found and "\n" not in found)
    finally:
        path.write_bytes(before) if before is not None else path.unlink()


@given(st.sampled_from(("metrics.jsonl", "summary.json", "provenance.json")), st.text(max_size=12), ANY, st.data())
def test_whatever_a_value_is_the_folder_is_a_run_or_has_a_reason(
    one: Record, name: str, key: str, new: Any, data: st.DataObject
) -> None:
    path = one.folder / name
    before = path.read_text()
    rows = [json.loads(row) for row in before.splitlines()] if name.endswith("l") else [json.loads(before)]
    row = data.draw(st.sampled_from(rows))
    row[data.draw(st.sampled_from(sorted(row))) if data.draw(st.booleans()) else key] = new
    try:
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        found = read_folder(one.folder)
        if isinstance(found, Run):
            gather(one.folder.parent)
    finally:
        path.write_text(before)


def test_only_a_last_line_that_is_cut_off_is_forgiven(tmp_path: Path) -> None:
    path = tmp_path / "lines.jsonl"
    path.write_text('{"a": 1}\n{"a": 2')
    assert list(read_lines(path)) == [{"a": 1}]
    path.write_text('{"a": 1}\n{"a": 2\n')
    with pytest.raises(InputError, match=re.escape("lines.jsonl, line 2: not JSON")):
        list(read_lines(path))
