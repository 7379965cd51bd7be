"""Signals that stop training after a checkpoint; a second one ends a process that has not stopped."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Thread
from time import monotonic
from types import FrameType
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Callback

from study.machine.compiler import is_of_compiler
from study.recording.wandb.mirror import Mirror
from study.training.callbacks import Checkpoint, training_module
from study.training.module import TrainingModule

SIGNALS = (signal.SIGTERM, signal.SIGUSR1, signal.SIGHUP, signal.SIGINT)
PATIENCE = 5.0  # seconds after which a second signal ends a process that has not stopped


class Interrupted(Exception):
    """Training was stopped by a signal after a checkpoint, or before the first step of a session.

    Attributes:
        status: The exit status of the process, 128 + signal.
    """

    def __init__(self, signum: int, what: str = "checkpoint written") -> None:
        super().__init__(f"stopped by {signal.Signals(signum).name}, {what}")
        self.status = 128 + signum


class SignalStop(Callback):
    """Stops training on one of `SIGNALS` to any rank, after a checkpoint.

    One rank stops after the current step, several after a step on which they agree, see `study.training.ranks`.

    `Interrupted` is then raised on every rank. A second Ctrl-C ends the process immediately. Another second signal does
    if it comes `PATIENCE` after the first: a supervisor may send one signal both to a process and to its group.

    Attributes:
        signum: The signal that this rank has received, 0 for none.
    """

    def __init__(self, checkpoint: Checkpoint) -> None:
        self.checkpoint = checkpoint
        self.signum = 0
        self._module: TrainingModule | None = None

    def request(self, signum: int = signal.SIGTERM) -> None:
        """Stop as if the signal had come; any thread may call it."""
        self.signum = self.signum or signum
        if self._module is not None:
            self._module.stop_requested = True

    def _handle(self, signum: int, _: FrameType | None) -> None:
        self.request(signum)
        signal.signal(signal.SIGINT, signal.default_int_handler)

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Replace Lightning's signal handler, which talks to other ranks inside the handler and can hang."""
        self._module = training_module(pl_module)
        for signum in SIGNALS:
            signal.signal(signum, self._handle)
        watch_for_second()
        for logger in trainer.loggers:
            if isinstance(logger, Mirror):
                logger.request_stop = self.request

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule, *_: Any) -> None:
        """Stop after this step, unless its evaluation is still to come.

        Raises:
            Interrupted: A rank has received a signal.
        """
        module = training_module(pl_module)
        if module.agreement.stop and not module.at_evaluation:
            self.checkpoint.save(trainer)
            raise Interrupted(self.signum or signal.SIGTERM)

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Stop after this evaluation, whose checkpoint is written, unless it was the last.

        Raises:
            Interrupted: A rank has received a signal.
        """
        module = training_module(pl_module)
        if module.agreement.at_once(module.stop_requested) and not trainer.should_stop:
            raise Interrupted(self.signum or signal.SIGTERM)


@contextmanager
def stopped_compiler(stop: SignalStop) -> Iterator[None]:
    """Take the end of the C++ compiler for that of this process: a Ctrl-C, or a signal to the group, reaches both.

    The step is compiled when the first one of a session is taken, so nothing is lost.

    Raises:
        Interrupted: In place of torch's error, if this process received a signal, too.
    """
    try:
        yield
    except RuntimeError as error:
        if stop.signum and is_of_compiler(error):
            raise Interrupted(stop.signum, "nothing trained in this session") from None
        raise


def watch_for_second() -> None:
    """Let a thread end this process at the second signal.

    Python calls its handlers between two of its own instructions, of which there are none while a rank waits for
    another that hangs. But it writes the number of each signal to a socket at once.
    """
    receiver, sender = socket.socketpair()
    sender.setblocking(False)
    signal.set_wakeup_fd(sender.fileno(), warn_on_full_buffer=False)
    Thread(target=_end_at_second, args=(receiver, sender), daemon=True).start()


def _end_at_second(receiver: socket.socket, _: socket.socket) -> None:
    """Wait for signals; the other end of the socket is held so that it stays open."""
    first = None
    while received := receiver.recv(1):
        if received[0] not in SIGNALS:
            continue
        if first is not None and monotonic() - first > PATIENCE:
            os._exit(128 + received[0])
        first = first or monotonic()
