"""``study deepen``: train on a deeper network that computes what a trained one does."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

from study.commands.flags import Verbs, add_options, read_options
from study.commands.train import train_cell
from study.machine.parent import follow_sweep
from study.recipes import FROM_COPY, starts_from_copy
from study.recording.record import Record
from study.spec import InputError


def add_parser(verbs: Verbs) -> None:
    """Add the verb: the trained run, the depth to which blocks are added, and where the new run is trained."""
    parser = verbs.add_parser("deepen", help="train on a deeper network that copies a trained one, as a run of its own")
    parser.add_argument("folder", type=Path, help="the run folder of the trained network")
    parser.add_argument(
        "--depth", required=True, type=int, help="number of layers; as many as the network has to only train it on"
    )
    parser.add_argument("--recipe", default="deepened", help="how it is trained on (default: %(default)s)")
    add_options(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Train the deeper network, with the seed of its parent."""
    follow_sweep()
    parent = Record.at(options.folder)
    spec = replace(parent.spec, depth=options.depth, recipe=options.recipe)
    if not starts_from_copy(spec.dataset, spec.recipe):
        known = ", ".join(FROM_COPY.get(spec.dataset, ())) or f"none on {spec.dataset}"
        raise InputError(f"recipe {spec.recipe!r} does not start from a copy; those that do: {known}")
    return train_cell(spec, read_options(options), options.folder)
