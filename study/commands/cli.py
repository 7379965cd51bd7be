"""The command line ``python -m study VERB``: one module per verb, none of which imports torch before it runs."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from study.commands import (
    bench,
    complexity,
    convert,
    deepen,
    doctor,
    export,
    gpu_check,
    launch,
    prepare,
    probe,
    push,
    runs,
    show,
    signals,
    sweep,
    sync,
    test,
    train,
)
from study.commands.flags import Parser, add_version, entry, list_verbs

VERBS = (
    train,
    sweep,
    launch,
    runs,
    show,
    convert,
    deepen,
    test,
    probe,
    signals,
    export,
    push,
    sync,
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
    verbs = top.add_subparsers(dest="verb", metavar="VERB")
    for verb in VERBS:
        verb.add_parser(verbs)
    return top


def run(arguments: Sequence[str]) -> int:
    """Run one command line and return its exit status; without a verb, list the verbs.

    Raises:
        InputError: The arguments are invalid, or the verb cannot be carried out with them.
    """
    top = parser()
    options: argparse.Namespace = top.read(arguments)
    return list_verbs(top) if options.verb is None else int(options.run(options))


def main() -> int:
    """Run the process's own arguments and return the exit status."""
    return entry("study", run)
