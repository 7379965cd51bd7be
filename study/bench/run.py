"""``study bench``: compare ways to train in one process; results as JSON lines on standard output.

The arms take turns, in a random order in each round. On a shared machine times drift, but the ratio of two turns of the
same round hardly does: each arm's ratio to ours is computed per round and reported as the median over the rounds with
its 95 % confidence interval.
"""

from __future__ import annotations

import gc
import os
import random
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import torch
from rich.console import Console
from rich.progress import Progress
from scipy.stats import quantile_test

from study.bench import measures
from study.bench.apart import Apart, ask, spawn
from study.bench.arms import Arm, Bare, Contender, Loader, Ours
from study.bench.choices import kept_step
from study.bench.floor import floor
from study.bench.jobs import join
from study.bench.memory import memory
from study.data.datasets import dataset_info, load_in_memory
from study.data.interface import Batches
from study.machine.device import configure_torch, peak_memory_mb
from study.machine.options import MachineOptions
from study.machine.resolve import resolve_precision, step_mode
from study.recording.bench_lines import say
from study.recording.files import now
from study.recording.provenance import provenance
from study.spec import InputError, Spec, check_choice
from study.training.train import quiet

ARMS = ("ours", "plain", "bare", "loader", "compiled", "compiled-graph", "fused-graph")
FEWEST = 6  # rounds: with fewer, even the extremes do not contain the median with 95 % confidence


def bench(
    spec: Spec, machine: MachineOptions, arms: Sequence[str], rounds: int, steps: int, brief: bool = False
) -> int:
    """Compare the arms on one cell; ours must be among them. Return the exit status.

    With `brief`, only the steps are measured.

    Raises:
        InputError: An arm is unknown or cannot train this cell.
    """
    _check_arms(spec, arms)
    contender = _contender(spec, machine)
    say("machine", **_machine(contender))
    ways = {name: _place(name, contender) for name in arms}
    seconds = _take_turns(ways, rounds, steps)
    for name, turns in seconds.items():
        _say_speed(contender, name, turns, steps)
        if name != "ours":
            say("ratio", cell=spec.name, ours_to=name, **compare(seconds["ours"], turns))
    if brief:
        return 0
    say("evaluation", cell=spec.name, **measures.evaluation(contender, _images(ways["ours"])))
    if len(arms) == 1:  # before the floor, which allocates large matrices
        say("memory", cell=spec.name, arm="ours", peak_mb=peak_memory_mb())
    least = floor(contender)
    say("floor", cell=spec.name, **least, ours_over_floor=1e3 * median(seconds["ours"]) / steps / least["floor_ms"])
    if len(arms) > 1:
        del ways
        for name in arms:
            say("memory", cell=spec.name, arm=name, peak_mb=_measure_peak(contender, name, steps))
        say("overhead", **measures.overhead())
        say("start_up", **measures.start_up())
    return 0


def _check_arms(spec: Spec, arms: Sequence[str]) -> None:
    for arm in arms:
        check_choice("arm", arm, ARMS)
    if "ours" not in arms:
        raise InputError("--arms must contain ours, with which the others are compared")
    if "loader" in arms and dataset_info(spec.dataset).torchvision is None:
        raise InputError(f"the arm loader needs PIL images, and {spec.dataset} has none; give --arms=ours,plain,bare")


def _say_speed(contender: Contender, arm: str, turns: Sequence[float], steps: int) -> None:
    ms = 1e3 * median(turns) / steps
    say(
        "step",
        cell=contender.spec.name,
        arm=arm,
        precision="32" if arm == "loader" else contender.machine.precision,
        ms_per_step=ms,
        images_per_second=1e3 * contender.recipe.batch / ms,
        rounds=len(turns),
        steps=steps,
    )


def _images(ours: Arm) -> Batches:
    """The images that it trained on, still on the device."""
    assert isinstance(ours, Ours)
    return ours.module.images


def _measure_peak(contender: Contender, arm: str, steps: int) -> float:
    """The peak memory of one arm in MiB, in a process of its own; here the memory of all arms adds up.

    Raises:
        InputError: That process was killed, as it is when memory runs out.
    """
    gc.collect()
    torch.cuda.empty_cache()
    with spawn() as process:
        return ask(process, arm, _peak_mb, partial(_arm_of, arm, contender.spec, contender.machine), steps)


def _peak_mb(make: Callable[[], Arm], steps: int) -> float:
    quiet()
    way = make()
    way.turn(steps)
    if isinstance(way, Ours):
        measures.evaluation(way.contender, way.module.images)
    return peak_memory_mb()


def bench_memory(spec: Spec, machine: MachineOptions) -> int:
    """Measure the memory of one update, with and without `--checkpoint-every`; return the exit status."""
    contender = _contender(spec, machine)
    say("machine", **_machine(contender))
    for every in dict.fromkeys((machine.checkpoint_every or 10, 0)):
        say("memory", cell=spec.name, precision=contender.machine.precision, **memory(contender, every))
    return 0


def join_window(spec: Spec, machine: MachineOptions, folder: Path, together: int) -> int:
    """Be one of the processes that `bench_jobs` starts; return the exit status."""
    contender = _contender(spec, machine)
    return join(contender, step_mode(contender.machine, in_memory=True), folder, together)


def compare(ours: Sequence[float], other: Sequence[float]) -> dict[str, Any]:
    """How many times as fast ours is as the other arm: the median over the rounds, and its 95 % interval."""
    ratios = [b / a for a, b in zip(ours, other, strict=True)]
    interval: Any = quantile_test(ratios, p=0.5).confidence_interval(0.95)
    ends = [interval.low, interval.high] if len(ratios) >= FEWEST else None
    return {"times_as_fast": median(ratios), "interval": ends, "rounds": len(ratios)}


def _contender(spec: Spec, machine: MachineOptions) -> Contender:
    precision = resolve_precision(machine.precision, dataset_info(spec.dataset).pixels)
    configure_torch(precision)
    known = replace(machine, precision=precision)
    chosen = replace(known, step=kept_step(spec, known))
    taken = replace(chosen, step=step_mode(chosen, in_memory=True))
    return Contender(spec, load_in_memory(spec.dataset, machine.data), taken)


def _machine(contender: Contender) -> dict[str, Any]:
    begun = provenance(contender.spec, contender.machine, step_mode(contender.machine, in_memory=True), "")
    keys = ("device", "threads", "precision", "tf32", "step_path", "checkpoint_every", "versions", "commit", "dirty")
    return {key: begun[key] for key in keys} | {"cores": os.cpu_count(), "date": now()}


def _arm(name: str, contender: Contender) -> Arm:
    match name:
        case "ours":
            return Ours(contender, step_mode(contender.machine, in_memory=True))
        case "plain":
            return Ours(contender, "plain", steps_per_call=1)
        case "compiled" | "compiled-graph" | "fused-graph":
            return Ours(contender, step_mode(replace(contender.machine, step=name), in_memory=True))
        case "bare":
            return Bare(contender)
        case _:
            return Loader(contender)


def _place(name: str, contender: Contender) -> Arm:
    """An arm, in this process; but the loader loop, which stands for a script without our settings of memory, apart."""
    if name == "loader":
        return Apart(name, partial(_arm_of, name, contender.spec, contender.machine))
    return _arm(name, contender)


def _arm_of(name: str, spec: Spec, machine: MachineOptions) -> Arm:
    return _arm(name, _contender(spec, machine))


def _take_turns(arms: dict[str, Arm], rounds: int, steps: int) -> dict[str, list[float]]:
    """Let every arm take one turn per round, in random order; return the seconds of each turn."""
    order, seconds = list(arms), {name: [0.0] * rounds for name in arms}
    shuffle = random.Random(0).shuffle
    with Progress(console=Console(stderr=True), disable=not sys.stderr.isatty()) as progress:
        for turn in progress.track(range(rounds), description="rounds"):
            shuffle(order)
            for name in order:
                torch.manual_seed(turn)
                seconds[name][turn] = arms[name].turn(steps)
    return seconds
