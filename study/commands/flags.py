"""The flags of the command line, and how W&B spells them. Standard library only."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NoReturn

from study.spec import DATASETS, SHORTCUTS, InputError, check_choice

MACHINE_OPTIONS = ("devices", "precision", "step", "checkpoint_every", "runs", "data", "wandb")
PRECISIONS = ("32", "bf16")
STEPS = ("auto", "plain", "graph")
SWITCHES = (  # no value
    *("--status", "--dry-run", "--estimate", "--check", "--help"),
    *("--subset", "--recalibrate", "--pipeline", "--memory"),
)
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
    sweep.add_argument("--estimate", action="store_true", help="only measure a few steps, and show hours and memory")
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

    probe = verbs.add_parser("probe", help="what a trained net's layers do, and whether a deeper one could copy it")
    probe.add_argument("folder", type=Path, help="a run folder on digits or CIFAR-10")
    add_data_option(probe)
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

    _add_bench(verbs.add_parser("bench", help="measure how fast a cell trains here, as JSON lines on standard output"))


def _add_bench(bench: argparse.ArgumentParser) -> None:
    """A cell, what it is compared with, and for how long."""
    bench.add_argument("--dataset", default="cifar10", help="(default: %(default)s)")
    bench.add_argument("--depth", default=20, type=int, help="(default: %(default)s)")
    bench.add_argument("--shortcut", default="A", help="(default: %(default)s)")
    bench.add_argument("--arms", default="ours,plain,bare,loader", help="(default: %(default)s)")
    bench.add_argument("--rounds", default=15, type=int, help="turns of each arm (default: %(default)s)")
    bench.add_argument("--steps", default=5, type=int, help="steps in a turn (default: %(default)s)")
    bench.add_argument("--memory", action="store_true", help="only what one step keeps in memory")
    bench.add_argument("--jobs", help="only the speed of so many runs at a time, as in 1,2,4")
    bench.add_argument("--pipeline", action="store_true", help="only ImageNet's images/s of one core")
    add_step_options(bench)
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
    add_step_options(verb)
    add_runs_option(verb)
    add_data_option(verb)


def add_step_options(verb: argparse.ArgumentParser) -> None:
    """How a step is computed."""
    precision, step = os.environ.get("STUDY_PRECISION", "32"), os.environ.get("STUDY_STEP", "auto")
    every = os.environ.get("STUDY_CHECKPOINT_EVERY", "0")
    verb.add_argument("--precision", default=precision, help=" | ".join(PRECISIONS) + " (default: %(default)s)")
    verb.add_argument("--step", default=step, help=" | ".join(STEPS) + " (default: %(default)s)")
    verb.add_argument(
        "--checkpoint-every", type=int, default=every, metavar="N",
        help="keep activations only every N blocks: less memory, a third more work (default: keep all)",
    )  # fmt: skip


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


def check(options: argparse.Namespace) -> None:
    """Refuse what only the verb's own options make wrong."""
    if "precision" in options:
        check_choice("precision", options.precision, PRECISIONS)
        check_choice("step", options.step, STEPS)
        if options.checkpoint_every < 0:
            raise InputError(
                f"--checkpoint-every={options.checkpoint_every} must be a number of blocks, or 0 to keep all"
            )
    if "wandb" in options:
        check_choice("wandb", options.wandb, WANDB_MODES)


def entry(program: str, run: Callable[[Sequence[str]], int]) -> int:
    """Run a command line; returns its exit status, which is 2, after one line, for what the user can fix."""
    try:
        status = run(sys.argv[1:])
        sys.stdout.flush()
        return status
    except InputError as error:
        print(f"{program}: {error}", file=sys.stderr)
        return 2
    except BrokenPipeError:  # who reads our output has seen enough, as head does; Python would complain at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        return 130
