"""W&B as a mirror of the record: written on rank 0 only, read by nothing, and never a reason to stop training.

Whatever W&B lacks of the record is sent when a run begins or goes on, so that a run that was killed, preempted or
handed to another agent ends with one continuous history there.
"""

from __future__ import annotations

import os
import secrets
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytorch_lightning.loggers import Logger

from study.recipes import exhibits
from study.recording.record import CLIENT, MEASUREMENTS, Record, covariates
from study.recording.wandb.account import PROJECT, end_client, resolve_mode

if TYPE_CHECKING:
    from wandb import Run

DEFAULTS = {
    "WANDB_INIT_TIMEOUT": "30",  # seconds for a server that does not answer
    "WANDB_FINISH_TIMEOUT": "60",
    "WANDB_FINISH_TIMEOUT_RAISES": "true",
    "WANDB_SILENT": "true",
}
AGENTS_OWN = ("WANDB_RUN_ID", "WANDB_SWEEP_ID", "WANDB_SWEEP_PARAM_PATH")  # by which an agent binds a run to itself


def new_id() -> str:
    """A run's id in W&B, kept in the record before training starts; an agent's, where one hands out the run."""
    return os.environ.get("WANDB_RUN_ID") or secrets.token_hex(4)


class Mirror(Logger):
    """Lightning's logger over a W&B run; whatever goes wrong with W&B costs one line and never the training."""

    def __init__(self, record: Record) -> None:
        super().__init__()
        self.record = record
        self.run: Run | None = None
        self._begin()

    @property
    def name(self) -> str:
        """The cell's name."""
        return self.record.spec.name

    @property
    def version(self) -> str | None:
        """The run's id in W&B."""
        return self.run.id if self.run else None

    def log_hyperparams(self, *_: Any, **__: Any) -> None:
        """Nothing: the configuration is written once, when the run begins."""

    def log_metrics(self, metrics: Mapping[str, Any], step: int | None = None) -> None:
        """Send a row, which is in the record already."""
        self._attempt(lambda run: run.log(dict(metrics)))

    def finish(self) -> None:
        """Close a run that is complete, with its summary and figures."""
        self._attempt(self._complete, again=True)

    def preempt(self, status: int) -> None:
        """Close a run that was stopped by a signal and will go on: W&B hands it out again."""

        def stop(run: Run) -> None:
            run.mark_preempting()
            _close(run, status)

        self._attempt(stop, again=True)

    def _begin(self) -> None:
        """Open the run and send what it lacks of the record."""
        self.run = _open(self.record)
        last = dict(self.run.summary).get("step", -1)
        for row in self.record.history():
            if row["step"] > last:
                self.run.log(row)

    def _attempt(self, act: Callable[[Run], None], again: bool = False) -> None:
        """Act on the run. Where its client fails, begin it anew, which sends what got lost, and act `again`."""
        if self.run is None:
            return
        try:
            act(self.run)
        except Exception as error:
            _say(f"W&B's client failed in {self.name} ({error}) and is begun anew")
            try:
                end_client()
                self._begin()
                if again:
                    act(self.run)
            except Exception as second:
                self.run = None
                _say(f"W&B is given up for {self.name} ({second}); its record in {self.record.folder} is complete")

    def _complete(self, run: Run) -> None:
        from wandb import Image

        from study.recording.wandb.pictures import figures

        summary = self.record.summary()
        assert summary is not None
        for name in MEASUREMENTS:
            run.save(self.record.folder / f"{name}.json", base_path=self.record.folder, policy="now")
        pictures = {name: Image(figure) for name, figure in figures(self.record).items()}
        run.log({"step": summary["step"], **pictures})
        run.summary.update(summary)
        _close(run, 0)


def mirror(record: Record, requested: str) -> Mirror | None:
    """The mirror of a record that is open; None where W&B is off. Call it on rank 0 only."""
    chosen = resolve_mode(requested)
    if chosen == "disabled":
        return None
    folders = dict.fromkeys(("WANDB_CACHE_DIR", "WANDB_DATA_DIR"), str((record.folder.parent / CLIENT).absolute()))
    for name, value in (folders | DEFAULTS).items():
        os.environ.setdefault(name, value)
    os.environ["WANDB_MODE"] = chosen  # wandb refuses a variable that is set to nothing
    return Mirror(record)


def _close(run: Run, status: int) -> None:
    """Wait for the last rows to arrive and the client to end, but not for ever."""
    try:
        run.finish(exit_code=status)
    except TimeoutError:
        command = f"wandb sync --include-online {Path(run.dir).parent}"
        _say(f"W&B lacks the end of {run.name}; later: {command} (and --id=NEW where it was deleted there)")
    end_client()


def _say(what: str) -> None:
    print(f"study: {what}", file=sys.stderr)


def _open(record: Record) -> Run:
    """Begin the run or go on with it, online if that works."""
    import wandb

    spec, begun = record.spec, record.provenance()
    if os.environ.get("WANDB_RUN_ID", begun["wandb_id"]) != begun["wandb_id"]:
        for name in AGENTS_OWN:  # another agent began this cell: it goes on in the run in which it was begun
            os.environ.pop(name, None)
    arguments = {
        "project": os.environ.get("WANDB_PROJECT", PROJECT),
        "dir": record.folder.parent,
        "id": begun["wandb_id"],
        "resume": "allow",
        "name": spec.name,
        "group": spec.group,
        "job_type": "train",
        "tags": exhibits(spec),
        "config": spec.factors | covariates(begun),
    }
    try:
        run = wandb.init(**arguments)
    except Exception as error:
        end_client()
        why = str(error).split("\n")[0]
        if "deleted" in why:
            record.note(wandb_id=secrets.token_hex(4))
            _say(f"{spec.name} was deleted in W&B and goes on there as run {record.provenance()['wandb_id']}")
            return _open(record)
        _say(
            f"W&B cannot be reached ({why}); {spec.name} is trained all the same and logged offline; "
            f"later: wandb sync {record.folder.parent / CLIENT}/offline-run-*-{begun['wandb_id']}"
        )
        os.environ["WANDB_MODE"] = "offline"
        run = wandb.init(mode="offline", **{key: value for key, value in arguments.items() if key != "resume"})
    if run.url:
        record.note(url=run.url)
    run.define_metric("step", hidden=True)
    run.define_metric("*", step_metric="step")
    return run
