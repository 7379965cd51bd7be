"""What the verbs share: the parser, W&B's spelling of flags, machine options, exit status. Imports no torch."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Collection, Sequence
from typing import NoReturn, TypeAlias

from study.machine.options import DEFAULTS, OPTIONS, MachineOptions, Option, flag
from study.spec import InputError, MachineError

OFF = {"--wandb": "disabled", "--artifact": "off"}  # what False means, which is also how YAML reads an unquoted off


class Parser(argparse.ArgumentParser):
    """A parser that also reads W&B's spelling of flags, and raises an InputError instead of printing its usage."""

    def read(self, arguments: Sequence[str]) -> argparse.Namespace:
        """Parse the arguments of a command line, whether a person or W&B's macros wrote them.

        Raises:
            InputError: The arguments are invalid.
        """
        return self.parse_args(spell(arguments, switches(self)))

    def error(self, message: str) -> NoReturn:
        """Raise an InputError with the message and the command that shows the help."""
        raise InputError(f"{message}; see: python -m {self.prog} --help")


class _ShowVersion(argparse.Action):
    """Prints the version and exits; git is asked only then, not whenever a parser is built."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        from study.recording.version import describe_version

        print(f"{parser.prog} {describe_version()}")
        parser.exit()


def add_version(parser: argparse.ArgumentParser) -> None:
    """Add `--version` to a program."""
    parser.add_argument("--version", action=_ShowVersion, nargs=0, help="show the version and the commit, and exit")


def list_verbs(parser: argparse.ArgumentParser) -> int:
    """Say on standard error what each verb of a program does; returns the exit status of a wrong command line."""
    (verbs,) = (action for action in parser._actions if isinstance(action, argparse._SubParsersAction))
    width = max(map(len, verbs.choices))
    lines = [f"  {verb.dest:{width}}  {verb.help}" for verb in verbs._choices_actions]
    usage = [f"{parser.prog}: which verb? As in: {parser.prog} {next(iter(verbs.choices))} --help", *lines]
    print("\n".join(usage), file=sys.stderr)
    return 2


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


def add_options(parser: argparse.ArgumentParser, names: Sequence[str] = tuple(OPTIONS)) -> None:
    """Add machine options to a verb; an option's environment variable sets its default (rule 3)."""
    for name in names:
        option, default = OPTIONS[name], DEFAULTS[name]
        preset = os.environ.get(option.variable, default) if option.variable else default
        if isinstance(default, bool):
            parser.add_argument(flag(name), action="store_true", default=str(preset) == "True", help=option.help)
            continue
        parser.add_argument(
            flag(name), type=type(default), default=preset, metavar=option.metavar, help=_describe(option)
        )


def add_gpus(parser: argparse.ArgumentParser, required: bool) -> None:
    """Add the flags that divide this machine's GPUs into slices, one for each run at a time."""
    names = "numbers or UUIDs of the GPUs, as in 0-7 or 0,2,5, a run at a time on each; or cpu: two at a time"
    parser.add_argument("--gpus", required=required, help=names)
    devices = "1" if required else "--devices"
    parser.add_argument(
        "--gpus-per-run",
        type=int,
        default=1 if required else None,
        metavar="N",
        help=f"devices of each run (default: {devices})",
    )
    parser.add_argument(
        "--runs-per-gpu", type=int, default=1, metavar="N", help="runs that share a GPU (default: %(default)s)"
    )


def _describe(option: Option) -> str:
    choices = f": {' | '.join(option.choices)}" if option.choices else ""
    return f"{option.help}{choices} (default: %(default)s)"


def read_options(options: argparse.Namespace) -> MachineOptions:
    """The machine options of a parsed command line; those that its verb does not have keep their defaults.

    Raises:
        InputError: An option has a value that it cannot have.
    """
    return MachineOptions(**{name: getattr(options, name) for name in OPTIONS if name in options})


def spell(arguments: Sequence[str], switches: Collection[str]) -> list[str]:
    """Rewrite flags that W&B's macros wrote: ``--shortcut=None`` is none, another ``None`` is the default.

    ``--_wandb={...}``, which W&B adds to a requeued run, is dropped. What follows ``--`` is another program's.

    Args:
        arguments: The words of a command line.
        switches: The flags that take no value; W&B writes ``--flag=True``.
    """
    spelt: list[str] = []
    words = iter(arguments)
    for word in words:
        flag, equals, value = word.partition("=")
        if word == "--":
            return [*spelt, word, *words]
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
    if value == "False" and flag in OFF:
        return [f"{flag}={OFF[flag]}"]
    return [f"{flag}={value}"]


def entry(program: str, run: Callable[[Sequence[str]], int]) -> int:
    """Run a program on the arguments of this process and return its exit status.

    An InputError becomes one line on standard error and status 2, a MachineError one and status 1, Ctrl-C status 130.
    """
    try:
        status = run(sys.argv[1:])
        sys.stdout.flush()
        return status
    except InputError as error:
        print(f"{program}: {error}", file=sys.stderr)
        return 2
    except MachineError as error:
        print(f"{program}: {error}", file=sys.stderr)
        return 1
    except BrokenPipeError:  # the reader of our output has closed it, as head does; Python would complain at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        return 130
