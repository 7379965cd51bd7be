"""``study train``: train one cell."""

from __future__ import annotations

import argparse

from study.commands.flags import Verbs, add_options, read_options
from study.machine.memory import keep_memory
from study.recipes import per_device_batch, recipe_for
from study.recording.evaluation import Evaluation, describe
from study.recording.record import Record
from study.spec import DATASETS, IMAGENET_DEPTHS, SHORTCUTS, Spec

DEPTHS = ", ".join(map(str, IMAGENET_DEPTHS))


def add_parser(verbs: Verbs) -> None:
    """Add the verb: the five factors of a cell, and where it runs."""
    parser = verbs.add_parser("train", help="train one cell, or resume its training")
    parser.add_argument("--dataset", required=True, help=" | ".join(DATASETS))
    parser.add_argument("--depth", required=True, type=int, help=f"number of layers: 6n+2, or for imagenet: {DEPTHS}")
    parser.add_argument("--shortcut", required=True, help=" | ".join(SHORTCUTS) + " (none is a plain network)")
    parser.add_argument(
        "--recipe", default="paper", help="how it is trained: paper, or a variant (default: %(default)s)"
    )
    parser.add_argument(
        "--seed", default=0, type=int, help="of the initial weights and the batches (default: %(default)s)"
    )
    add_options(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Train the cell; return 0 at once if it is finished already."""
    machine = read_options(options)
    spec = Spec(options.dataset, options.depth, options.shortcut, options.recipe, options.seed)
    per_device_batch(recipe_for(spec), machine.devices)
    if summary := Record(machine.runs, spec).summary():  # before torch is imported, which takes seconds
        print(f"{spec.name} is finished already: {describe(Evaluation.from_row(summary))}")
        return 0
    keep_memory()
    from study.bench.choose import choose
    from study.training.train import quiet, train

    quiet()
    is_new = not Record(machine.runs, spec).provenance()  # a resumed run keeps how it takes its steps
    machine, choice = choose(spec, machine) if is_new else (machine, None)
    return train(spec, machine, choice)
