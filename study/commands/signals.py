"""``study signals``: what the layers of runs did along their training, drawn."""

from __future__ import annotations

import argparse
from pathlib import Path

from study.commands.flags import Verbs


def add_parser(verbs: Verbs) -> None:
    """Add the verb: runs that were trained with ``--signals``, and the file that is drawn."""
    parser = verbs.add_parser(
        "signals", help="draw the layers' gradients, updates and signals along the training of runs with --signals"
    )
    parser.add_argument(
        "folders", type=Path, nargs="+", metavar="folder", help="run folders, side by side in the figure"
    )
    parser.add_argument(
        "--out", type=Path, default=Path("signals.svg"), help="a .svg, .png or .pdf file (default: %(default)s)"
    )
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Draw the runs and say in which of them gradients are far apart."""
    from study.probes.along import show_signals

    return show_signals(options.folders, options.out)
