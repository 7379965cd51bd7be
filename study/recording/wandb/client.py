"""The environment of W&B's client: its folders, its patience, its mode, and the run that an agent has handed out."""

from __future__ import annotations

import os
import secrets
import sys

from study.recording.record import CLIENT, Record

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


def has_other_run(record: Record) -> bool:
    """Whether an agent has handed out a run to this process that is not the record's."""
    given = os.environ.get("WANDB_RUN_ID")
    return bool(given and os.environ.get("WANDB_SWEEP_ID")) and given != record.provenance().get("wandb_id")


def set_client_environment(record: Record, mode: str) -> None:
    """Set the variables that W&B's client reads: its folders, its patience and its mode.

    Variables that the user has set stay as they are, except WANDB_MODE. If another agent started this run, the
    variables with which this process's own agent claims a run are removed: the run resumes as the W&B run that it was.

    Args:
        record: The record, which has an id.
        mode: ``online`` or ``offline``.
    """
    set_client_folders(record, mode)
    own_id = record.provenance()["wandb_id"]
    if os.environ.get("WANDB_RUN_ID", own_id) != own_id:
        forget_agent()


def set_client_folders(record: Record, mode: str) -> None:
    """Set the same variables, and leave those of an agent alone."""
    folder = str((record.folder.parent / CLIENT).absolute())
    for name, value in {"WANDB_CACHE_DIR": folder, "WANDB_DATA_DIR": folder, **DEFAULTS}.items():
        os.environ.setdefault(name, value)
    os.environ["WANDB_MODE"] = mode  # not left to the user: the client refuses an empty value


def forget_agent() -> None:
    """Remove the variables with which an agent claims a run."""
    for name in AGENTS_OWN:
        os.environ.pop(name, None)


def say(message: str) -> None:
    """Print one line on standard error."""
    print(f"study: {message}", file=sys.stderr)
