"""``study probe``: measure what trained networks compute."""

from __future__ import annotations

import argparse
from pathlib import Path

from study.commands.flags import Verbs, add_options
from study.recording.schema import PROBE_PARTS
from study.spec import check_choice


def add_parser(verbs: Verbs) -> None:
    """Add the verb: the runs whose networks are probed, and what is measured of them."""
    parser = verbs.add_parser("probe", help="measure what the layers and blocks of trained networks do")
    parser.add_argument(
        "folders",
        type=Path,
        nargs="+",
        metavar="folder",
        help="run folders on images in memory; several are compared with each other",
    )
    parser.add_argument(
        "--only",
        type=lambda text: text.split(","),
        default=list(PROBE_PARTS),
        metavar="PART,...",
        help=f"the parts that are measured, of: {', '.join(PROBE_PARTS)} (default: all)",
    )
    add_options(parser, ["data"])
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Probe the networks and write the results beside their records."""
    for part in options.only:
        check_choice("part", part, PROBE_PARTS)
    from study.probes.probe import probe

    return probe(options.folders, options.data, options.only)
