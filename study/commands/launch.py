"""``study launch``: create the W&B sweep of a sweep file and start its agents on this machine."""

from __future__ import annotations

import argparse
from dataclasses import replace

from study.commands.flags import Verbs, add_gpus, add_options, read_options
from study.machine.options import group_names
from study.recipes import check_batches
from study.sweeps.slices import slices


def add_parser(verbs: Verbs) -> None:
    """Add the verb: a sweep file, the GPUs of the agents, and the machine options that all of them share."""
    parser = verbs.add_parser(
        "launch", help="create the W&B sweep of a sweep file and start its agents on this machine"
    )
    parser.add_argument("file", help="a sweep file, or the name of one of this study's, as in digits")
    add_gpus(parser, required=True)
    add_options(parser, group_names("step", "place"))
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Create the sweep, start one agent per slice of the GPUs, and wait for them."""
    from study.sweeps import agents, grid

    machine = replace(read_options(options), devices=options.gpus_per_run)
    file = grid.find(options.file)
    cells = grid.cells(file)
    fleet = slices(options.gpus, machine.devices, options.runs_per_gpu)
    check_batches(cells, machine.devices)
    return agents.launch(file, cells, fleet, machine)
