"""``study probe``: measure what a trained network computes."""

from __future__ import annotations

import argparse
from pathlib import Path

from study.commands.flags import Verbs, add_options


def add_parser(verbs: Verbs) -> None:
    """Add the verb: the run whose network is probed."""
    parser = verbs.add_parser(
        "probe", help="measure what a trained network's layers do, and whether a deeper one could copy it"
    )
    parser.add_argument("folder", type=Path, help="a run folder on digits or CIFAR-10")
    add_options(parser, ["data"])
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Probe the run's network and write the results beside its record."""
    from study.probes.probe import probe

    return probe(options.folder, options.data)
