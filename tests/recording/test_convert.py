"""`study convert`: what other tools read back is what the records hold, once, however often it is converted."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from study.commands import cli
from study.recording.record import Record
from study.spec import Spec
from tests.records import write_run
from tests.support import refusal

PLAIN, RESIDUAL = Spec("digits", 20, "none"), Spec("digits", 20, "A", seed=1)
FORMATS = ("tensorboard", "csv", "mlflow")


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    """A finished run and an interrupted one."""
    write_run(tmp_path / "runs", PLAIN, test=4.25)
    write_run(tmp_path / "runs", RESIDUAL, points=3)
    return tmp_path / "runs"


def convert(to: str, out: Path, *folders: Path) -> None:
    assert cli.run(["convert", *map(str, folders), f"--to={to}", f"--out={out}"]) == 0


def recorded(runs: Path, spec: Spec, key: str) -> list[tuple[int, float]]:
    return [(row["step"], row[key]) for row in Record(runs, spec).history()]


def test_tensorboard_reads_every_value_once(runs: Path, tmp_path: Path) -> None:
    events = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator", reason="needs the extra")
    out = tmp_path / "out"
    for _ in range(2):
        convert("tensorboard", out, runs)
    for spec in (PLAIN, RESIDUAL):
        found = events.EventAccumulator(str(out / spec.name), {events.SCALARS: 0}).Reload()
        for key in ("test/top1_error", "train/loss", "images_per_second"):
            read = [(event.step, event.value) for event in found.Scalars(key)]
            assert read == [(step, pytest.approx(value)) for step, value in recorded(runs, spec, key)]
        assert found.PluginTagToContent("hparams"), "the HParams tab has the settings"


def test_csv_is_read_back_and_keeps_runs_that_were_converted_before(runs: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    convert("csv", out, runs / PLAIN.name)
    first = (out / "history.csv").read_text()
    for _ in range(2):
        convert("csv", out, runs / RESIDUAL.name)
    assert (out / "history.csv").read_text().startswith(first)
    history, table = pd.read_csv(out / "history.csv", float_precision="round_trip"), pd.read_csv(out / "runs.csv")
    for spec in (PLAIN, RESIDUAL):
        mine = history[history["run"] == spec.name]
        read = list(zip(mine["step"], mine["test/top1_error"], strict=True))
        assert read == recorded(runs, spec, "test/top1_error")
    assert list(table["state"]) == ["finished", "interrupted"] and list(table["depth"]) == [20, 20]
    assert table["test/top1_error"][0] == pytest.approx(4.25)


def test_mlflow_reads_every_value_once(runs: Path, tmp_path: Path) -> None:
    tracking = pytest.importorskip("mlflow.tracking", reason="needs the extra mlflow")
    pytest.importorskip("alembic", reason="needs the extra mlflow")
    out = tmp_path / "out"
    for _ in range(2):
        convert("mlflow", out, runs)
    write_run(runs, RESIDUAL, points=5)
    convert("mlflow", out, runs)
    client = tracking.MlflowClient(tracking_uri=f"sqlite:///{out / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("resnet-study")
    found: dict[str, Any] = {run.info.run_name: run for run in client.search_runs([experiment.experiment_id])}
    assert set(found) == {PLAIN.name, RESIDUAL.name}
    assert [found[spec.name].info.status for spec in (PLAIN, RESIDUAL)] == ["FINISHED", "KILLED"]
    for spec in (PLAIN, RESIDUAL):
        run = found[spec.name]
        assert run.data.params["depth"] == "20" and run.data.params["shortcut"] == spec.shortcut
        history = client.get_metric_history(run.info.run_id, "test/top1_error")
        assert [(metric.step, metric.value) for metric in history] == recorded(runs, spec, "test/top1_error")


def test_a_text_that_a_spreadsheet_would_compute_is_quoted(runs: Path, tmp_path: Path) -> None:
    Record(runs, PLAIN).note(device="=cmd()")
    convert("csv", tmp_path / "out", runs / PLAIN.name)
    assert pd.read_csv(tmp_path / "out" / "runs.csv")["device"][0] == "'=cmd()"


def test_a_loss_that_is_no_number_is_left_out(tmp_path: Path) -> None:
    record = write_run(tmp_path / "runs", PLAIN)
    path = record.folder / "metrics.jsonl"
    loss = f'"train/loss": {record.history()[0]["train/loss"]}'
    path.write_text(path.read_text().replace(loss, '"train/loss": null', 1))
    convert("csv", tmp_path / "out", record.folder)
    assert pd.read_csv(tmp_path / "out" / "history.csv")["train/loss"].isna().sum() == 1


def test_what_cannot_be_read_is_said_and_the_rest_converted(
    runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (runs / RESIDUAL.name / "metrics.jsonl").write_text("no line\nno line\n")
    assert cli.run(["convert", str(runs), "--to=csv", f"--out={tmp_path / 'out'}"]) == 1
    said = capsys.readouterr()
    assert f"{RESIDUAL.name} is left out: metrics.jsonl" in said.err and said.out.startswith("1 runs")


def test_what_cannot_be_converted_is_refused(runs: Path, tmp_path: Path) -> None:
    out = f"--out={tmp_path / 'out'}"
    assert "choose one of: tensorboard, csv, mlflow" in refusal(cli.run, "convert", str(runs), "--to=aim", out)
    assert "nowhere does not exist" in refusal(cli.run, "convert", str(tmp_path / "nowhere"), "--to=csv", out)
    (tmp_path / "file").touch()
    assert "cannot be written" in refusal(cli.run, "convert", str(runs), "--to=csv", f"--out={tmp_path / 'file'}")


@pytest.mark.process
@pytest.mark.parametrize("extra", ["tensorboard", "mlflow"])
def test_an_extra_that_is_missing_is_named(extra: str, runs: Path, tmp_path: Path) -> None:
    """Python is told that the package is not there."""
    arguments = ["convert", str(runs), f"--to={extra}", f"--out={tmp_path / 'out'}"]
    code = f"import sys; sys.modules[{extra!r}] = None; from study.commands.cli import main; "
    words = [sys.executable, "-c", f"{code}sys.argv[1:] = {arguments!r}; sys.exit(main())"]
    done = subprocess.run(words, capture_output=True, text=True)
    assert done.returncode == 2 and done.stderr.count("\n") == 1, done.stderr
    assert f"pip install 'resnet-study[{extra}]'" in done.stderr
