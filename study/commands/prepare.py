"""``study prepare``: download a data set, or check the files that are present."""

from __future__ import annotations

import argparse
from pathlib import Path

from study.commands.flags import Verbs, add_options
from study.spec import DATASETS, InputError, check_choice


def add_parser(verbs: Verbs) -> None:
    """Add the verb: the data set and where it comes from."""
    parser = verbs.add_parser("prepare", help="download or check a data set")
    parser.add_argument("dataset", help=" | ".join(DATASETS))
    parser.add_argument("--source", type=Path, help="an archive or folder to read instead of downloading")
    parser.add_argument("--subset", action="store_true", help="declare that images or classes of ImageNet are left out")
    parser.add_argument("--classes", type=int, help="declare how many classes of Tiny ImageNet there are")
    add_options(parser, ["data"])
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Prepare the data set and print where it is."""
    check_choice("dataset", options.dataset, DATASETS)  # before torch is imported, which takes seconds
    from study.data.datasets import dataset_info
    from study.data.interface import Declared

    info, declared = dataset_info(options.dataset), Declared(options.subset, options.classes)
    for flag, is_given in declared.flags.items():
        if is_given and flag not in info.declares:
            raise InputError(f"{flag} says nothing about {info.title}; leave it out")
    print(info.prepare(options.data, options.source, declared))
    return 0
