"""``study bench``: measure how fast a cell trains on this machine."""

from __future__ import annotations

import argparse
import re
from pathlib import Path

from study.commands.flags import Verbs, add_options, read_options
from study.machine.memory import keep_memory
from study.machine.options import MachineOptions, flag, group_names
from study.recipes import recipe_for
from study.spec import DATASETS, SHORTCUTS, InputError, Spec, check_choice

MACHINE = (*group_names("step"), "data")
REPEATED = ("dataset", "depth", "shortcut")  # given again to each of several runs at a time


def add_parser(verbs: Verbs) -> None:
    """Add the verb: a cell, the ways to train it, and how long each is measured."""
    parser = verbs.add_parser("bench", help="measure how fast a cell trains on this machine; print JSON lines")
    parser.add_argument("--dataset", default="cifar10", help=" | ".join(DATASETS) + " (default: %(default)s)")
    parser.add_argument("--depth", default=20, type=int, help="depth of the network (default: %(default)s)")
    parser.add_argument("--shortcut", default="A", help=" | ".join(SHORTCUTS) + " (default: %(default)s)")
    parser.add_argument(
        "--arms",
        default="ours,plain,bare,loader",
        help="ways to train; also there are: compiled, and on a GPU compiled-graph, fused-graph (default: %(default)s)",
    )
    parser.add_argument(
        "--rounds", default=15, type=int, help="rounds, in each of which every arm takes a turn (default: %(default)s)"
    )
    parser.add_argument("--steps", default=5, type=int, help="training steps per turn (default: %(default)s)")
    parser.add_argument("--brief", action="store_true", help="only compare the steps of the arms, and nothing else")
    parser.add_argument("--memory", action="store_true", help="only measure the memory that one step takes")
    parser.add_argument("--jobs", help="only measure the speed of several runs at the same time, as in 1,2,4")
    parser.add_argument(
        "--ways",
        default="processes,one-process",
        help="with --jobs: a process for each run, or one for all (default: %(default)s)",
    )
    parser.add_argument(
        "--seconds", default=10.0, type=float, help="with --jobs: how long all are counted (default: %(default)s)"
    )
    # What each process that --jobs starts is given: where its window is announced, and how many runs it has.
    parser.add_argument("--window", default="", help=argparse.SUPPRESS)
    parser.add_argument("--together", default=0, type=int, help=argparse.SUPPRESS)
    parser.add_argument(
        "--pipeline", action="store_true", help="only measure how many ImageNet images per second one core reads"
    )
    add_options(parser, MACHINE)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Measure and print what the options ask for."""
    machine = read_options(options)
    check_choice("dataset", options.dataset, DATASETS)
    if options.rounds < 1 or options.steps < 1:
        raise InputError("--rounds and --steps must be at least 1")
    jobs = _counts(options.jobs) if options.jobs else []
    keep_memory()
    from study.data.datasets import dataset_info  # imports torch, which takes seconds: after the checks

    info = dataset_info(options.dataset)
    if options.pipeline and info.in_memory:
        raise InputError(f"--pipeline reads images from disk, and {info.name} is in memory; give --dataset=imagenet")
    if not options.pipeline and not info.in_memory:
        raise InputError(f"of {info.name} only the reading of images is measured; add --pipeline")
    if options.pipeline:
        from study.bench.imagenet_input import bench

        return bench(info, machine.data)
    return _bench_training(options, machine, jobs)


def _bench_training(options: argparse.Namespace, machine: MachineOptions, jobs: list[int]) -> int:
    spec = Spec(options.dataset, options.depth, options.shortcut)
    from study.bench import run
    from study.training.train import quiet

    quiet()
    if jobs:
        return _bench_jobs(options, machine, jobs)
    if options.window:
        return run.join_window(spec, machine, Path(options.window), options.together)
    if options.memory:
        return run.bench_memory(spec, machine)
    return run.bench(spec, machine, options.arms.split(","), options.rounds, options.steps, options.brief)


def _bench_jobs(options: argparse.Namespace, machine: MachineOptions, jobs: list[int]) -> int:
    from study.bench.jobs import WAYS, bench_jobs

    ways = [way for way in WAYS if way in options.ways.split(",")]
    for way in options.ways.split(","):
        check_choice("way", way, WAYS)
    if options.seconds <= 0:
        raise InputError(f"--seconds={options.seconds} must be more than 0")
    repeated = [f"{flag(name)}={getattr(options, name)}" for name in REPEATED]
    batch = recipe_for(Spec(options.dataset, options.depth, options.shortcut)).batch
    return bench_jobs([*repeated, *machine.flags(MACHINE)], batch, jobs, ways, options.seconds)


def _counts(jobs: str) -> list[int]:
    """``1,2,4`` -> [1, 2, 4]."""
    if not re.fullmatch(r"[1-9]\d*(,[1-9]\d*)*", jobs):
        raise InputError(f"--jobs={jobs!r} is not a list of numbers; write it as in --jobs=1,2,4")
    return [int(count) for count in jobs.split(",")]
