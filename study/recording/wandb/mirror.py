"""The W&B logger of a run: a write-only copy of its record, sent by rank 0. No failure of W&B stops training.

When a run starts or resumes, W&B is sent whatever it lacks of the record. So a run that was killed, preempted or handed
to another agent has one continuous history there.
"""

from __future__ import annotations

import secrets
from _thread import interrupt_main
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from pytorch_lightning.loggers import Logger

from study.recording.record import CLIENT, Record
from study.recording.wandb.account import end_client, resolve_mode
from study.recording.wandb.artifact import WriteWeights, log_weights
from study.recording.wandb.client import say, set_client_environment
from study.recording.wandb.description import DIVERGED, About, least
from study.recording.wandb.sending import close, first_line, open_run, save, send, send_rows, skip_other_run
from study.recording.wandb.stops import STOPPED, why_stopped

if TYPE_CHECKING:
    from wandb import Run


def mirror(record: Record, requested: str, about: Callable[[], About]) -> Mirror | None:
    """Start the W&B logger of an open record; call it on rank 0 only.

    Args:
        record: The record, open for writing.
        requested: The value of ``--wandb``.
        about: Says what W&B shows of the run beside its record; called unless W&B is disabled.

    Returns:
        The logger, None if W&B is disabled.

    Raises:
        InputError: W&B is requested but not installed.
    """
    mode = resolve_mode(requested)
    if mode == "disabled":
        return None
    if mode == "online":
        skip_other_run(record)
    set_client_environment(record, mode)
    return Mirror(record, about())


class Mirror(Logger):
    """Lightning's logger over a W&B run.

    If W&B's client fails, it is started again and sent what it lacks. If that fails too, one line says so and training
    continues without W&B; the record on disk is complete in any case.

    Attributes:
        record: The record.
        run: The W&B run, None once W&B has failed for good.
        request_stop: Called by W&B's client, in a thread of its own, when somebody stops the run in the dashboard.
    """

    def __init__(self, record: Record, about: About) -> None:
        super().__init__()
        self.record = record
        self.about = about
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
        """Send a row that is in the record already, and the smallest errors so far."""

        def log(run: Run) -> None:
            run.log(dict(metrics))
            run.summary.update(least(self.record))

        self._attempt(log)

    def finish(self, write_weights: WriteWeights | None = None) -> None:
        """Send the summary, the measurements and their pictures of a finished run, and its weights, and close it.

        Args:
            write_weights: Writes the files of the weights into a folder; None sends none. An offline run sends none.
        """

        def complete(run: Run) -> None:
            send(run, self.record)
            if write_weights and not run.offline:
                self._log_weights(run, write_weights)
            close(run, 0)

        self._attempt(complete, again=True)

    def diverge(self, why: str, status: int) -> None:
        """Close a run whose loss is no longer a number: whole, tagged, and with an alert."""

        def mark(run: Run) -> None:
            run.tags = (*(run.tags or ()), DIVERGED)
            run.alert(f"{self.name} has diverged", why)

        self._end(mark, status)

    def why_stopped(self) -> str:
        """Why W&B wants the run to end, in a few words; empty if it does not, or cannot be asked."""
        if self._is_stopped:
            return "stopped in W&B"
        return why_stopped(self.run) if self.run and not self.run.offline else ""

    def stop(self, status: int) -> None:
        """Close a run that somebody stopped in W&B, which does not hand it out again."""

        def mark(run: Run) -> None:
            run.tags = (*(run.tags or ()), STOPPED)

        self._end(mark, status)

    def preempt(self, status: int) -> None:
        """Close a run that was stopped by a signal, marked as preempted so that W&B hands it out again."""
        self._end(lambda run: run.mark_preempting(), status)

    def _end(self, mark: Callable[[Run], None], status: int) -> None:
        """Close a run that did not finish, marked as what became of it, when W&B has its record."""

        def end(run: Run) -> None:
            mark(run)
            send(run, self.record)
            close(run, status)

        self._attempt(end, again=True)

    def _begin(self) -> None:
        """Open the W&B run and send what it lacks of the record so far."""
        self.run = self._open()
        send_rows(self.run, self.record)
        save(self.run, self.record, "provenance.json")

    def _open(self) -> Run:
        """Start or resume the W&B run: online if that works, else offline."""
        import wandb

        record = self.record
        own = wandb.Settings(stop_fn=lambda: self._stop())  # no method: the client copies it, and what it belongs to
        try:
            return open_run(record, self.about, resume="allow", settings=own)
        except Exception as error:
            end_client()
            reason = first_line(error)
            if "deleted" in reason:
                return self._open_new()
            offline = f"{record.folder.parent / CLIENT}/offline-run-*-{record.provenance()['wandb_id']}"
            say(
                f"W&B cannot be reached ({reason}); {self.name} is trained and logged offline; "
                f"send it later: wandb sync {offline}"
            )
            set_client_environment(record, "offline")
            return open_run(record, self.about, resume="allow", mode="offline", settings=own)

    def _open_new(self) -> Run:
        """Start another W&B run for a record whose own was deleted: W&B never accepts the same id again."""
        self.record.note(wandb_id=secrets.token_hex(4))
        say(f"{self.name} was deleted in W&B and resumes there as run {self.record.provenance()['wandb_id']}")
        set_client_environment(self.record, "online")
        return self._open()

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
            say(f"W&B's client failed in {self.name} ({error}); it is started again")
            try:
                end_client()
                self._begin()
                if again:
                    act(self.run)
            except Exception as second:
                self.run = None
                say(f"W&B will lack the rest of {self.name} ({second}); the record in {self.record.folder} has it all")

    def _log_weights(self, run: Run, write_weights: WriteWeights) -> None:
        try:
            log_weights(run, self.record, write_weights)
        except Exception as error:
            reason = " ".join(str(error).split()) or type(error).__name__
            fix = f"export them from the run: python -m study export {self.record.folder} --out=DIR"
            say(f"W&B may lack the weights of {self.name} ({reason}); {fix}")
