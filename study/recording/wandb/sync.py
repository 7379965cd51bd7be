"""Send records to W&B whose training is over: idempotent, and never a reason for a measurement to be lost."""

from __future__ import annotations

import secrets
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from study.recording.folders import expand
from study.recording.lock import Taken
from study.recording.progress import progress
from study.recording.record import Record
from study.recording.wandb.account import check_account, end_client, resolve_mode, wandb_call
from study.recording.wandb.client import say, set_client_folders
from study.recording.wandb.description import About
from study.recording.wandb.sending import (
    PATIENCE,
    close,
    first_line,
    is_whole,
    open_later,
    send,
    skip_other_run,
    status_of,
)
from study.spec import InputError, Spec

if TYPE_CHECKING:
    from wandb import Run

Describe: TypeAlias = "Callable[[Spec], About]"
SENT, THERE, LEFT, FAILED = "sent", "already there", "left to their process", "failed"


def find_records(paths: Sequence[Path]) -> list[Record]:
    """The records in run folders, and in all run folders of runs folders.

    Raises:
        InputError: A path is no such folder, or holds no run.
    """
    found = [record for path in paths for record in _records(path)]
    return list({record.folder: record for record in found}.values())


def _records(path: Path) -> list[Record]:
    records = [Record.at(folder) for folder in expand([path]) if (folder / "spec.json").exists()]
    if not records:
        raise InputError(f"{path} has no run; give run folders, or a runs folder that has some")
    return records


def sync(records: Sequence[Record], describe: Describe) -> int:
    """Send what W&B lacks of the records, and print a line for each and a summary.

    Args:
        records: Runs of any state; one that is being trained is left to its process.
        describe: Says what W&B shows of a run beside its record.

    Returns:
        1 if a record could not be sent, else 0.

    Raises:
        InputError: W&B is not installed, there is no account, or W&B cannot be reached.
    """
    resolve_mode("online")  # raises if the package is not installed
    check_account()
    set_client_folders(records[0], "online")
    with wandb_call("W&B cannot be reached", "try again later; what is there already is not sent again"):
        import wandb

        assert wandb.Api(timeout=PATIENCE).default_entity
    outcomes: Counter[str] = Counter()
    for record in progress(records, "runs to W&B"):
        outcome, detail = _sync(record, describe)
        outcomes[outcome] += 1
        print(f"{record.folder.name}: {outcome}{detail and f', {detail}'}", flush=True)
    end_client()
    print(f"{len(records)} runs: {', '.join(f'{count} {outcome}' for outcome, count in outcomes.items())}")
    return 1 if outcomes[FAILED] else 0


def _sync(record: Record, describe: Describe) -> tuple[str, str]:
    """Send one record; returns what became of it, and more about that."""
    try:
        if record.summary() is None:
            record.reserve()  # nobody resumes it meanwhile
        if is_whole(record):
            return THERE, record.provenance().get("url") or ""
        send_record(record, describe(record.spec))
        return SENT, record.provenance()["url"]
    except Taken as other:
        return LEFT, f"it is being trained by {other}"
    except Exception as error:  # the client's errors have no base class in common
        return FAILED, first_line(error)
    finally:
        record.close()


def send_record(record: Record, about: About, resume: str = "allow") -> None:
    """Open the run of a record in W&B, send what it lacks, and close it with the status that the run had.

    Args:
        record: The record, which no process trains.
        about: What W&B shows of it.
        resume: ``must`` if W&B must have the run, else ``allow``.

    Raises:
        Exception: W&B's client failed.
    """
    try:
        run = _open(record, about, resume)
        send(run, record)
        close(run, status_of(record))
    except BaseException:
        end_client()
        raise


def _open(record: Record, about: About, resume: str) -> Run:
    """Open a run; one that was deleted in W&B becomes another one there."""
    try:
        return open_later(record, about, resume)
    except Exception as error:
        if "deleted" not in str(error) or resume == "must":
            raise
        end_client()
        record.note(wandb_id=secrets.token_hex(4))  # W&B never accepts the same id again
        return open_later(record, about, resume)


def show_finished(record: Record, describe: Describe) -> None:
    """Show a run in W&B whose cell was started once more, and close the run that an agent has handed out for it.

    Args:
        record: The record of a run that is finished, or that another process trains and will show itself.
        describe: Says what W&B shows of a run beside its record.
    """
    skip_other_run(record)
    if record.summary() is not None:
        _try_to_send(record, describe, "allow")


def refresh(records: Sequence[Record], describe: Describe) -> None:
    """Send to W&B what was measured since of finished runs that were online; a failure costs one line."""
    if resolve_mode("auto") != "online":
        return
    for record in records:
        if record.summary() is not None and record.provenance().get("url"):
            _try_to_send(record, describe, "must")


def _try_to_send(record: Record, describe: Describe, resume: str) -> None:
    try:
        set_client_folders(record, "online")
        if not is_whole(record):
            send_record(record, describe(record.spec), resume)
    except Exception as error:
        later = f"send it later: python -m study sync {record.folder}"
        say(f"W&B lacks a part of {record.spec.name} ({first_line(error)}); {later}")
    finally:
        end_client()
