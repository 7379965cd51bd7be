"""``study launch``: create the W&B sweep of a sweep file and start its agents on this machine."""

from __future__ import annotations

import argparse
from dataclasses import replace

from study.commands.flags import Verbs, add_options, read_options
from study.machine.options import group_names
from study.recipes import per_device_batch, recipe_for


def add_parser(verbs: Verbs) -> None:
    """Add the verb: a sweep file, the GPUs of the agents, and the machine options that all of them share."""
    parser = verbs.add_parser(
        "launch", help="create the W&B sweep of a sweep file and start its agents on this machine"
    )
    parser.add_argument("file", help="a sweep file, or the name of one of this study's, as in digits")
    parser.add_argument(
        "--gpus",
        required=True,
        help="numbers or UUIDs of the GPUs, as in 0-3 or 0,2,5; or cpu, which starts two agents",
    )
    parser.add_argument("--gpus-per-run", type=int, default=1, help="devices of each run (default: %(default)s)")
    parser.add_argument("--runs-per-gpu", type=int, default=1, help="runs that share a GPU (default: %(default)s)")
    add_options(parser, group_names("step", "place"))
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Create the sweep, start one agent per slice of the GPUs, and wait for them."""
    from study.sweeps import agents, grid
    from study.sweeps.slices import slices

    machine = replace(read_options(options), devices=options.gpus_per_run)
    file = grid.find(options.file)
    cells = grid.cells(file)
    for cell in cells:
        per_device_batch(recipe_for(cell), machine.devices)
    fleet = slices(options.gpus, machine.devices, options.runs_per_gpu)
    return agents.launch(file, cells, fleet, machine)
