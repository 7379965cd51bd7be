"""``study test``: test finished runs by a protocol of the paper."""

from __future__ import annotations

import argparse
from pathlib import Path

from study.commands.flags import Verbs, add_options


def add_parser(verbs: Verbs) -> None:
    """Add the verb: what is tested, and by which protocol."""
    parser = verbs.add_parser("test", help="test finished runs by a protocol of the paper")
    parser.add_argument("subjects", nargs="+", type=Path, help="run folders, or files of torchvision's weights")
    parser.add_argument(
        "--protocol",
        help="on ImageNet 10crop (the default) | 1crop | dense | ensemble; on Tiny ImageNet 10crop (the default) | "
        "1crop; on other data sets single",
    )
    parser.add_argument(
        "--recalibrate", action="store_true", help="recompute the batch-norm statistics on training images first"
    )
    parser.add_argument(
        "--like",
        help="the CIFAR-10 network of files that others published, as in cifar10-56-A; or one for each, with commas",
    )
    parser.add_argument("--commit", help="with --like: the commit of the repository that they come from")
    parser.add_argument(
        "--out", type=Path, help="with --like: measure all that is compared with the paper, and write records here"
    )
    add_options(parser, ["data"])
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Test the subjects and print their errors."""
    if options.like:
        from study.protocols.public import measure_public

        return measure_public(options.subjects, options.like, options.commit, options.data, options.out)
    from study.protocols.evaluate import evaluate

    return evaluate(options.subjects, options.protocol, options.data, options.recalibrate)
