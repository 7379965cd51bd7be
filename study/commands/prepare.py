"""``study prepare``: fetch a data set, or check the one that is here."""

from __future__ import annotations

import argparse
from pathlib import Path

from study.commands.flags import Verbs, add_options
from study.spec import DATASETS, check_choice


def add_parser(verbs: Verbs) -> None:
    """Add the verb: the data set and where it comes from."""
    parser = verbs.add_parser("prepare", help="fetch or check a data set")
    parser.add_argument("dataset", help="cifar10 | imagenet")
    parser.add_argument("--source", type=Path, help="an archive or folder to read instead of downloading")
    parser.add_argument("--subset", action="store_true", help="declare that this is not the whole ImageNet")
    add_options(parser, ["data"])
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Prepare the data set and say where it is."""
    check_choice("dataset", options.dataset, DATASETS)  # before torch is imported, which takes seconds
    from study.data.datasets import dataset_info

    print(dataset_info(options.dataset).prepare(options.data, options.source, options.subset))
    return 0
