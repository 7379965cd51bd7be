"""The W&B logger of a run: a write-only copy of its record, sent by rank 0. No failure of W&B stops training.

When a run starts or resumes, W&B is sent whatever it lacks of the record. So a run that was killed, preempted or handed
to another agent has one continuous history there.
"""

from __future__ import annotations

import os
import secrets
import sys
from _thread import interrupt_main
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytorch_lightning.loggers import Logger

from study.recipes import exhibits
from study.recording.record import CLIENT, MEASUREMENTS, Record
from study.recording.run import covariates
from study.recording.wandb.account import PROJECT, end_client, resolve_mode
from study.recording.wandb.artifact import WriteWeights, log_weights
from study.recording.wandb.stops import STOPPED, why_stopped

if TYPE_CHECKING:
    from wandb import Run

DEFAULTS = {
    "WANDB_INIT_TIMEOUT": "30",  # seconds to wait for a server that does not answer
    "WANDB_FINISH_TIMEOUT": "60",
    "WANDB_FINISH_TIMEOUT_RAISES": "true",
    "WANDB_SILENT": "true",
}
AGENTS_OWN = ("WANDB_RUN_ID", "WANDB_SWEEP_ID", "WANDB_SWEEP_PARAM_PATH")  # with these an agent claims a run


def new_id() -> str:
    """The W&B id of a run that starts now: the agent's if an agent started it, else a random one.

    It is noted in the record before training starts, so that a resumed run finds its W&B run again.
    """
    return os.environ.get("WANDB_RUN_ID") or secrets.token_hex(4)


def mirror(record: Record, requested: str) -> Mirror | None:
    """Start the W&B logger of an open record; call it on rank 0 only.

    Args:
        record: The record, open for writing.
        requested: The value of ``--wandb``.

    Returns:
        The logger, None if W&B is disabled.

    Raises:
        InputError: W&B is requested but not installed.
    """
    mode = resolve_mode(requested)
    if mode == "disabled":
        return None
    set_client_environment(record, mode)
    return Mirror(record)


def set_client_environment(record: Record, mode: str) -> None:
    """Set the variables that W&B's client reads: its folders, its patience and its mode.

    Variables that the user has set stay as they are, except WANDB_MODE. If another agent started this run, the
    variables with which this process's own agent claims a run are removed: the run resumes as the W&B run that it was.

    Args:
        record: The record, open for writing.
        mode: ``online`` or ``offline``.
    """
    folder = str((record.folder.parent / CLIENT).absolute())
    for name, value in {"WANDB_CACHE_DIR": folder, "WANDB_DATA_DIR": folder, **DEFAULTS}.items():
        os.environ.setdefault(name, value)
    os.environ["WANDB_MODE"] = mode  # not left to the user: the client refuses an empty value
    own_id = record.provenance()["wandb_id"]
    if os.environ.get("WANDB_RUN_ID", own_id) != own_id:
        for name in AGENTS_OWN:
            os.environ.pop(name, None)


class Mirror(Logger):
    """Lightning's logger over a W&B run.

    If W&B's client fails, it is started again and sent what it lacks. If that fails too, one line says so and training
    continues without W&B; the record on disk is complete in any case.

    Attributes:
        record: The record.
        run: The W&B run, None once W&B has failed for good.
        request_stop: Called by W&B's client, in a thread of its own, when somebody stops the run in the dashboard.
    """

    def __init__(self, record: Record) -> None:
        super().__init__()
        self.record = record
        self.run: Run | None = None
        self.request_stop: Callable[[], None] = interrupt_main
        self._is_stopped = False
        self._begin()

    @property
    def name(self) -> str:
        """The run's name."""
        return self.record.spec.name

    @property
    def version(self) -> str | None:
        """The run's id in W&B."""
        return self.run.id if self.run else None

    def log_hyperparams(self, *_: Any, **__: Any) -> None:
        """Do nothing: the configuration is written once, when the run starts."""

    def log_metrics(self, metrics: Mapping[str, Any], step: int | None = None) -> None:
        """Send a row that is in the record already."""
        self._attempt(lambda run: run.log(dict(metrics)))

    def finish(self, write_weights: WriteWeights | None = None) -> None:
        """Send the summary, the measurements and their pictures of a finished run, and its weights, and close it.

        Args:
            write_weights: Writes the files of the weights into a folder; None sends none. An offline run sends none.
        """

        def complete(run: Run) -> None:
            self._complete(run)
            if write_weights and not run.offline:
                self._log_weights(run, write_weights)
            _close(run, 0)

        self._attempt(complete, again=True)

    def diverge(self, why: str, status: int) -> None:
        """Close a run whose loss is no longer a number: tagged, with its summary and an alert."""

        def fail(run: Run) -> None:
            run.tags = (*(run.tags or ()), "diverged")
            run.summary.update(self.record.summary() or {})
            run.alert(f"{self.name} has diverged", why)
            _close(run, status)

        self._attempt(fail, again=True)

    def why_stopped(self) -> str:
        """Why W&B wants the run to end, in a few words; empty if it does not, or cannot be asked."""
        if self._is_stopped:
            return "stopped in W&B"
        return why_stopped(self.run) if self.run and not self.run.offline else ""

    def stop(self, status: int) -> None:
        """Close a run that somebody stopped in W&B, which does not hand it out again."""

        def end(run: Run) -> None:
            run.tags = (*(run.tags or ()), STOPPED)
            _close(run, status)

        self._attempt(end, again=True)

    def preempt(self, status: int) -> None:
        """Close a run that was stopped by a signal, marked as preempted so that W&B hands it out again."""

        def stop(run: Run) -> None:
            run.mark_preempting()
            _close(run, status)

        self._attempt(stop, again=True)

    def _begin(self) -> None:
        """Open the W&B run and send what it lacks of the record."""
        self.run = _open(self.record, self._stop)
        last = dict(self.run.summary).get("step", -1)
        for row in self.record.history():
            if row["step"] > last:
                self.run.log(row)

    def _stop(self) -> None:
        """What W&B's client does instead of its own way, a Ctrl-C that could end a process before its checkpoint."""
        self._is_stopped = True
        self.request_stop()

    def _attempt(self, act: Callable[[Run], None], again: bool = False) -> None:
        """Call `act` with the W&B run, surviving a failure of the client.

        Args:
            act: What to do.
            again: Whether to repeat it once the client has been started again. Rows need no repetition: `_begin` sends
                whatever is missing.
        """
        if self.run is None:
            return
        try:
            act(self.run)
        except Exception as error:
            _say(f"W&B's client failed in {self.name} ({error}); it is started again")
            try:
                end_client()
                self._begin()
                if again:
                    act(self.run)
            except Exception as second:
                self.run = None
                _say(f"W&B will lack the rest of {self.name} ({second}); the record in {self.record.folder} has it all")

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

    def _log_weights(self, run: Run, write_weights: WriteWeights) -> None:
        try:
            log_weights(run, self.record, write_weights)
        except Exception as error:
            reason = " ".join(str(error).split()) or type(error).__name__
            fix = f"export them from the run: python -m study export {self.record.folder} --out=DIR"
            _say(f"W&B may lack the weights of {self.name} ({reason}); {fix}")


def _open(record: Record, stop: Callable[[], None]) -> Run:
    """Start or resume the W&B run of a record: online if that works, else offline."""
    import wandb

    settings = _settings(record) | {"settings": wandb.Settings(stop_fn=stop)}
    try:
        run = wandb.init(**settings, resume="allow")
    except Exception as error:
        end_client()
        reason = str(error).split("\n")[0]
        if "deleted" in reason:
            return _open_new(record, stop)
        _say(
            f"W&B cannot be reached ({reason}); {record.spec.name} is trained and logged offline; "
            f"send it later: wandb sync {record.folder.parent / CLIENT}/offline-run-*-{settings['id']}"
        )
        set_client_environment(record, "offline")
        run = wandb.init(**settings, mode="offline")
    if run.url:
        record.note(url=run.url)
    run.define_metric("step", hidden=True)
    run.define_metric("*", step_metric="step")
    return run


def _open_new(record: Record, stop: Callable[[], None]) -> Run:
    """Start another W&B run for a record whose own was deleted: W&B never accepts the same id again."""
    record.note(wandb_id=secrets.token_hex(4))
    _say(f"{record.spec.name} was deleted in W&B and resumes there as run {record.provenance()['wandb_id']}")
    set_client_environment(record, "online")
    return _open(record, stop)


def _settings(record: Record) -> dict[str, Any]:
    """What W&B shows of a run from its start: its names, its tags and its configuration."""
    spec, begun = record.spec, record.provenance()
    return {
        "project": os.environ.get("WANDB_PROJECT", PROJECT),
        "dir": record.folder.parent,
        "id": begun["wandb_id"],
        "name": spec.name,
        "group": spec.group,
        "job_type": "train",
        "tags": exhibits(spec),
        "config": spec.factors | covariates(begun),
    }


def _close(run: Run, status: int) -> None:
    """Close the run and end the client, waiting for the last rows to arrive, but not for ever."""
    try:
        run.finish(exit_code=status)
    except TimeoutError:
        command = f"wandb sync --include-online {Path(run.dir).parent}"
        _say(f"W&B lacks the end of {run.name}; send it later: {command} (with --id=NEW if it was deleted there)")
    end_client()


def _say(message: str) -> None:
    print(f"study: {message}", file=sys.stderr)
