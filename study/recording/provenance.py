"""Provenance: where, when, with which software and on which data a run was trained."""

from __future__ import annotations

import hashlib
import json
import os
import platform
from dataclasses import asdict
from pathlib import Path

import torch

from study.machine.device import has_cuda, has_tf32
from study.machine.options import DEFAULTS, MachineOptions, StepMode
from study.recipes import per_device_batch, recipe_for
from study.recording.evaluation import Row
from study.recording.files import now
from study.recording.version import PACKAGE, commit, is_modified, own_release, release, untracked
from study.spec import Spec

PLAN = Path(__file__).parents[2] / "reports" / "plan.toml"  # beside `study`, in a checkout as where it is installed


def provenance(
    spec: Spec, machine: MachineOptions, step_mode: StepMode, fingerprint: str, extent: str | None = None
) -> Row:
    """Collect the provenance of a run that starts or resumes now, as ``provenance.json`` keeps it.

    Args:
        spec: The cell.
        machine: Where and how it is trained, its precision no longer ``auto``.
        step_mode: How steps are taken.
        fingerprint: The digest of its data set.
        extent: What there is of the data set, if it is a part of the published one.
    """
    recipe = recipe_for(spec)
    given = [name for name, default in DEFAULTS.items() if getattr(machine, name) != default]
    return {
        "commit": commit(),
        "dirty": is_modified(),
        "untracked": untracked(),
        "versions": _versions(),
        "device": device_name(),
        "threads": torch.get_num_threads(),
        "world_size": machine.world_size,
        "per_device_batch": per_device_batch(recipe, machine.world_size),
        "precision": machine.precision,
        "tf32": machine.precision == "tf32" and has_tf32(),
        "step_path": step_mode,
        "checkpoint_every": machine.checkpoint_every,
        "recipe": json.loads(json.dumps(asdict(recipe))),  # lists for tuples, as it will be read back
        "data_fingerprint": fingerprint,
        "extent": extent,
        "plan": plan_digest(),
        "argv": ["train", *spec.flags, *machine.flags(given)],  # not as typed: what else was typed may be a secret
        "slice": os.environ.get("STUDY_SLICE"),
        "slurm_job": os.environ.get("SLURM_JOB_ID"),
        "started": now(),
    }


def _versions() -> Row:
    packages = ("torch", "torchvision", "pytorch-lightning", "numpy", "wandb")
    own = {PACKAGE: own_release(), "python": platform.python_version()}
    return own | {name: release(name) for name in packages}


def plan_digest(path: Path = PLAN) -> str | None:
    """The SHA-256 of the plan by which verdicts are given, None where it is not installed.

    The file is read, not imported: training knows nothing of the report.
    """
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.exists() else None


def device_name() -> str:
    """The name of the GPU, or of the processor where there is none."""
    return torch.cuda.get_device_name() if has_cuda() else _processor()


def _processor() -> str:
    path = Path("/proc/cpuinfo")
    lines = path.read_text().splitlines() if path.exists() else []
    names = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
    return f"CPU {names[0] if names else platform.machine()}"
