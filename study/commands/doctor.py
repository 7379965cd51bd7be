"""``study doctor``: show what this machine can run, what is missing or broken, and what to do about it."""

from __future__ import annotations

import argparse

from study.commands.flags import Verbs, add_options

STYLES = {"sound": "green", "absent": "yellow", "unsound": "red"}


def add_parser(verbs: Verbs) -> None:
    """Add the verb: the folders that are examined."""
    parser = verbs.add_parser("doctor", help="show what this machine can run, what is missing, and what to do")
    add_options(parser, ["runs", "data"])
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Print one line per check; return 2 if something that is present is broken, else 0."""
    from rich.console import Console
    from rich.markup import escape

    from study.commands.checks import examine

    checks = list(examine(options.data, options.runs))
    console = Console(highlight=False)
    for check in checks:
        mark = f"[{STYLES[check.health]}]{check.health:8}[/]"
        console.print(f"{check.subject:12} {mark} {escape(check.report)}", soft_wrap=True)
    return 2 if any(check.health == "unsound" for check in checks) else 0
