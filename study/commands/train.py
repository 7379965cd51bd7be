"""``study train``: train one cell."""

from __future__ import annotations

import argparse
from pathlib import Path

from study.commands.flags import Verbs, add_options, read_options
from study.machine.memory import keep_memory
from study.machine.options import MachineOptions, is_first_rank
from study.machine.parent import follow_sweep
from study.recipes import check_batches, starts_from_copy
from study.recording.files import Unreadable
from study.recording.lock import Taken
from study.recording.record import Record
from study.recording.wandb.account import resolve_mode
from study.recording.wandb.client import has_other_run
from study.spec import DATASETS, IMAGENET_DEPTHS, SHORTCUTS, InputError, Spec

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
    """Train the cell."""
    follow_sweep()
    spec = Spec(options.dataset, options.depth, options.shortcut, options.recipe, options.seed)
    if starts_from_copy(spec.dataset, spec.recipe):
        command = f"python -m study deepen RUN_FOLDER --depth={spec.depth}"
        raise InputError(f"recipe {spec.recipe} starts from a copy of a trained network; run: {command}")
    return train_cell(spec, read_options(options))


def train_cell(spec: Spec, machine: MachineOptions, parent: Path | None = None) -> int:
    """Train a cell; return at once if it is finished already.

    Args:
        spec: The cell.
        machine: Where it is trained.
        parent: The run folder of the network from whose copy it starts, None for initial weights.

    Returns:
        The exit status.

    Raises:
        InputError: Something that the user can fix.
        MachineError: The machine could not go on; the same command does.
    """
    check_batches([spec], machine.devices)
    record = Record(machine.runs, spec)
    try:
        was_finished = record.summary() is not None
        status = record.say_end() if was_finished else _train_or_leave(record, machine, parent)
    except Unreadable as error:
        raise InputError(
            f"{record.folder}: {error}; correct the file, or move the folder away to start again"
        ) from None
    finally:
        record.close()
    if is_first_rank() and (was_finished or has_other_run(record)) and resolve_mode(machine.wandb) == "online":
        _show(record)
    return status


def _train_or_leave(record: Record, machine: MachineOptions, parent: Path | None) -> int:
    """Train a cell, or leave it to the process that does."""
    try:
        if is_first_rank():  # another rank finds the lock of the first
            if record.state() == "running":
                return record.say_taken()
            if record.state() == "stopped" and not machine.again:
                return record.say_stopped()
            record.reserve()  # before the seconds that the import of torch takes
        return _train(record, machine, parent)
    except Taken as other:
        return record.say_taken(str(other))


def _train(record: Record, machine: MachineOptions, parent: Path | None) -> int:
    keep_memory()
    from study.bench.choose import choose
    from study.training.train import quiet, train

    quiet()
    is_new = not record.provenance()  # a resumed run keeps how it takes its steps
    machine, choice = choose(record.spec, machine) if is_new else (machine, None)
    return train(record, machine, choice, parent)


def _show(record: Record) -> None:
    """Show in W&B a run that this process did not train, so that an agent leaves no run there without a name."""
    from study.recording.wandb.sync import show_finished
    from study.sweeps.about import about

    show_finished(record, about)
