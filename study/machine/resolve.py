"""What ``auto`` becomes on a machine: the precision of a run, and how its steps are taken.

A run that resumes keeps what it began with, so that it ends with the weights of an undisturbed run.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import replace
from importlib.util import find_spec
from typing import Any

from study.machine.compiler import compiler_problem
from study.machine.device import has_cuda, has_native_bf16, has_tf32
from study.machine.options import MachineOptions, Precision, StepMode, flag, is_first_rank
from study.spec import InputError

PAYING_PIXELS = 32 * 32  # on smaller images (digits) a step is limited by the host, and bf16 only adds casts


def resolve(
    machine: MachineOptions, pixels: int, in_memory: bool, before: Mapping[str, Any] | None = None
) -> MachineOptions:
    """Replace ``auto`` in precision and step by what a run takes here.

    Args:
        machine: The machine options as given.
        pixels: Height times width of an image.
        in_memory: Whether the device holds the images.
        before: The provenance of the run if it resumes.

    Raises:
        InputError: A requested precision or way to take steps, or the one that the run began with, cannot run here.
    """
    if not before:
        return _resolved(machine, pixels, in_memory)
    kept = _continued(machine, before)
    try:
        resolved = _resolved(kept, pixels, in_memory)
    except InputError as error:
        begun = " ".join(kept.flags(["precision", "step"]))
        raise InputError(f"the run began with {begun}, which cannot go on here: {error}") from None
    if machine.changes == "refuse":
        _refuse_changes(resolved, before)
    return resolved


def _refuse_changes(machine: MachineOptions, before: Mapping[str, Any]) -> None:
    """Refuse a session that would compute otherwise than the one before it.

    Raises:
        InputError: The message has the flags with which the run goes on as it began.
    """
    last = _last_session(before)
    begun = {
        "devices": last.get("world_size", machine.world_size),
        "precision": _recorded_precision(last),
        "step": last.get("step_path", "plain"),
        "checkpoint_every": last.get("checkpoint_every", machine.checkpoint_every),
    }
    now = {name: getattr(machine, name) for name in begun} | {"devices": machine.world_size}
    if changed := [name for name in begun if begun[name] != now[name]]:
        ours, theirs = (" ".join(f"{flag(name)}={of[name]}" for name in changed) for of in (now, begun))
        raise InputError(
            f"the run began with {theirs} and would go on with {ours}, to other weights than those of an undisturbed "
            f"run; give {theirs}, or --changes=accept, which is recorded"
        )


def _resolved(machine: MachineOptions, pixels: int, in_memory: bool) -> MachineOptions:
    precision, step = resolve_precision(machine.precision, pixels), step_mode(machine, in_memory)
    if machine.precision == "auto" and precision == "bf16" and is_first_rank():
        print("study: trains in bf16, which this processor computes itself; for fp32: --precision=32", file=sys.stderr)
    return replace(machine, precision=precision, step=step)


def _continued(machine: MachineOptions, before: Mapping[str, Any]) -> MachineOptions:
    """Replace each ``auto`` by what the last session of the run took."""
    last = _last_session(before)
    return replace(
        machine,
        precision=_recorded_precision(last) if machine.precision == "auto" else machine.precision,
        step=last.get("step_path", "plain") if machine.step == "auto" else machine.step,
    )


def _last_session(before: Mapping[str, Any]) -> Mapping[str, Any]:
    last: Mapping[str, Any] = before["resumed"][-1] if before.get("resumed") else before
    return last


def _recorded_precision(session: Mapping[str, Any]) -> Precision:
    """The precision of a session; until 2026-11-25 ``32`` meant TF32 on GPUs that have it."""
    precision: Precision = "tf32" if session.get("tf32") else session.get("precision", "32")
    return precision


def resolve_precision(precision: Precision, pixels: int) -> Precision:
    """Choose the precision: on a GPU TF32 where it has it, on a CPU bf16 where that is native and pays, else fp32.

    Raises:
        InputError: TF32 is requested on a CPU.
    """
    if precision == "tf32" and not has_cuda():
        raise InputError("--precision=tf32 needs a GPU; give --precision=auto, or 32 for fp32")
    if precision != "auto":
        return precision
    if has_cuda():
        return "tf32" if has_tf32() else "32"
    return "bf16" if pixels >= PAYING_PIXELS and has_native_bf16() else "32"


def step_mode(machine: MachineOptions, in_memory: bool) -> StepMode:
    """Choose how steps are taken; ``auto`` is a captured ``graph`` on one GPU that holds the images, else ``plain``.

    Raises:
        InputError: A way is requested that this machine cannot take.
    """
    if machine.step == "auto":
        return "plain" if _lacks("graph", machine, in_memory) else "graph"
    if missing := _lacks(machine.step, machine, in_memory):
        raise InputError(
            f"--step={machine.step} needs {' and '.join(missing)}; give --step=auto, which takes what it can"
        )
    if machine.step == "compiled" and (problem := compiler_problem()):
        print(f"study: --step=compiled is not possible here, as {problem}; steps are plain", file=sys.stderr)
        return "plain"
    return machine.step


def _lacks(mode: StepMode, machine: MachineOptions, in_memory: bool) -> list[str]:
    """What a way to take steps needs and this run has not."""
    if mode == "plain":
        return []
    if mode == "compiled":
        needs = {
            "a CPU": not has_cuda(),
            "one process": machine.world_size == 1,
            "--checkpoint-every=0": machine.checkpoint_every == 0,
        }
    else:
        needs = {
            "a GPU": has_cuda(),
            "one device": machine.world_size == 1,
            "images in memory": in_memory,
            "--checkpoint-every=0": mode == "graph" or machine.checkpoint_every == 0,
            "the package triton": mode == "graph" or find_spec("triton") is not None,
        }
    return [what for what, is_there in needs.items() if not is_there]
