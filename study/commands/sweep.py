"""``study sweep``: run the cells of a sweep file on this machine, without W&B."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace

from study.commands.flags import Verbs, add_gpus, add_options, read_options
from study.machine.options import MachineOptions
from study.recipes import check_batches
from study.spec import InputError, Spec
from study.sweeps.slices import Slice, share, slices

AUTO = "auto"
EXAMPLE = "partition=gpu,time=24:00:00,gpus=1"  # of --slurm


def add_parser(verbs: Verbs) -> None:
    """Add the verb: a sweep file, what to do with its cells, and where they run."""
    parser = verbs.add_parser("sweep", help="run the cells of a sweep file on this machine, without W&B")
    parser.add_argument("file", help="a sweep file, or the name of one of this study's, as in digits")
    parser.add_argument(
        "--jobs",
        type=_jobs,
        metavar="N",
        help="cells that run at the same time; auto measures for a minute how many pay (default: 1, or as --gpus says)",
    )
    add_gpus(parser, required=False)
    parser.add_argument(
        "--only",
        metavar="PLACES",
        help="only these cells, as in 0,4-7, counted from 0 in the order of --dry-run: SLURM_ARRAY_TASK_ID",
    )
    parser.add_argument("--slurm", metavar="OPTIONS", help="submit the cells as one Slurm array job, as in " + EXAMPLE)
    parser.add_argument("--status", action="store_true", help="only show the progress of each cell")
    parser.add_argument("--watch", action="store_true", help="with --status: until every cell has a result, or Ctrl-C")
    parser.add_argument("--dry-run", action="store_true", help="only show the commands")
    parser.add_argument("--estimate", action="store_true", help="only measure a few steps; show hours and memory")
    add_options(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Train every cell of the file, or show what the options ask for instead."""
    from study.sweeps import grid, local

    machine = read_options(options)
    if options.gpus_per_run is not None:
        machine = replace(machine, devices=options.gpus_per_run)
    cells = grid.cells(grid.find(options.file))
    if options.only is not None:
        cells = grid.select(cells, options.only)
    if options.estimate:
        from study.sweeps.estimate import show_estimate

        return show_estimate(cells, machine)
    if options.status or options.watch:
        from study.sweeps.status import show_status, watch_status

        return watch_status(cells, machine.runs) if options.watch else show_status(cells, machine.runs)
    if options.dry_run:
        return local.show_commands(cells, machine)
    if options.slurm is not None:
        from study.sweeps import slurm

        return slurm.submit(cells, machine, slurm.read_request(options.slurm))
    return local.run(cells, machine, _fleet(options, cells, machine))


def _fleet(options: argparse.Namespace, cells: Sequence[Spec], machine: MachineOptions) -> list[Slice]:
    """The slices of `--gpus`, or as many as `--jobs` says."""
    if options.gpus is None:
        if options.gpus_per_run is not None or options.runs_per_gpu != 1:
            raise InputError("--gpus-per-run and --runs-per-gpu divide the GPUs that --gpus names; add --gpus=0-7")
        return share(_count(options.jobs, cells, machine), machine.devices)
    fleet = slices(options.gpus, machine.devices, options.runs_per_gpu)
    check_batches(cells, machine.devices)
    if options.jobs not in (None, len(fleet)):
        raise InputError(f"--gpus={options.gpus} runs {len(fleet)} at a time; leave out --jobs={options.jobs}")
    return fleet


def _count(jobs: int | str | None, cells: Sequence[Spec], machine: MachineOptions) -> int:
    if jobs == AUTO:
        from study.sweeps.auto import choose_jobs

        return choose_jobs(cells, machine)
    return 1 if jobs is None else int(jobs)


def _jobs(value: str) -> int | str:
    """The number of jobs, or ``auto``."""
    if value == AUTO:
        return value
    if not value.lstrip("-").isdecimal():
        raise argparse.ArgumentTypeError(f"{value!r} is neither a number nor auto")
    return int(value)
