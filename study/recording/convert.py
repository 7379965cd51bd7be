"""Records in the formats of other tools: TensorBoard, CSV and MLflow, each written by its own library.

Converting again replaces what was written of the same runs, so nothing is doubled. No torch before TensorBoard.
"""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from study.recording.evaluation import COLUMNS, Row
from study.recording.formulas import no_formula
from study.recording.record import Record
from study.recording.run import read_run
from study.spec import InputError

AXIS = "step"
DATABASE = "mlflow.db"
EXPERIMENT = "resnet-study"
DIGEST = "study.digest"  # the tag by which a run that has not changed is recognised
STATUS = {"finished": "FINISHED", "diverged": "FAILED", "running": "RUNNING"}  # in MLflow; all others: KILLED
MOST_METRICS, MOST_PARAMETERS = 1000, 100  # that MLflow takes in one call


@dataclass(frozen=True)
class Curves:
    """A run as other tools see it.

    Attributes:
        name: The run's name.
        state: How far it is.
        settings: What it was trained with: factors, recipe, machine; without what is unknown.
        results: The numbers of its summary, and its last evaluation's; empty unless finished.
        history: Its evaluations.
        started: The time of its start in seconds, 0 if it is unknown.
        digest: Of all of this.
    """

    name: str
    state: str
    settings: Row
    results: dict[str, float]
    history: Sequence[Row]
    started: float
    digest: str

    def scalars(self) -> Iterator[tuple[str, float, int, float]]:
        """Every measurement: key, value, step and time in seconds; a loss that is no number is left out."""
        for row in self.history:
            time = self.started + 3600 * row["hours"]
            for key, value in row.items():
                if key != AXIS and is_number(value):
                    yield key, float(value), row[AXIS], time


def read_curves(record: Record) -> Curves:
    """Read a record.

    Raises:
        Unreadable: A file of it is missing or is not what the study writes.
    """
    run, begun = read_run(record), record.provenance()
    recipe = {f"recipe.{key}": value for key, value in begun.get("recipe", {}).items()}
    settings = {**record.spec.factors, **recipe, **run.covariates}
    known = {key: value for key, value in settings.items() if value not in (None, "")}
    results = {key: float(value) for key, value in (run.summary or {}).items() if is_number(value)}
    started = datetime.fromisoformat(begun["started"]).timestamp() if begun.get("started") else 0.0
    digest = hashlib.sha256(repr((run.state, known, results, run.history)).encode()).hexdigest()
    return Curves(record.folder.name, run.state, known, results, run.history, started, digest)


def is_number(value: Any) -> bool:
    """Whether a value of a record is a measurement or a count; True and False are neither."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def to_tensorboard(runs: Sequence[Curves], out: Path) -> str:
    """Write event files, a folder for each run, with `torch.utils.tensorboard`.

    Returns:
        The command that shows them; so do the two functions below.
    """
    with needs("tensorboard"):
        from torch.utils.tensorboard.summary import hparams
        from torch.utils.tensorboard.writer import SummaryWriter
    for run in runs:
        folder = out / run.name
        for events in folder.glob("events.out.tfevents.*"):
            events.unlink()
        with SummaryWriter(str(folder)) as writer:
            for key, value, step, time in run.scalars():
                writer.add_scalar(key, value, step, walltime=time)
            settings = {key: value if is_number(value) else str(value) for key, value in run.settings.items()}
            # As writer.add_hparams does, which would make a run of its own for them.
            for part in hparams(settings, run.results):  # type: ignore[no-untyped-call]
                writer.file_writer.add_summary(part)
    return f"tensorboard --logdir={out}"


def to_csv(runs: Sequence[Curves], out: Path) -> str:
    """Write runs.csv, a row for each run, and history.csv, a row for each evaluation, with pandas."""
    merge(out / "runs.csv", [{"run": run.name, "state": run.state, **_plain(run), **run.results} for run in runs])
    merge(out / "history.csv", [{"run": run.name, **row} for run in runs for row in run.history])
    return f"pandas.read_csv('{out / 'history.csv'}')"


def _plain(run: Curves) -> Row:
    """The settings of a run as cells of a spreadsheet."""
    return {key: value if is_number(value) else no_formula(str(value)) for key, value in run.settings.items()}


def merge(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write rows of some runs to a CSV file; rows of other runs that are there stay as they are, to the character."""
    import pandas as pd

    table = pd.DataFrame(rows, columns=None if rows else ["run"])
    if path.exists():
        before = pd.read_csv(path, dtype=str, keep_default_na=False)
        table = pd.concat([before[~before["run"].isin(table["run"])], table])
    table.to_csv(path, index=False)


def to_mlflow(runs: Sequence[Curves], out: Path) -> str:
    """Write an SQLite database with MLflow's client; a run that has changed since is replaced."""
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")  # it would report its use to the network
    with needs("mlflow"):
        import alembic  # noqa: F401  (mlflow needs both for a database, and does not bring them in its small package)
        import sqlalchemy  # noqa: F401
        from mlflow.tracking import MlflowClient
    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.WARNING)
    address = f"sqlite:///{(out / DATABASE).absolute()}"
    client = MlflowClient(tracking_uri=address)
    found = client.get_experiment_by_name(EXPERIMENT)
    artifacts = (out / "artifacts").absolute().as_uri()
    experiment = found.experiment_id if found else client.create_experiment(EXPERIMENT, artifacts)
    for run in runs:
        _log(client, experiment, run)
    return f"mlflow ui --backend-store-uri={address}"


def _log(client: Any, experiment: str, run: Curves) -> None:
    """Write one run, unless it is there as it is."""
    from mlflow.entities import Metric, Param, RunTag

    before = client.search_runs([experiment], f"attributes.run_name = '{run.name}'")
    if [each.data.tags.get(DIGEST) for each in before] == [run.digest]:
        return
    for each in before:
        client.delete_run(each.info.run_id)
    start = int(1000 * run.started)
    made = client.create_run(experiment, start_time=start, run_name=run.name).info.run_id
    parameters = [Param(key, str(value)) for key, value in run.settings.items()]
    metrics = [Metric(key, value, int(1000 * time), step) for key, value, step, time in run.scalars()]
    last, end = run.history[-1] if run.history else {}, start + int(3.6e6 * run.results.get("hours", 0.0))
    metrics += [Metric(key, value, end, last[AXIS]) for key, value in run.results.items() if key not in COLUMNS]
    for i in range(0, len(parameters), MOST_PARAMETERS):
        client.log_batch(made, params=parameters[i : i + MOST_PARAMETERS])
    for i in range(0, len(metrics), MOST_METRICS):
        client.log_batch(made, metrics=metrics[i : i + MOST_METRICS])
    client.log_batch(made, tags=[RunTag(DIGEST, run.digest), RunTag("study.state", run.state)])
    client.set_terminated(made, STATUS.get(run.state, "KILLED"), end)


@contextmanager
def needs(extra: str) -> Iterator[None]:
    """Say how to install what is imported in this context, if it is absent."""
    try:
        yield
    except ImportError as error:
        name = error.name or extra
        raise InputError(f"--to={extra} needs {name}; run: pip install 'resnet-study[{extra}]'") from None


FORMATS: dict[str, Callable[[Sequence[Curves], Path], str]] = {
    "tensorboard": to_tensorboard,
    "csv": to_csv,
    "mlflow": to_mlflow,
}
