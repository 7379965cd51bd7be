"""``study export``: write a trained network as a folder that others can load."""

from __future__ import annotations

import argparse
from pathlib import Path

from study.commands.flags import Verbs, add_options, read_options

FORMATS = ("safetensors", "torchscript", "onnx")
DTYPES = ("float32", "bfloat16", "float16")


def add_parser(verbs: Verbs) -> None:
    """Add the verb: which network, where to, and in which format."""
    parser = verbs.add_parser("export", help="write a trained network with a model card, for others to load")
    parser.add_argument(
        "folder",
        type=Path,
        help="a finished run's folder, a folder that was exported before, or a run in W&B: ENTITY/PROJECT/RUN",
    )
    parser.add_argument("--out", type=Path, required=True, help="the folder to write")
    parser.add_argument(
        "--format", default="safetensors", help=f"format of the weights: {' | '.join(FORMATS)} (default: %(default)s)"
    )
    parser.add_argument(
        "--dtype", default="float32", help=f"type of the stored weights: {' | '.join(DTYPES)} (default: %(default)s)"
    )
    add_options(parser, ["data"])
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Export the network, and say where it is and which errors it makes."""
    from study.weights.export import export

    config = export(options.folder, options.out, options.format, options.dtype, read_options(options).data)
    errors = config.measured or config.recorded
    print(f"{config.name}: {options.out / config.file}, {errors.wrong:,} of {errors.seen:,} test images wrong")
    return 0
