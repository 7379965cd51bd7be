"""`study bench`: ways to train in turns, in one process and in random order; JSON lines on standard output.

On a shared machine times wander and ratios of neighbouring turns do not: each arm's ratio to ours is taken within a
round, and the median over the rounds is given with the interval in which it lies with 95 % confidence.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
from collections.abc import Sequence
from statistics import median
from typing import Any

import torch
from rich.console import Console
from rich.progress import Progress
from scipy.stats import quantile_test

from study.bench import measures
from study.bench.arms import Arm, Bare, Contender, Loader, Ours
from study.data.datasets import dataset_info, load_in_memory
from study.machine.device import configure_torch, peak_memory_mb, step_mode
from study.machine.mps import shared_gpu
from study.machine.options import MachineOptions
from study.recipes import recipe_for
from study.recording.bench_lines import read, say
from study.recording.provenance import now, provenance
from study.spec import InputError, Spec, check_choice
from study.training.step import compile_blocks

ARMS = ("ours", "plain", "bare", "loader", "compiled")
FEWEST = 6  # rounds of which the extremes hold a median with 95 %


def bench(spec: Spec, machine: MachineOptions, arms: Sequence[str], rounds: int, steps: int) -> int:
    """Compare the arms on one cell, ours among them; returns the exit status."""
    for arm in arms:
        check_choice("arm", arm, ARMS)
    if "loader" in arms and dataset_info(spec.dataset).torchvision is None:
        raise InputError(f"there are no PIL images of {spec.dataset}; give --arms=ours,plain,bare")
    contender = _contender(spec, machine)
    say("machine", **_machine(contender))
    everything = len(arms) > 1
    seconds = _take_turns({name: _arm(name, contender) for name in arms}, rounds, steps)
    batch = recipe_for(spec).batch
    for name, turns in seconds.items():
        ms = 1e3 * median(turns) / steps
        row = {"ms_per_step": ms, "images_per_second": 1e3 * batch / ms, "rounds": rounds, "steps": steps}
        say("step", cell=spec.name, arm=name, precision="32" if name == "loader" else machine.precision, **row)
        if name != "ours":
            say("ratio", cell=spec.name, ours_to=name, **compare(seconds["ours"], turns))
    least = measures.floor(contender)
    say("floor", cell=spec.name, **least, ours_over_floor=1e3 * median(seconds["ours"]) / steps / least["floor_ms"])
    say("evaluation", cell=spec.name, **measures.evaluation(contender))
    say("memory", cell=spec.name, peak_mb=peak_memory_mb())
    if everything:
        say("overhead", **measures.overhead())
        say("start_up", **measures.start_up())
    return 0


def bench_memory(spec: Spec, machine: MachineOptions) -> int:
    """What one update keeps in memory, without and with `--checkpoint-every`; returns the exit status."""
    contender = _contender(spec, machine)
    say("machine", **_machine(contender))
    for every in dict.fromkeys((machine.checkpoint_every or 10, 0)):
        say("memory", cell=spec.name, precision=machine.precision, **measures.memory(contender, every))
    return 0


def bench_jobs(arguments: Sequence[str], jobs: Sequence[int]) -> int:
    """Images a second of one device against the number of runs on it, each a process of its own."""
    command = [sys.executable, "-m", "study", "bench", *arguments, "--arms=ours"]
    for count in jobs:
        threads = {"OMP_NUM_THREADS": str(max(1, (os.cpu_count() or 1) // count))}
        with shared_gpu(count) as service:
            variables = os.environ | threads | service
            runs = [subprocess.Popen(command, env=variables, stdout=subprocess.PIPE) for _ in range(count)]
            rows = [row for run in runs for row in read(run.communicate()[0].decode())]
        speeds = [row["images_per_second"] for row in rows if row["what"] == "step"]
        if len(speeds) < count:
            raise InputError(f"of {count} runs at a time {count - len(speeds)} failed; give fewer --jobs")
        say("jobs", jobs=count, images_per_second=sum(speeds), of_each=speeds)
    return 0


def compare(ours: Sequence[float], other: Sequence[float]) -> dict[str, Any]:
    """How many times as fast as the other we are: the median over the rounds, and its interval."""
    ratios = [b / a for a, b in zip(ours, other, strict=True)]
    interval: Any = quantile_test(ratios, p=0.5).confidence_interval(0.95)
    ends = [interval.low, interval.high] if len(ratios) >= FEWEST else None
    return {"times_as_fast": median(ratios), "interval": ends, "rounds": len(ratios)}


def _contender(spec: Spec, machine: MachineOptions) -> Contender:
    configure_torch(machine.precision)
    return Contender(spec, load_in_memory(spec.dataset, machine.data), machine)


def _machine(contender: Contender) -> dict[str, Any]:
    begun = provenance(contender.spec, contender.machine, step_mode(contender.machine, in_memory=True), "")
    keys = ("device", "threads", "precision", "tf32", "step_path", "checkpoint_every", "versions", "commit", "dirty")
    return {key: begun[key] for key in keys} | {"cores": os.cpu_count(), "date": now()}


def _arm(name: str, contender: Contender) -> Arm:
    match name:
        case "ours":
            return Ours(contender, step_mode(contender.machine, in_memory=True))
        case "plain":
            return Ours(contender, "plain", at_once=1)
        case "compiled":
            return Ours(contender, step_mode(contender.machine, in_memory=True), blocks=compile_blocks)
        case "bare":
            return Bare(contender)
        case _:
            return Loader(contender)


def _take_turns(arms: dict[str, Arm], rounds: int, steps: int) -> dict[str, list[float]]:
    """Seconds of every turn: in each round every arm takes one, in random order."""
    order, seconds = list(arms), {name: [0.0] * rounds for name in arms}
    shuffle = random.Random(0).shuffle
    with Progress(console=Console(stderr=True), disable=not sys.stderr.isatty()) as progress:
        for turn in progress.track(range(rounds), description="rounds"):
            shuffle(order)
            for name in order:
                torch.manual_seed(turn)
                seconds[name][turn] = arms[name].turn(steps)
    return seconds
