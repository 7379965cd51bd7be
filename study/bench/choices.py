"""Where the choices of `--step=auto` are kept: one file per network and kind of machine, in the user's cache folder."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock

from study.machine.compiler import cache_folder
from study.machine.device import has_cuda
from study.machine.options import MachineOptions, Step
from study.recipes import recipe_for
from study.recording.bench_lines import Line
from study.recording.files import read_json, write_json
from study.recording.provenance import device_name
from study.spec import Spec


def choice_file(spec: Spec, machine: MachineOptions) -> Path:
    """Where the choice for a network on this machine is kept."""
    name = hashlib.sha256(json.dumps(_key(spec, machine)).encode()).hexdigest()[:16]
    return cache_folder() / "steps" / f"{name}.json"


def _key(spec: Spec, machine: MachineOptions) -> dict[str, Any]:
    """What a choice depends on."""
    return {
        "dataset": spec.dataset,
        "depth": spec.depth,
        "shortcut": spec.shortcut,
        "batch": recipe_for(spec).batch,
        "precision": machine.precision,
        "device": device_name(),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
    }


def kept_step(spec: Spec, machine: MachineOptions) -> Step:
    """What `--step=auto` chose for this network on this processor; ``auto`` where nothing was chosen.

    Args:
        spec: The cell.
        machine: The machine options, their precision no longer ``auto``.
    """
    if machine.step != "auto" or has_cuda() or machine.checkpoint_every:
        return machine.step
    choice = kept(choice_file(spec, machine))
    return choice["chosen"] if choice else "auto"


def kept_choices() -> list[Line]:
    """The choices that this machine's user has made, for ``study doctor``."""
    return [choice for file in sorted((cache_folder() / "steps").glob("*.json")) if (choice := kept(file))]


def kept(file: Path) -> Line | None:
    """The choice in a file; None if there is none that can be read."""
    try:
        return read_json(file)
    except (OSError, json.JSONDecodeError):
        return None


def keep(file: Path, choice: Line, spec: Spec, machine: MachineOptions) -> None:
    """Write a choice with what it depends on; on a full or read-only disk the next run measures again."""
    with suppress(OSError):
        write_json(file, choice | {"for": _key(spec, machine)})


@contextmanager
def locked(file: Path) -> Iterator[None]:
    """Let one process at a time choose for a network, so that the cells of a sweep measure once."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(file.with_suffix(".lock"))
        lock.acquire()
    except OSError:  # a read-only home
        yield
        return
    try:
        yield
    finally:
        lock.release()
