"""The command line: ``python -m study VERB``. Imports torch only for the verbs that need it."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from study.recipes import per_device_batch, recipe_for
from study.spec import DATASETS, SHORTCUTS, InputError, Spec, check_choice
from study.store import Record, describe

PRECISIONS = ("32", "bf16")
SWITCHES = ("--status", "--dry-run", "--check", "--help", "--subset", "--recalibrate", "--pipeline")  # no value
WANDB_MODES = ("auto", "online", "offline", "disabled")


class Parser(argparse.ArgumentParser):
    """Says what is wrong in one line, as every other wrong input is answered."""

    def error(self, message: str) -> NoReturn:
        """Raise instead of printing the usage."""
        raise InputError(f"{message}; see: python -m {self.prog} --help")


def parser() -> Parser:
    """All verbs and flags; what depth and data set derive is no flag (rule 2)."""
    top = Parser(prog="study", description="A tracked reproduction study of deep residual learning.")
    verbs = top.add_subparsers(dest="verb", required=True, metavar="VERB")

    train = verbs.add_parser("train", help="train one cell; go on with it if it was interrupted")
    train.add_argument("--dataset", required=True, help=" | ".join(DATASETS))
    train.add_argument("--depth", required=True, type=int, help="6n+2, or 18, 34, 50, 101, 152 for imagenet")
    train.add_argument("--shortcut", required=True, help=" | ".join(SHORTCUTS) + " (none is a plain net)")
    train.add_argument("--recipe", default="paper", help="paper, or a variant (default: %(default)s)")
    train.add_argument("--seed", default=0, type=int, help="(default: %(default)s)")
    add_machine_options(train)

    sweep = verbs.add_parser("sweep", help="run the cells of a W&B grid file here, without W&B")
    sweep.add_argument("file", type=Path, help="sweeps/*.yaml")
    sweep.add_argument("--jobs", type=int, default=1, help="cells at a time (default: %(default)s)")
    sweep.add_argument("--status", action="store_true", help="only show how far each cell is")
    sweep.add_argument("--dry-run", action="store_true", help="only show the commands")
    add_machine_options(sweep)

    launch = verbs.add_parser("launch", help="create the W&B sweep of a grid file and start its agents here")
    launch.add_argument("file", type=Path, help="sweeps/*.yaml")
    launch.add_argument("--gpus", required=True, help="0,1,2,3 or cpu, which is two agents")
    launch.add_argument("--gpus-per-run", type=int, default=1, help="(default: %(default)s)")
    add_place_options(launch)

    test = verbs.add_parser("test", help="test finished ImageNet runs by a protocol of the paper")
    test.add_argument("subjects", nargs="+", type=Path, help="run folders, or files of torchvision's weights")
    test.add_argument("--protocol", default="10crop", help="1crop | 10crop | dense | ensemble (default: %(default)s)")
    test.add_argument("--recalibrate", action="store_true", help="with batch-norm statistics averaged anew")
    add_data_option(test)
    _add_machine_verbs(verbs)
    return top


def _add_machine_verbs(verbs: argparse._SubParsersAction[Parser]) -> None:
    """The verbs that make a machine ready and measure it."""
    prepare = verbs.add_parser("prepare", help="fetch or check a data set")
    prepare.add_argument("dataset", help="cifar10 | imagenet")
    prepare.add_argument("--source", type=Path, help="an archive or folder to take instead of downloading")
    prepare.add_argument("--subset", action="store_true", help="declare that this is not the whole ImageNet")
    add_data_option(prepare)

    doctor = verbs.add_parser("doctor", help="what this machine can run, what is missing, what to do")
    add_runs_option(doctor)
    add_data_option(doctor)

    bench = verbs.add_parser("bench", help="measure, as JSON lines on standard output")
    bench.add_argument("--dataset", required=True, help="imagenet")
    bench.add_argument("--pipeline", action="store_true", help="images/s of one core, beside torchvision's loader")
    add_data_option(bench)


def add_machine_options(verb: argparse.ArgumentParser) -> None:
    """The options that say where a cell runs and never what it is (rule 3).

    Each has a variable for its default, by which a machine tells what it is like to the agents that run on it.
    """
    devices = os.environ.get("STUDY_DEVICES", "1")
    verb.add_argument("--devices", type=int, default=devices, help="processes of one run (default: %(default)s)")
    verb.add_argument("--wandb", default="auto", help=" | ".join(WANDB_MODES) + " (default: %(default)s)")
    add_place_options(verb)


def add_place_options(verb: argparse.ArgumentParser) -> None:
    """Those of them that hold for every run of a machine."""
    precision = os.environ.get("STUDY_PRECISION", "32")
    verb.add_argument("--precision", default=precision, help=" | ".join(PRECISIONS) + " (default: %(default)s)")
    add_runs_option(verb)
    add_data_option(verb)


def add_runs_option(verb: argparse.ArgumentParser) -> None:
    """Where the runs lie."""
    runs = Path(os.environ.get("STUDY_RUNS", "runs"))
    verb.add_argument("--runs", type=Path, default=runs, help="(default: %(default)s)")


def add_data_option(verb: argparse.ArgumentParser) -> None:
    """Where the data sets lie."""
    data = Path(os.environ.get("STUDY_DATA", "data"))
    verb.add_argument("--data", type=Path, default=data, help="(default: %(default)s)")


def spell(arguments: Sequence[str]) -> list[str]:
    """Read flags as W&B's macros write them: ``--shortcut=None`` is none, another ``None`` the default.

    ``--_wandb={...}``, which a requeued run is given, says nothing to us.
    """
    spelt: list[str] = []
    words = iter(arguments)
    for word in words:
        flag, equals, value = word.partition("=")
        if flag == "--_wandb":
            if not equals:
                next(words, None)
            continue
        if flag.startswith("--") and not equals and flag not in SWITCHES:
            value = next(words, "")
        if flag.startswith("--") and value:
            spelt += _spell_flag(flag, value)
        else:
            spelt.append(word)
    return spelt


def _spell_flag(flag: str, value: str) -> list[str]:
    if value == "None":
        return ["--shortcut=none"] if flag == "--shortcut" else []
    if flag in SWITCHES:
        return [flag] if value == "True" else []
    if flag == "--wandb" and value == "False":
        return ["--wandb=disabled"]
    return [f"{flag}={value}"]


def run(arguments: Sequence[str]) -> int:
    """Do what the command line says; returns the exit status."""
    options = parser().parse_args(spell(arguments))
    if options.verb in ("train", "sweep", "launch"):
        check_choice("precision", options.precision, PRECISIONS)
    if options.verb in ("train", "sweep"):
        check_choice("wandb", options.wandb, WANDB_MODES)
    verbs = {
        **{"train": _train, "sweep": _sweep, "launch": _launch, "test": _test},
        **{"prepare": _prepare, "doctor": _doctor, "bench": _bench},
    }
    return verbs[options.verb](options)


def _train(options: argparse.Namespace) -> int:
    spec = Spec(options.dataset, options.depth, options.shortcut, options.recipe, options.seed)
    per_device_batch(recipe_for(spec), options.devices)
    if summary := Record(options.runs, spec).summary():  # before torch is imported, which takes seconds
        print(f"{spec.name} is done already: {describe(summary)}")
        return 0
    from study.machine import Machine
    from study.train import train

    return train(spec, Machine(options.devices, options.precision, options.runs, options.data, options.wandb))


def _sweep(options: argparse.Namespace) -> int:
    from study import sweep

    flags = ("devices", "precision", "runs", "data", "wandb")
    machine = [f"--{flag}={getattr(options, flag)}" for flag in flags]
    cells = sweep.cells(options.file)
    if options.status:
        return sweep.show_status(cells, options.runs)
    if options.dry_run:
        return sweep.show_commands(cells, machine)
    return sweep.run(cells, options.runs, machine, options.jobs)


def _launch(options: argparse.Namespace) -> int:
    from study import launch, sweep

    cells = sweep.cells(options.file)
    for cell in cells:
        per_device_batch(recipe_for(cell), options.gpus_per_run)
    fleet = launch.slices(options.gpus, options.gpus_per_run)
    machine = {"STUDY_PRECISION": options.precision, "STUDY_DATA": str(options.data.absolute())}
    return launch.launch(options.file, cells, fleet, options.runs, machine)


def _test(options: argparse.Namespace) -> int:
    from study.imagenet.evaluate import evaluate

    return evaluate(options.subjects, options.protocol, options.data, options.recalibrate)


def _bench(options: argparse.Namespace) -> int:
    if options.dataset != "imagenet" or not options.pipeline:
        raise InputError("only ImageNet's pipeline can be measured yet: --dataset=imagenet --pipeline")
    from study.imagenet.bench import bench

    return bench(options.data)


def _doctor(options: argparse.Namespace) -> int:
    from study.doctor import doctor

    return doctor(options.data, options.runs)


def _prepare(options: argparse.Namespace) -> int:
    check_choice("dataset", options.dataset, DATASETS)
    if options.dataset == "digits":
        print("digits come with scikit-learn; there is nothing to prepare")
        return 0
    if options.dataset == "imagenet":
        from study.imagenet.prepare import prepare

        print(prepare(options.data, options.source, options.subset))
        return 0
    from study.data import prepare_cifar10

    prepare_cifar10(options.data, options.source)
    print(f"CIFAR-10 lies complete under {options.data}")
    return 0


def main() -> int:
    """The entry point: one line and status 2 for what the user can mend."""
    try:
        return run(sys.argv[1:])
    except InputError as error:
        print(f"study: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
