"""``study push``: upload an exported network to the Hugging Face Hub."""

from __future__ import annotations

import argparse
from pathlib import Path

from study.commands.flags import Verbs


def add_parser(verbs: Verbs) -> None:
    """Add the verb: what is uploaded, where to, and who can see it."""
    parser = verbs.add_parser("push", help="upload an exported network to the Hugging Face Hub; asks first")
    parser.add_argument("folder", type=Path, help="a folder that study export has written")
    parser.add_argument("name", help="of the model on the Hub: USER/NAME")
    parser.add_argument("--private", action="store_true", help="only its owner can see it")
    parser.add_argument("--yes", action="store_true", help="do not ask")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Say what will be uploaded, ask, and upload it."""
    from study.weights.hub import push

    return push(options.folder, options.name, options.private, options.yes)
