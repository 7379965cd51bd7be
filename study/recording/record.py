"""The run record: a folder of plain files per run, written by rank 0 and read by everything after training.

    RUNS/<run name>/spec.json        the five factors
                    provenance.json  where, when, with which software and on which data it was trained
                    metrics.jsonl    the evaluations, one JSON object a line, append-only
                    summary.json     the results; only when finished
                    responses.json   standard deviation of every layer's response; only when finished
                    confusion.json   test images by true class (rows) and predicted class (columns); only when finished
                    checkpoints/last.ckpt
         wandb/                      the files of the W&B client, for all runs

No torch, so that the sweep and the reports read records quickly.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from filelock import FileLock, Timeout

from study.recording.evaluation import Evaluation, Row
from study.spec import InputError, Spec

State = Literal["finished", "running", "interrupted", "missing"]

CLIENT = "wandb"  # the folder of the W&B client, beside those of the runs
MEASUREMENTS = ("responses", "confusion")  # the JSON files that a finished run leaves in addition to its summary
PROBES = "probes"  # the JSON file of `study probe`

# What else is known of a run beside its factors wherever runs are compared: columns of the reports, W&B's config.
COVARIATES = (
    "commit",
    "dirty",
    "device",
    "world_size",
    "per_device_batch",
    "precision",
    "tf32",
    "step_path",
    "checkpoint_every",
    "threads",
    "data_fingerprint",
    "plan",
    "started",
    "torch",
    "argv",
)


class Record:
    """The folder of one run: where its files are, how they are written and how they are read.

    A run that was started before its recipe was renamed keeps its folder.

    Attributes:
        spec: The cell that is trained.
        folder: The run's folder, which need not exist yet.
        checkpoint: Its last checkpoint.

    Example:
        >>> record = Record(Path("nowhere"), Spec("digits", 8, "A"))
        >>> record.folder.as_posix(), record.state()
        ('nowhere/digits-8-A-mini-s0', 'missing')
    """

    def __init__(self, runs: Path, spec: Spec, name: str | None = None) -> None:
        self.spec = spec
        former = spec.former_name
        if name is None and former and (runs / former).exists() and not (runs / spec.name).exists():
            name = former
        self.folder = runs / (name or spec.name)
        self.checkpoint = self.folder / "checkpoints" / "last.ckpt"
        self._lock = FileLock(self.folder / ".lock")

    @classmethod
    def at(cls, folder: Path) -> Record:
        """The record in a folder.

        Raises:
            InputError: The folder's name is not a run name.
        """
        folder = folder.resolve()
        return cls(folder.parent, Spec.parse(folder.name), folder.name)

    def open(self, provenance: Mapping[str, Any]) -> None:
        """Lock the run for this process and write its provenance; a resumed run adds to it.

        Args:
            provenance: Where, when and how the run is trained in this session.

        Raises:
            InputError: The folder cannot be written, another process trains this run, or the run was started with
                another recipe or other data.
        """
        try:
            self.checkpoint.parent.mkdir(parents=True, exist_ok=True)
            self._lock.acquire(timeout=1)  # `state` of another process holds it for a moment
        except Timeout:
            raise InputError(f"{self.spec.name} is being trained by another process; wait for it or stop it") from None
        except OSError as error:
            raise unwritable(self.folder.parent, error) from None
        self._cut_torn_line()
        before = self.provenance()
        for key in ("recipe", "data_fingerprint"):
            if before and before[key] != provenance[key]:
                raise InputError(
                    f"{self.folder} was started with another {key.replace('_', ' ')}; "
                    "move it away to train from the beginning"
                )
        write_json(self.folder / "spec.json", self.spec.factors)
        begun = {**before, "resumed": [*before["resumed"], provenance]} if before else {**provenance, "resumed": []}
        write_json(self.folder / "provenance.json", begun)

    def note(self, **more: Any) -> None:
        """Add to the provenance what is known only after the start, such as the run's address in W&B."""
        write_json(self.folder / "provenance.json", self.provenance() | more)

    def close(self) -> None:
        """Release the lock."""
        self._lock.release()

    def append(self, row: Mapping[str, Any]) -> bool:
        """Add one line to the history and wait until it is on the disk.

        Returns:
            False if the step is on record already, because a resumed run repeated an evaluation; nothing is added then.
        """
        last = max((old["step"] for old in self.history()), default=-1)
        if row["step"] <= last:
            return False
        with (self.folder / "metrics.jsonl").open("a") as file:
            file.write(json.dumps(row) + "\n")
            file.flush()
            os.fsync(file.fileno())
        return True

    def finish(self, summary: Mapping[str, Any], measurements: Mapping[str, Row]) -> None:
        """Write what a finished run leaves: the measurements, then the summary, which marks the run as finished.

        Args:
            summary: The row of a `Summary`.
            measurements: One JSON object for each of `MEASUREMENTS`.
        """
        for name, measurement in measurements.items():
            write_json(self.folder / f"{name}.json", measurement, indent=None)
        write_json(self.folder / "summary.json", summary)

    def add(self, results: Mapping[str, Any]) -> None:
        """Add results of a later test to the summary; a result of the same name is replaced."""
        write_json(self.folder / "summary.json", {**(self.summary() or {}), **results})

    def history(self) -> list[Row]:
        """The rows of metrics.jsonl, without a last line that is incomplete.

        Raises:
            JSONDecodeError: Another line is not JSON.
        """
        path = self.folder / "metrics.jsonl"
        return list(_rows(path.read_text())) if path.exists() else []

    def last_evaluation(self) -> Evaluation | None:
        """The evaluation in the last line of metrics.jsonl; None before the first."""
        last = next(reversed(self.history()), None)
        return None if last is None else Evaluation.from_row(last)

    def provenance(self) -> Row:
        """The provenance of the first session, with those of the others as ``resumed``; empty before the start."""
        return read_json(self.folder / "provenance.json") or {}

    def summary(self) -> Row | None:
        """The results; None unless the run is finished."""
        return read_json(self.folder / "summary.json")

    def measurement(self, name: str) -> Row | None:
        """Read one of `MEASUREMENTS`, or `PROBES`; None if the run has no such file."""
        return read_json(self.folder / f"{name}.json")

    def state(self) -> State:
        """Whether the run is finished, running now, interrupted, or missing because it was never started."""
        if (self.folder / "summary.json").exists():
            return "finished"
        if not self.folder.exists():
            return "missing"
        try:
            with FileLock(self.folder / ".lock", timeout=0):
                return "interrupted"
        except Timeout:
            return "running"
        except OSError:  # a read-only folder, as on a colleague's disk
            return "interrupted"

    def _cut_torn_line(self) -> None:
        """Remove an incomplete last line, left by a kill; its evaluation is repeated and recorded again."""
        path = self.folder / "metrics.jsonl"
        if path.exists() and not (text := path.read_bytes()).endswith(b"\n"):
            os.truncate(path, text.rfind(b"\n") + 1)


@dataclass(frozen=True)
class Run:
    """One run as read from its record or from W&B: what the reports gather.

    Attributes:
        spec: The cell that was trained.
        state: How far it is.
        covariates: The values of `COVARIATES`.
        history: Its evaluations as rows.
        summary: Its results, None unless finished.
        responses: Fig. 7's measurement, None unless finished.
        probes: What `study probe` measured, None unless it was run.
        wandb_id: The run's id in W&B.
        url: The run's page in W&B, None for a run that was never online.
    """

    spec: Spec
    state: State
    covariates: Row
    history: list[Row]
    summary: Row | None
    responses: Row | None = field(default=None, repr=False)
    probes: Row | None = field(default=None, repr=False)
    wandb_id: str | None = None
    url: str | None = None


def read_run(record: Record) -> Run:
    """Read a whole record."""
    begun = record.provenance()
    return Run(
        record.spec,
        record.state(),
        covariates(begun),
        record.history(),
        record.summary(),
        record.measurement("responses"),
        record.measurement(PROBES),
        begun.get("wandb_id"),
        begun.get("url"),
    )


def covariates(provenance: Row) -> Row:
    """Select `COVARIATES` from a provenance, as flat values."""
    flat = provenance | {"torch": provenance.get("versions", {}).get("torch")}
    return {name: flat.get(name) for name in COVARIATES}


def unwritable(runs: Path, error: OSError) -> InputError:
    """The error of a runs folder that cannot be written."""
    return InputError(f"runs folder {runs} cannot be written ({error.strerror}); give another with --runs=PATH")


def _rows(text: str) -> Iterator[Row]:
    lines = text.splitlines()
    for number, line in enumerate(lines, start=1):
        try:
            yield json.loads(line)
        except json.JSONDecodeError:
            if number < len(lines):
                raise


def read_json(path: Path) -> Row | None:
    """Read a JSON object; None if there is no such file."""
    return json.loads(path.read_text()) if path.exists() else None


def write_json(path: Path, value: Mapping[str, Any], indent: int | None = 2) -> None:
    """Write a JSON object under a temporary name, then rename the file: a kill leaves the old or the new one."""
    temporary = path.with_suffix(".tmp")
    temporary.write_text(json.dumps(value, indent=indent) + "\n")
    os.replace(temporary, path)
