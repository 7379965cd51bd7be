"""The command line: ``python -m study VERB``. Imports torch only for the verbs that need it."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from study.commands.flags import MACHINE_OPTIONS, check, entry, parser, spell
from study.recipes import per_device_batch, recipe_for
from study.recording.record import Record, describe
from study.spec import DATASETS, InputError, Spec, check_choice


def run(arguments: Sequence[str]) -> int:
    """Do what the command line says; returns the exit status."""
    options = parser().parse_args(spell(arguments))
    check(options)
    verbs = {
        **{"train": _train, "sweep": _sweep, "launch": _launch, "test": _test, "probe": _probe},
        **{"prepare": _prepare, "doctor": _doctor, "bench": _bench},
    }
    return verbs[options.verb](options)


def _train(options: argparse.Namespace) -> int:
    spec = Spec(options.dataset, options.depth, options.shortcut, options.recipe, options.seed)
    per_device_batch(recipe_for(spec), options.devices)
    if summary := Record(options.runs, spec).summary():  # before torch is imported, which takes seconds
        print(f"{spec.name} is done already: {describe(summary)}")
        return 0
    from study.machine.options import Machine
    from study.training.train import train

    return train(spec, Machine(**{name: getattr(options, name) for name in MACHINE_OPTIONS}))


def _sweep(options: argparse.Namespace) -> int:
    from study.sweeps import local as sweep

    machine = _flags(options, MACHINE_OPTIONS)
    cells = sweep.cells(options.file)
    if options.estimate:
        return sweep.show_estimate(cells, _flags(options, ("precision", "step", "checkpoint_every", "data")))
    if options.status:
        return sweep.show_status(cells, options.runs)
    if options.dry_run:
        return sweep.show_commands(cells, machine)
    return sweep.run(cells, options.runs, machine, options.jobs)


def _launch(options: argparse.Namespace) -> int:
    from study.sweeps import agents as launch
    from study.sweeps import local as sweep

    cells = sweep.cells(options.file)
    for cell in cells:
        per_device_batch(recipe_for(cell), options.gpus_per_run)
    fleet = launch.slices(options.gpus, options.gpus_per_run)
    machine = {
        "STUDY_PRECISION": options.precision,
        "STUDY_STEP": options.step,
        "STUDY_CHECKPOINT_EVERY": str(options.checkpoint_every),
        "STUDY_DATA": str(options.data.absolute()),
    }
    return launch.launch(options.file, cells, fleet, options.runs, machine)


def _test(options: argparse.Namespace) -> int:
    from study.protocols.evaluate import evaluate

    return evaluate(options.subjects, options.protocol, options.data, options.recalibrate)


def _probe(options: argparse.Namespace) -> int:
    from study.probes.probe import probe

    return probe(options.folder, options.data)


def _bench(options: argparse.Namespace) -> int:
    if options.pipeline != (options.dataset == "imagenet"):
        raise InputError("of ImageNet only the pipeline is measured, and of no other: --dataset=imagenet --pipeline")
    if options.pipeline:
        from study.bench.imagenet_input import bench

        return bench(options.data)
    spec = Spec(options.dataset, options.depth, options.shortcut)
    if options.rounds < 1 or options.steps < 1:
        raise InputError("--rounds and --steps must be at least 1")
    from study.bench import run
    from study.machine.options import Machine

    given = ("precision", "step", "checkpoint_every", "data")
    machine = Machine(**{name: getattr(options, name) for name in given})
    if options.jobs:
        factors = ("dataset", "depth", "shortcut", "rounds", "steps")
        return run.bench_jobs(_flags(options, factors + given), _counts(options.jobs))
    if options.memory:
        return run.bench_memory(spec, machine)
    return run.bench(spec, machine, options.arms.split(","), options.rounds, options.steps)


def _counts(jobs: str) -> list[int]:
    if not all(count.isdigit() and int(count) for count in jobs.split(",")):
        raise InputError(f"--jobs={jobs!r} is no list of numbers, as in 1,2,4")
    return [int(count) for count in jobs.split(",")]


def _flags(options: argparse.Namespace, names: Sequence[str]) -> list[str]:
    return [f"--{name.replace('_', '-')}={getattr(options, name)}" for name in names]


def _doctor(options: argparse.Namespace) -> int:
    from study.commands.doctor import doctor

    return doctor(options.data, options.runs)


def _prepare(options: argparse.Namespace) -> int:
    check_choice("dataset", options.dataset, DATASETS)
    if options.dataset == "digits":
        print("digits come with scikit-learn; there is nothing to prepare")
        return 0
    if options.dataset == "imagenet":
        from study.data.imagenet.prepare import prepare

        print(prepare(options.data, options.source, options.subset))
        return 0
    from study.data.images import prepare_cifar10

    prepare_cifar10(options.data, options.source)
    print(f"CIFAR-10 lies complete under {options.data}")
    return 0


def main() -> int:
    """The entry point."""
    return entry("study", run)
