"""Send what W&B lacks of a record: rows, summary, files and pictures. Errors of W&B's client are the caller's.

A digest of the record in the run's summary says that W&B has all of it, so that nothing is sent twice.
"""

from __future__ import annotations

import hashlib
import os
import secrets
from pathlib import Path
from typing import TYPE_CHECKING, Any

from study.recording.along import FILE as SIGNALS
from study.recording.record import DIVERGED, MEASUREMENTS, PROBES, Record
from study.recording.wandb.account import end_client
from study.recording.wandb.client import forget_agent, has_other_run, say, set_client_environment, set_client_folders
from study.recording.wandb.description import SKIPPED, About, description, destination, least

if TYPE_CHECKING:
    from wandb import Run

FILES = ("provenance.json", *(f"{name}.json" for name in (*MEASUREMENTS, PROBES)), SIGNALS)
DIGEST = "record_sha256"  # in the summary of a run of which W&B has the whole record
PATIENCE = 30  # seconds for one request


def open_run(record: Record, about: About, **settings: Any) -> Run:
    """Start or resume the W&B run of a record, in the mode of the environment.

    Args:
        record: The record, which has been started.
        about: What W&B shows of it.
        settings: Further arguments of ``wandb.init``.
    """
    import wandb

    run = wandb.init(**description(record, about), **settings)
    if run.url and run.url != record.provenance().get("url"):
        record.note(url=run.url)
    run.define_metric("step", hidden=True)
    run.define_metric("*", step_metric="step")
    return run


def open_later(record: Record, about: About, resume: str) -> Run:
    """Start or resume a run online whose training is over: this process's output and load are not the run's.

    Args:
        record: The record, which has been started.
        about: What W&B shows of it.
        resume: ``must`` if W&B must have it, else ``allow``.
    """
    import wandb

    if "wandb_id" not in record.provenance():
        record.note(wandb_id=secrets.token_hex(4))
    set_client_environment(record, "online")
    apart: dict[str, Any] = {"console": "off", "x_disable_stats": True, "x_disable_meta": True, "disable_git": True}
    return open_run(record, about, resume=resume, settings=wandb.Settings(**apart, x_save_requirements=False))


def send_rows(run: Run, record: Record) -> None:
    """Send the evaluations that W&B lacks."""
    last = dict(run.summary).get("step", -1)
    for row in record.history():
        if row["step"] > last:
            run.log(row)


def send(run: Run, record: Record) -> None:
    """Send the rows, and unless W&B has the whole record, its files and its summary; of a run that ended, pictures."""
    send_rows(run, record)
    if dict(run.summary).get(DIGEST) == (whole := digest(record)):
        return
    save(run, record, *FILES)
    if (summary := record.summary()) is not None:
        _draw(run, record, summary["step"])
    run.summary.update({**least(record), **(summary or {}), DIGEST: whole})


def _draw(run: Run, record: Record, step: int) -> None:
    """Send the pictures that W&B lacks; those of probes may have changed."""
    from wandb import Image

    from study.recording.wandb.pictures import figures

    known = {name for name in dict(run.summary) if not name.startswith(PROBES)}
    if drawn := {name: Image(figure) for name, figure in figures(record).items() if name not in known}:
        run.log({"step": step, **drawn})


def save(run: Run, record: Record, *names: str) -> None:
    """Send those of the files that there are."""
    for path in (record.folder / name for name in names):
        if path.exists():
            run.save(path, base_path=record.folder, policy="now")


def digest(record: Record) -> str:
    """A digest of all that W&B gets of a record."""
    paths = [record.folder / name for name in ("metrics.jsonl", "summary.json", *FILES)]
    content = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in paths if path.exists()}
    return hashlib.sha256(repr(content).encode()).hexdigest()


def is_whole(record: Record) -> bool:
    """Whether W&B has the whole record and the end of its run; W&B is asked without opening the run."""
    import wandb

    entity, project = destination(record)
    api = wandb.Api(timeout=PATIENCE)
    try:
        there = api.run(f"{entity or api.default_entity}/{project}/{record.provenance().get('wandb_id')}")
    except Exception:  # there is no such run; if it is another fault, sending will meet it
        return False
    is_ended = there.state == "finished" if record.state() == "finished" else there.state != "running"
    return is_ended and there.summary_metrics.get(DIGEST) == digest(record)


def status_of(record: Record) -> int:
    """The exit status with which the run of a record is closed in W&B."""
    return {"finished": 0, "diverged": DIVERGED}.get(record.state(), 1)


def close(run: Run, status: int) -> None:
    """Close the run and end the client, waiting for the last rows to arrive, but not for ever."""
    try:
        run.finish(exit_code=status)
    except TimeoutError:
        command = f"wandb sync --include-online {Path(run.dir).parent}"
        say(f"W&B lacks the end of {run.name}; send it later: {command} (with --id=NEW if it was deleted there)")
    end_client()


def skip_other_run(record: Record) -> None:
    """Close the run that an agent has handed out, if the cell is another run: named, as skipped, and without an error.

    Otherwise W&B would keep a run without a name, and call it crashed.
    """
    if not has_other_run(record):
        return
    begun = record.provenance()
    where = begun.get("url") or f"run {begun.get('wandb_id', 'of another process')}"
    try:
        _close_skipped(record, f"Skipped: {record.spec.name} is {where}.")
    except Exception as error:
        end_client()
        say(f"W&B keeps run {os.environ['WANDB_RUN_ID']} without an end ({first_line(error)}); the cell is {where}")
    forget_agent()


def _close_skipped(record: Record, notes: str) -> None:
    import wandb

    set_client_folders(record, "online")
    names: dict[str, Any] = {
        "name": record.spec.name,
        "group": record.spec.group,
        "job_type": SKIPPED,
        "tags": [SKIPPED],
    }
    apart = wandb.Settings(console="off", x_disable_stats=True)
    close(wandb.init(dir=record.folder.parent, notes=notes, settings=apart, **names), 0)


def first_line(error: Exception) -> str:
    """What an error of the client says, on one line."""
    return str(error).strip().split("\n")[0] or type(error).__name__
