"""``study sweep``: run the cells of a sweep file on this machine, without W&B."""

from __future__ import annotations

import argparse

from study.commands.flags import Verbs, add_options, read_options


def add_parser(verbs: Verbs) -> None:
    """Add the verb: a sweep file, what to do with its cells, and where they run."""
    parser = verbs.add_parser("sweep", help="run the cells of a sweep file on this machine, without W&B")
    parser.add_argument("file", help="a sweep file, or the name of one of this study's, as in digits")
    parser.add_argument(
        "--jobs",
        type=_jobs,
        default=1,
        help="cells that run at the same time; auto measures for a minute how many pay (default: %(default)s)",
    )
    parser.add_argument("--status", action="store_true", help="only show the progress of each cell")
    parser.add_argument("--dry-run", action="store_true", help="only show the commands")
    parser.add_argument("--estimate", action="store_true", help="only measure a few steps; show hours and memory")
    add_options(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Train every cell of the file, or show what the options ask for instead."""
    from study.sweeps import grid, local

    machine = read_options(options)
    cells = grid.cells(grid.find(options.file))
    if options.estimate:
        from study.sweeps.estimate import show_estimate

        return show_estimate(cells, machine)
    if options.status:
        return local.show_status(cells, machine.runs)
    if options.dry_run:
        return local.show_commands(cells, machine)
    if options.jobs is not None:
        return local.run(cells, machine, options.jobs)
    from study.sweeps.auto import choose_jobs

    return local.run(cells, machine, choose_jobs(cells, machine))


def _jobs(value: str) -> int | None:
    """The number of jobs; None for ``auto``."""
    if value == "auto":
        return None
    if not value.lstrip("-").isdecimal():
        raise argparse.ArgumentTypeError(f"{value!r} is neither a number nor auto")
    return int(value)
