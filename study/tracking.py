"""W&B as a mirror of the record: written on rank 0 only, read by nothing, and never a reason to stop training.

Whatever W&B lacks of the record is sent when a run begins or goes on, so that a run that was killed, preempted or
handed to another agent ends with one continuous history there.
"""

from __future__ import annotations

import importlib.util
import netrc
import os
import secrets
import sys
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from study.recipes import recipe_for
from study.spec import InputError, Spec
from study.store import Record, Row

if TYPE_CHECKING:
    from pytorch_lightning.loggers import WandbLogger
    from wandb import Run

PROJECT = "resnet-study"
PATIENCE = {  # seconds for a server that does not answer
    "WANDB_INIT_TIMEOUT": "30",
    "WANDB_FINISH_TIMEOUT": "60",
    "WANDB_FINISH_TIMEOUT_RAISES": "true",
}
COVARIATES = ("commit", "dirty", "device", "world_size", "per_device_batch", "precision", "threads", "data_fingerprint")


def mode(asked: str) -> str:
    """What ``--wandb`` comes to here: online, offline or disabled.

    ``auto`` is what WANDB_MODE says, else online where an API key is configured, else offline.

    Raises:
        InputError: W&B is asked for but not installed.
    """
    preset = os.environ.get("WANDB_MODE", "")
    if asked == "auto" and preset in ("online", "offline", "disabled"):
        asked = preset
    if asked == "disabled":
        return asked
    if importlib.util.find_spec("wandb") is None:
        if asked != "auto":
            raise InputError(f"--wandb={asked} needs wandb; run: pip install wandb, or give --wandb=disabled")
        return "disabled"
    if asked != "auto":
        return asked
    return "online" if _has_account() else "offline"


def new_id() -> str:
    """A run's id in W&B, kept in the record before training starts; an agent's, where one hands out the run."""
    return os.environ.get("WANDB_RUN_ID") or secrets.token_hex(4)


def logger(record: Record, asked: str) -> WandbLogger | None:
    """Lightning's logger over a run that is open; None where W&B is off. Call it on rank 0 only.

    A server that cannot be reached costs one warning: the run goes on offline.
    """
    chosen = mode(asked)
    if chosen == "disabled":
        return None
    from pytorch_lightning.loggers import WandbLogger

    for name in ("WANDB_DIR", "WANDB_CACHE_DIR", "WANDB_DATA_DIR"):
        os.environ.setdefault(name, str(record.folder.absolute()))
    for name, value in ({"WANDB_SILENT": "true"} | PATIENCE).items():
        os.environ.setdefault(name, value)
    os.environ["WANDB_MODE"] = chosen  # wandb refuses a variable that is set to nothing
    mirror = WandbLogger(experiment=_open(record))
    last = mirror.experiment.summary.get("step", -1)
    for row in record.history():
        if row["step"] > last:
            mirror.log_metrics(row)
    return mirror


def finish(mirror: WandbLogger | None, summary: Row) -> None:
    """Close a run that is complete."""
    if mirror is not None:
        mirror.experiment.summary.update(summary)
        _close(mirror, 0)


def preempt(mirror: WandbLogger | None, status: int) -> None:
    """Close a run that was stopped by a signal and will go on: W&B hands it out again."""
    if mirror is not None:
        mirror.experiment.mark_preempting()
        _close(mirror, status)


def _close(mirror: WandbLogger, status: int) -> None:
    """Wait for the last rows to arrive, but not for ever."""
    run = mirror.experiment
    try:
        run.finish(exit_code=status)
    except TimeoutError:
        print(f"study: W&B lacks the end of {run.name}; later: wandb sync {Path(run.dir).parent}", file=sys.stderr)


def exhibits(spec: Spec) -> list[str]:
    """The paper's exhibits that a cell belongs to: the run's tags."""
    if recipe_for(spec).scale == "toy":
        return ["scaled down"]
    if spec.dataset == "imagenet":
        return ["Fig. 4"] * (spec.depth <= 34 and spec.shortcut in ("none", "A")) + ["Tables 2 to 4"]
    if spec.recipe != "paper":
        return [f"variant {spec.recipe}"]
    plain = spec.shortcut == "none"
    member = {
        "Table 6": not plain,
        "Fig. 1": plain and spec.depth in (20, 56),
        "Fig. 6": True,
        "Fig. 7": spec.depth <= 110,
    }
    return [exhibit for exhibit, is_in in member.items() if is_in]


def _open(record: Record) -> Run:
    """Begin the run or go on with it, online if that works."""
    import wandb

    spec, begun = record.spec, record.provenance()
    arguments = {
        "project": os.environ.get("WANDB_PROJECT", PROJECT),
        "id": begun["wandb_id"],
        "resume": "allow",
        "name": spec.name,
        "group": spec.group,
        "job_type": "train",
        "tags": exhibits(spec),
        "config": {**spec.factors, **{key: begun.get(key) for key in COVARIATES}},
    }
    try:
        run = wandb.init(**arguments)
    except Exception as error:
        why = str(error).split("\n")[0]
        print(
            f"study: W&B cannot be reached ({why}); {spec.name} is trained all the same and logged offline. "
            f"Later: wandb sync {record.folder}/wandb/offline-run-*",
            file=sys.stderr,
        )
        os.environ["WANDB_MODE"] = "offline"
        wandb.teardown()  # or the client holds on to the run that it could not open
        run = wandb.init(mode="offline", **{key: value for key, value in arguments.items() if key != "resume"})
    run.define_metric("step", hidden=True)
    run.define_metric("*", step_metric="step")
    return run


def _has_account() -> bool:
    """Whether an API key is configured, as wandb itself looks for one; asks no server."""
    if os.environ.get("WANDB_API_KEY"):
        return True
    host = urlsplit(os.environ.get("WANDB_BASE_URL", "https://api.wandb.ai")).hostname
    path = Path(os.environ.get("NETRC", "~/.netrc")).expanduser()
    try:
        return bool(host and netrc.netrc(path).authenticators(host))
    except (OSError, netrc.NetrcParseError):
        return False
