"""The command line ``python -m study VERB``: one module per verb, none of which imports torch before it runs."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from study.commands import (
    bench,
    complexity,
    deepen,
    doctor,
    export,
    gpu_check,
    launch,
    prepare,
    probe,
    push,
    signals,
    sweep,
    test,
    train,
)
from study.commands.flags import Parser, add_version, entry

VERBS = (
    train,
    sweep,
    launch,
    deepen,
    test,
    probe,
    signals,
    export,
    push,
    prepare,
    doctor,
    bench,
    gpu_check,
    complexity,
)


def parser() -> Parser:
    """Build the parser of all verbs; a value that the data set and the depth determine is not a flag (rule 2)."""
    top = Parser(prog="study", description="A tracked reproduction study of deep residual learning.")
    add_version(top)
    verbs = top.add_subparsers(dest="verb", required=True, metavar="VERB")
    for verb in VERBS:
        verb.add_parser(verbs)
    return top


def run(arguments: Sequence[str]) -> int:
    """Run one command line and return its exit status.

    Raises:
        InputError: The arguments are invalid, or the verb cannot be carried out with them.
    """
    options: argparse.Namespace = parser().read(arguments)
    status: int = options.run(options)
    return status


def main() -> int:
    """Run the process's own arguments and return the exit status."""
    return entry("study", run)
