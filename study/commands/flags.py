"""The flags of the command line, and how W&B spells them. Standard library only."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import NoReturn, TypeAlias

from study.spec import InputError, check_choice

MACHINE_OPTIONS = ("devices", "precision", "step", "checkpoint_every", "runs", "data", "wandb")
PRECISIONS = ("32", "bf16")
STEPS = ("auto", "plain", "graph")
WANDB_MODES = ("auto", "online", "offline", "disabled")


class Parser(argparse.ArgumentParser):
    """A parser that reads W&B's spelling too, and reports an error in one line, as all invalid input is reported."""

    def read(self, arguments: Sequence[str]) -> argparse.Namespace:
        """Parse the arguments of a command line, spelt by a person or by W&B's macros.

        Raises:
            InputError: The arguments are invalid.
        """
        return self.parse_args(spell(arguments, switches(self)))

    def error(self, message: str) -> NoReturn:
        """Raise InputError instead of printing the usage."""
        raise InputError(f"{message}; see: python -m {self.prog} --help")


Verbs: TypeAlias = "argparse._SubParsersAction[Parser]"  # quoted: argparse's class takes no parameter at runtime


def switches(parser: argparse.ArgumentParser) -> frozenset[str]:
    """The flags of a parser and its verbs that take no value, as ``--dry-run``."""
    found: set[str] = set()
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for verb in action.choices.values():
                found |= switches(verb)
        elif action.nargs == 0:
            found |= set(action.option_strings)
    return frozenset(found)


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


def written(options: argparse.Namespace, names: Sequence[str]) -> list[str]:
    """Those options as the flags of another command: ``["--precision=32"]`` for ``("precision",)``."""
    return [f"--{name.replace('_', '-')}={getattr(options, name)}" for name in names]


def spell(arguments: Sequence[str], switches: Collection[str]) -> list[str]:
    """Rewrite flags that W&B's macros wrote: ``--shortcut=None`` is none, another ``None`` is the default.

    ``--_wandb={...}``, which W&B adds to a requeued run, is dropped.

    Args:
        arguments: The words of a command line.
        switches: The flags that take no value; W&B writes ``--flag=True``.
    """
    spelt: list[str] = []
    words = iter(arguments)
    for word in words:
        flag, equals, value = word.partition("=")
        if flag == "--_wandb":
            if not equals:
                next(words, None)
            continue
        if flag.startswith("--") and not equals and flag not in switches:
            value = next(words, "")
        if flag.startswith("--") and value:
            spelt += _spell_flag(flag, value, switches)
        else:
            spelt.append(word)
    return spelt


def _spell_flag(flag: str, value: str, switches: Collection[str]) -> list[str]:
    if value == "None":
        return ["--shortcut=none"] if flag == "--shortcut" else []
    if flag in switches:
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
