"""The run record: a folder of plain files per run, written by rank 0 and read by everything after training.

    RUNS/<run name>/spec.json        the five factors
                    provenance.json  where, when, with which software and on which data it was trained
                    metrics.jsonl    the evaluations, one JSON object a line, append-only
                    summary.json     the results; only when finished
                    responses.json   standard deviation of every layer's response; only when finished
                    confusion.json   test images by true class (rows) and predicted class (columns); only when finished
                    checkpoints/last.ckpt, previous.ckpt, digests.json
         wandb/                      the files of the W&B client, for all runs

No torch, so that the sweep and the reports read records quickly.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from contextlib import suppress
from errno import ENOSPC
from itertools import count
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel

from study.recording import schema
from study.recording.evaluation import Evaluation, Row, describe
from study.recording.files import now, read_json, to_json, write_json, write_whole
from study.recording.lock import RunLock
from study.spec import InputError, Spec

State = Literal["finished", "diverged", "running", "stopped", "interrupted", "missing"]

DIVERGED = 3  # the exit status of a run whose loss is no longer a number
CLIENT = "wandb"  # the folder of the W&B client, beside those of the runs
LOG = "output-"  # what the log of a run that `study sweep` started is called, before host and process
MEASUREMENTS = ("responses", "confusion")  # the JSON files that a finished run leaves in addition to its summary
PROBES = "probes"  # the JSON file of `study probe`
MODELS: dict[str, type[BaseModel]] = {
    "responses": schema.Responses,
    "confusion": schema.Confusion,
    PROBES: schema.Probes,
}


class Record:
    """The folder of one run: where its files are, how they are written and how they are read.

    A run that was started before its recipe was renamed keeps its folder.

    Attributes:
        spec: The cell that is trained.
        folder: The run's folder, which need not exist yet.
        checkpoint: Its last checkpoint.
        faults: What was found damaged since the record was opened, each as a sentence.

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
        self._lock = RunLock(self.folder)
        self._made: list[Path] = []  # the folders that were made for it
        self.faults: list[str] = []
        self._last = -1  # the step of the last line

    @classmethod
    def at(cls, folder: Path) -> Record:
        """The record in a folder.

        Raises:
            InputError: The folder's name is not a run name.
        """
        folder = folder.resolve()
        return cls(folder.parent, Spec.parse(folder.name), folder.name)

    def reserve(self) -> None:
        """Lock the run for this process.

        Raises:
            Taken: Another process trains this run.
            InputError: The folder cannot be written.
        """
        self._made += [folder for folder in (self.folder, self.folder.parent) if not folder.exists()]
        try:
            self._lock.acquire()
        except OSError as error:
            raise unwritable(self.folder.parent, error) from None

    def open(self, provenance: Mapping[str, Any]) -> bool:
        """Reserve the run, unless that is done, and write its provenance; a resumed run adds to it.

        Args:
            provenance: Where, when and how the run is trained in this session.

        Returns:
            False if it is finished: another process may have trained it since this one looked. Nothing is written then.

        Raises:
            Taken: Another process trains this run.
            InputError: The folder cannot be written or read, or the run was started with another recipe or other data.
        """
        self.reserve()
        if self.summary() is not None:
            return False
        before = self.provenance()
        for key in ("recipe", "data_fingerprint", "parent"):
            if before and before.get(key) != provenance.get(key):
                raise InputError(
                    f"{self.folder} was started with another {key.replace('_', ' ')}; "
                    "move it away to train from the beginning"
                )
        self.checkpoint.parent.mkdir(exist_ok=True)
        write_json(self.folder / "spec.json", self.spec.factors)
        begun = {**before, "resumed": [*before["resumed"], provenance]} if before else {**provenance, "resumed": []}
        write_json(self.folder / "provenance.json", begun)
        self.keep(len(self.sound_rows()))
        return True

    def say_end(self) -> int:
        """Say in one line how a run has ended; returns the exit status that it had then."""
        summary = self.summary()
        assert summary is not None
        if summary.get("diverged"):
            print(f"study: {self.spec.name} has diverged; move {self.folder} away to train it again", file=sys.stderr)
            return DIVERGED
        print(f"{self.spec.name} is finished already: {describe(Evaluation.from_row(summary))}")
        return 0

    def say_taken(self, holder: str | None = None) -> int:
        """Say in one line which process trains the run; returns the exit status of one that leaves it alone."""
        who = holder or self.holder() or "another process"
        print(f"{self.spec.name} is being trained by {who}; nothing is done here")
        return 0

    def note(self, **more: Any) -> None:
        """Add to the provenance what is known only after the start, such as the run's address in W&B."""
        write_json(self.folder / "provenance.json", self.provenance() | more)

    def stop(self, why: str) -> None:
        """Note that somebody stopped this session of the run, so that no sweep takes it up by itself.

        Args:
            why: Where, in a few words; the time is added.
        """
        begun = self.provenance()
        sessions(begun)[-1]["stopped"] = f"{why} at {now()}"
        write_json(self.folder / "provenance.json", begun)

    def stopped(self) -> str:
        """Where and when somebody stopped the last session of the run; empty if nobody did."""
        why: str | None = sessions(self.provenance())[-1].get("stopped")
        return why or ""

    def say_stopped(self) -> int:
        """Say in one line that the run was stopped; returns the exit status of a process that leaves it alone."""
        print(f"{self.spec.name} was {self.stopped()}; --again takes it up")
        return 0

    def close(self) -> None:
        """Release the lock, if it is held; nothing stays of a run that could not be started."""
        if not (self.folder / "provenance.json").exists():
            self._lock.remove()
            for folder in self._made:
                with suppress(OSError):  # another process has started in it
                    folder.rmdir()
        self._lock.release()

    def append(self, row: Mapping[str, Any]) -> bool:
        """Add one line to the history and wait until it is on the disk.

        Returns:
            False if the step is on record already, because a resumed run repeated an evaluation; nothing is added then.

        Raises:
            OSError: The disk is full or the folder is gone; what was written of the line is cut off on the next start.
        """
        if row["step"] <= self._last:
            return False
        self._lock.check()
        with (self.folder / "metrics.jsonl").open("a") as file:
            file.write(to_json(row) + "\n")
            file.flush()
            os.fsync(file.fileno())
        self._last = row["step"]
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
            Unreadable: Another line is not an evaluation, or does not follow the one before it.
        """
        return list(schema.read_history(self.folder / "metrics.jsonl"))

    def last_evaluation(self) -> Evaluation | None:
        """The evaluation in the last line of metrics.jsonl; None before the first."""
        last = next(reversed(self.history()), None)
        return None if last is None else Evaluation.from_row(last)

    def provenance(self) -> Row:
        """The provenance of the first session, with those of the others as ``resumed``; empty before the start.

        Raises:
            Unreadable: The file is not what the study writes; so do the two methods below.
        """
        return schema.read(self.folder / "provenance.json", schema.Provenance) or {}

    def summary(self) -> Row | None:
        """The results; None unless the run is finished."""
        return schema.read(self.folder / "summary.json", schema.Summary)

    def measurement(self, name: str) -> Row | None:
        """Read one of `MEASUREMENTS`, or `PROBES`; None if the run has no such file."""
        return schema.read(self.folder / f"{name}.json", MODELS[name])

    def state(self) -> State:
        """Whether the run is finished, diverged, running now, stopped in W&B, interrupted, or missing: not started."""
        if (self.folder / "summary.json").exists():
            return "diverged" if (read_json(self.folder / "summary.json") or {}).get("diverged") else "finished"
        if not self.folder.exists():
            return "missing"
        if self.holder():
            return "running"
        return "stopped" if self._is_stopped() else "interrupted"

    def holder(self) -> str | None:
        """The process that trains the run now, in words, as ``process 12 on host``."""
        return self._lock.holder()

    def _is_stopped(self) -> bool:
        with suppress(InputError):  # a damaged provenance is reported by whoever reads it
            return bool(self.stopped())
        return False

    def sound_rows(self) -> list[Row]:
        """The rows of metrics.jsonl up to the first that is not an evaluation, or that does not follow its own."""
        rows: list[Row] = []
        with suppress(InputError):
            rows.extend(schema.read_history(self.folder / "metrics.jsonl"))  # those before an unsound one stay
        return rows

    def keep(self, lines: int) -> None:
        """Cut the history off after so many lines; the evaluations behind them are repeated and recorded again.

        If more is cut off than an incomplete last line, as a kill leaves it, a copy of the history is kept.
        """
        path = self.folder / "metrics.jsonl"
        content = path.read_bytes() if path.exists() else b""
        kept = content[: sum(len(line) + 1 for line in content.split(b"\n")[:lines])]
        kept = kept[: kept.rfind(b"\n") + 1]
        if b"\n" in content[len(kept) :]:
            write_whole(copy := _free(path), content)
            self.faults.append(f"{path.name} is damaged behind line {lines}; it is kept as {copy.name}")
        if len(kept) < len(content):
            os.truncate(path, len(kept))
        self._last = self.sound_rows()[-1]["step"] if kept else -1


def sessions(provenance: Row) -> list[Row]:
    """The provenances of all sessions of a run, the first of which has the others in it."""
    return [provenance, *provenance.get("resumed", [])]


def _free(path: Path) -> Path:
    """A name beside a file that no file has: ``metrics.damaged-1.jsonl``."""
    names = (path.with_stem(f"{path.stem}.damaged-{number}") for number in count(1))
    return next(name for name in names if not name.exists())


def unwritable(runs: Path, error: OSError) -> InputError:
    """The error of a runs folder that cannot be written."""
    fix = "make room, or give" if error.errno == ENOSPC else "give"
    return InputError(f"runs folder {runs} cannot be written ({error.strerror}); {fix} another with --runs=PATH")
