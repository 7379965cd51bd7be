"""``study convert``: write records in the formats of other tools."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from study.commands.flags import Verbs
from study.recording.convert import FORMATS, Curves, read_curves
from study.recording.folders import expand
from study.recording.record import Record
from study.spec import InputError, check_choice


def add_parser(verbs: Verbs) -> None:
    """Add the verb: which runs, to which format, and where."""
    parser = verbs.add_parser("convert", help="write records for TensorBoard, as CSV, or for MLflow")
    parser.add_argument("folders", metavar="RUNS", nargs="+", type=Path, help="run folders, or a folder of them")
    parser.add_argument("--to", required=True, metavar="FORMAT", help=" | ".join(FORMATS))
    parser.add_argument("--out", required=True, type=Path, metavar="DIR", help="folder that is written or updated")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Convert what can be read; returns 1 if something cannot."""
    check_choice("format", options.to, tuple(FORMATS))
    curves, reasons = read_all(list(expand(options.folders)))
    for name, reason in reasons.items():
        print(f"study: {name} is left out: {reason}", file=sys.stderr)
    try:
        options.out.mkdir(parents=True, exist_ok=True)
        show = FORMATS[options.to](curves, options.out)
    except OSError as error:
        raise InputError(f"{options.out} cannot be written ({error.strerror}); give another --out=DIR") from None
    print(f"{len(curves)} runs; to see them: {show}")
    return 1 if reasons else 0


def read_all(folders: Sequence[Path]) -> tuple[list[Curves], dict[str, str]]:
    """The runs, and the reason for each folder that could not be read as one, by its name."""
    curves, reasons = [], {}
    for folder in folders:
        try:
            curves.append(read_curves(Record.at(folder)))
        except InputError as error:
            reasons[folder.name] = str(error)
    return curves, reasons
