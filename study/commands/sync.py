"""``study sync``: send recorded runs to W&B."""

from __future__ import annotations

import argparse
from pathlib import Path

from study.commands.flags import Verbs


def add_parser(verbs: Verbs) -> None:
    """Add the verb: the runs that are sent."""
    parser = verbs.add_parser("sync", help="send recorded runs to W&B, also those trained without it")
    parser.add_argument(
        "folders", type=Path, nargs="+", metavar="folder", help="run folders, or a runs folder: all runs in it"
    )
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Send what W&B lacks of the runs."""
    from study.recording.wandb.sync import find_records, sync
    from study.sweeps.about import about

    return sync(find_records(options.folders), about)
