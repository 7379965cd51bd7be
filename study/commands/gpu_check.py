"""``study gpu-check``: what a GPU does with the study in its first half hour."""

from __future__ import annotations

import argparse
from pathlib import Path

from study.commands.flags import Verbs, add_options
from study.spec import InputError

OUT, REHEARSED_OUT = "build/gpu-check", "build/gpu-rehearsal"
MINUTES = 25.0
SHORTEST = 0.5


def add_parser(verbs: Verbs) -> None:
    """Add the verb: how long it may take, and where its results are."""
    parser = verbs.add_parser("gpu-check", help="check and time the study on a GPU, in stages that survive each other")
    parser.add_argument("--minutes", type=float, default=MINUTES, help="length of this call (default: %(default)s)")
    parser.add_argument(
        "--out",
        type=Path,
        help=f"folder of the results, which a later call continues (default: {OUT}, or {REHEARSED_OUT})",
    )
    parser.add_argument("--retry", action="store_true", help="run the stages that failed again")
    parser.add_argument("--rehearse", action="store_true", help="run the same stages on the CPU with digits")
    add_options(parser, ["data"])
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Run the stages that have no result yet; return 1 if one failed, now or before."""
    if not options.minutes >= SHORTEST:
        raise InputError(f"--minutes={options.minutes} must be at least {SHORTEST}")
    from study.bench.gpu_check.run import check
    from study.bench.gpu_check.scale import FULL, REHEARSAL
    from study.bench.gpu_check.stages import Setup
    from study.machine.device import has_cuda

    if not options.rehearse and not has_cuda():
        raise InputError("there is no GPU here; to run the same stages on the CPU, add --rehearse")
    out = options.out or Path(REHEARSED_OUT if options.rehearse else OUT)
    setup = Setup(out, options.data, REHEARSAL if options.rehearse else FULL)
    return check(setup, options.minutes, options.retry)
