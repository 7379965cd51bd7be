"""One run as the reports gather it, and what is known of it beside its factors."""

from __future__ import annotations

from dataclasses import dataclass, field

from study.recording.along import read_signals
from study.recording.evaluation import Row
from study.recording.files import Unreadable
from study.recording.record import PROBES, Record, State, sessions
from study.spec import Spec

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
    "extent",
    "plan",
    "started",
    "torch",
    "argv",
    "changed",
    "parent",
)
# What may differ between the sessions of a run and changes its weights: a covariate names what did.
CHANGING = ("world_size", "precision", "tf32", "step_path", "checkpoint_every", "threads", "device", "torch")


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
        confusion: Test images by true and predicted class, None unless finished.
        probes: What `study probe` measured, None unless it was run.
        along: What every layer did along the training, empty unless it was trained with ``--signals``.
        wandb_id: The run's id in W&B.
        url: The run's page in W&B, None for a run that was never online.
    """

    spec: Spec
    state: State
    covariates: Row
    history: list[Row]
    summary: Row | None
    responses: Row | None = field(default=None, repr=False)
    confusion: Row | None = field(default=None, repr=False)
    probes: Row | None = field(default=None, repr=False)
    along: list[Row] = field(default_factory=list, repr=False)
    wandb_id: str | None = None
    url: str | None = None


def read_run(record: Record) -> Run:
    """Read a whole record.

    Raises:
        Unreadable: A file of it is missing or is not what the study writes.
    """
    begun = record.provenance()
    if not begun and record.sound_rows():
        raise Unreadable("provenance.json is missing")
    return Run(
        record.spec,
        record.state(),
        covariates(begun),
        record.history(),
        record.summary(),
        record.measurement("responses"),
        record.measurement("confusion"),
        record.measurement(PROBES),
        read_signals(record.folder),
        begun.get("wandb_id"),
        begun.get("url"),
    )


def covariates(provenance: Row) -> Row:
    """Select `COVARIATES` from a provenance, as flat values."""
    first = _flat(provenance)
    return {name: first.get(name) for name in COVARIATES} | {"changed": changes(provenance) or None}


def changes(provenance: Row) -> str:
    """What of `CHANGING` is not the same in all sessions of a run, with its values; empty if all is."""
    flat = [_flat(session) for session in sessions(provenance)]
    values = {name: list(dict.fromkeys(session.get(name) for session in flat)) for name in CHANGING}
    return "; ".join(f"{name} {', '.join(map(str, found))}" for name, found in values.items() if len(found) > 1)


def _flat(session: Row) -> Row:
    parent = session.get("parent") or {}
    return session | {"torch": session.get("versions", {}).get("torch"), "parent": parent.get("run")}
