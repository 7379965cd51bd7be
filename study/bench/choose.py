"""`--step=auto` for a long run: measure the ways to take a step on this machine, in a process of its own, and take one.

A choice is kept in the user's cache folder, so that the next run of the same network here need not measure.
"""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import FrameType

import torch

from study import network
from study.bench.choices import choice_file, keep, kept, locked
from study.data.datasets import dataset_info
from study.machine.compiler import compiler_problem
from study.machine.device import has_cuda
from study.machine.options import MachineOptions, StepMode
from study.machine.resolve import resolve_precision
from study.recipes import recipe_for
from study.recording.bench_lines import Line, read
from study.recording.files import now
from study.spec import Spec

LONG = 1.0  # hours from which a run repays a measurement of some minutes, most of which is compilation
ROUGH_SPEED = 1e11  # operations a second and thread in training on a processor of 2023, within a factor of 3
SECONDS = 60.0  # of the measurement, after the compilation
STEPS = 2  # counted steps of a turn, after an uncounted one
LIMIT = 3600.0  # seconds after which a measurement is given up


def choose(spec: Spec, machine: MachineOptions) -> tuple[MachineOptions, Line | None]:
    """Choose how a new run takes its steps.

    Returns:
        The machine options, with `step` set if there was a choice, and the choice as the provenance keeps it: what was
        measured, what was chosen and why. None where there was nothing to choose.
    """
    if len(candidates(spec, machine)) < 2:
        return machine, None
    precision = resolve_precision(machine.precision, dataset_info(spec.dataset).pixels)
    measured = replace(machine, precision=precision)
    file = choice_file(spec, measured)
    with locked(file):
        choice = kept(file) or _measured(spec, measured, file)
    print(f"study: --step=auto is {choice['chosen']}: {choice['why']}", file=sys.stderr)
    return replace(machine, step=choice["chosen"]), choice


def candidates(spec: Spec, machine: MachineOptions) -> tuple[StepMode, ...]:
    """The ways to take a step that are worth measuring; the first is taken unless another is faster.

    One for a short run, for several processes, and where nothing can be compiled.
    """
    if has_cuda():
        from study.bench import choose_gpu  # imports the whole bench

        return ("graph", *choose_gpu.candidates(spec, machine))
    can_compile = machine.world_size == 1 and machine.checkpoint_every == 0 and dataset_info(spec.dataset).in_memory
    if machine.step != "auto" or not can_compile or rough_hours(spec) < LONG or compiler_problem():
        return ("plain",)
    return ("plain", "compiled")


def rough_hours(spec: Spec) -> float:
    """The hours of a run on this processor, from the number of its operations."""
    return recipe_for(spec).steps * _rough_seconds(spec) / 3600


def _rough_seconds(spec: Spec) -> float:
    """Seconds of one step: a multiply-add of the forward pass is six operations with the backward pass."""
    with torch.device("meta"):
        net = network.build(spec.dataset, spec.depth, spec.shortcut)
    multiply_adds = network.count(net, dataset_info(spec.dataset).image_size)[1]
    return 6 * multiply_adds * recipe_for(spec).batch / (ROUGH_SPEED * torch.get_num_threads())


def _measured(spec: Spec, machine: MachineOptions, file: Path) -> Line:
    print("study: measures ways to take a step, for some minutes and once per network", file=sys.stderr)
    choice = measure(spec, machine)
    if "seconds_a_step" in choice:  # a failure is not kept: the next run tries again
        keep(file, choice, spec, machine)
    return choice


def measure(spec: Spec, machine: MachineOptions) -> Line:
    """Let plain and compiled steps take turns in `study bench`; return the choice. On a GPU, see `choose_gpu`."""
    if has_cuda():
        from study.bench import choose_gpu  # imports the whole bench

        with _ended_with_us():
            return choose_gpu.measure(choose_gpu.commands(spec, machine), machine.precision)
    try:
        with _ended_with_us():
            done = subprocess.run(bench_command(spec, machine), capture_output=True, text=True, timeout=LIMIT)
    except subprocess.TimeoutExpired:
        return _failure("the measurement took more than an hour")
    if done.returncode:
        words = done.stderr.strip().splitlines() or ["it printed nothing"]
        return _failure(f"the measurement failed: {words[-1]}")
    return decide(list(read(done.stdout)))


def bench_command(spec: Spec, machine: MachineOptions) -> list[str]:
    """The command that measures for about a minute."""
    factors = [f"--{name}={spec.factors[name]}" for name in ("dataset", "depth", "shortcut")]
    rounds = round(SECONDS / (2 * (STEPS + 1) * _rough_seconds(spec)))
    turns = ["--arms=ours,compiled", "--brief", f"--rounds={min(max(rounds, 8), 20)}", f"--steps={STEPS}"]
    options = replace(machine, step="plain").flags(["precision", "step", "checkpoint_every", "data"])
    return [sys.executable, "-m", "study", "bench", *factors, *turns, *options]


def decide(lines: list[Line]) -> Line:
    """Choose by the lines of a bench: compiled only if the interval of the ratio of times lies below 1."""
    seconds = {line["arm"]: line["ms_per_step"] / 1e3 for line in lines if line["what"] == "step"}
    (ratio,) = (line for line in lines if line["what"] == "ratio" and line["ours_to"] == "compiled")
    low, high = ratio["interval"]
    is_faster = high < 1
    why = f"compiled steps take {ratio['times_as_fast']:.2f} ({low:.2f} to {high:.2f}) times as long as plain ones"
    return {
        "seconds_a_step": {"plain": seconds["ours"], "compiled": seconds["compiled"]},
        "ratio": ratio["times_as_fast"],
        "interval": [low, high],
        "rounds": ratio["rounds"],
        "chosen": "compiled" if is_faster else "plain",
        "why": why,
        "measured": now(),
    }


def _failure(why: str) -> Line:
    return {"chosen": "plain", "why": why, "measured": now()}


@contextmanager
def _ended_with_us() -> Iterator[None]:
    """End with 128 + signal on SIGTERM and SIGUSR1, after the measuring process, which `subprocess` then kills."""
    signals = (signal.SIGTERM, signal.SIGUSR1)
    before = [signal.signal(signum, _exit) for signum in signals]
    try:
        yield
    finally:
        for signum, handler in zip(signals, before, strict=True):
            signal.signal(signum, handler)


def _exit(signum: int, _: FrameType | None) -> None:
    sys.exit(128 + signum)
