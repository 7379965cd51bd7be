"""From the records of ``study test FILE --like=NETWORK --out=DIR`` to tables of public networks."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd

from reports.gathering.collect import response_table
from reports.gathering.probes import probe_tables
from reports.gathering.public import NETWORK_COLUMNS, SPLITS, Public
from reports.gathering.tables import PUBLIC_PROBES
from study.recording.evaluation import Row
from study.recording.schema import PROBE_PARTS
from study.spec import InputError, Spec, title

MEASURED = "python -m study test FILE --like=cifar10-56-A --commit=COMMIT --out=DIR"
TEXTS = ("repository", "protocol", "border", "file", "sha256", "measured", "torch")


def read_records(folder: Path) -> Public:
    """Read every record in a folder.

    Args:
        folder: Where `study test --out` wrote a JSON file for each network.

    Raises:
        InputError: there is no record, a file is none, or two files hold the same network.
    """
    paths = sorted(folder.glob("*.json"))
    if not paths:
        raise InputError(f"{folder} has no record of a public network; write some with: {MEASURED}")
    records: dict[str, Row] = {}
    for path in paths:
        record = _read(path)
        name = f"{record['repository']} {title(record['dataset'], record['depth'], record['shortcut'])}"
        if name in records:
            raise InputError(f"{path} holds {name}, and so does another file of the folder; remove one of them")
        records[name] = record
    return _tables(records)


def _read(path: Path) -> Row:
    """One record, checked.

    Raises:
        InputError: it is none.
    """
    try:
        record = json.loads(path.read_text())
        _check(record)
        _tables({"": record})
    except (OSError, UnicodeDecodeError, json.JSONDecodeError, KeyError, TypeError, ValueError) as error:
        why = f"it lacks {error}" if isinstance(error, KeyError) else str(error).splitlines()[0]
        raise InputError(f"{path} is no record of a public network ({why}); write one with: {MEASURED}") from None
    checked: Row = record
    return checked


def _check(record: Any) -> None:
    """Name the first thing that is wrong.

    Raises:
        KeyError: an entry is missing.
        TypeError: an entry has another type.
        ValueError: an entry has another value.
    """
    if not isinstance(record, dict) or record.get("source") != "public":
        raise ValueError('its source is not "public"')
    for key in TEXTS:
        if not isinstance(record[key], str) or not record[key]:
            raise TypeError(f"{key} is no text")
    Spec(record["dataset"], record["depth"], record["shortcut"])
    for split in SPLITS:
        wrong, seen = record[split]["wrong"], record[split]["seen"]
        if not (type(wrong) is type(seen) is int and 0 <= wrong <= seen and seen):
            raise ValueError(f"{split} has {wrong} wrong of {seen} images")


def _tables(records: dict[str, Row]) -> Public:
    probes = {
        name: {
            **{part: record[part] for part in PROBE_PARTS if part in record},  # those up to 2026-11-30 lack some
            "signals": [{"moment": "now", **row} for row in record["signals"]],
            "blocks": record["blocks"],
            "copy": record["copy"],
        }
        for name, record in records.items()
    }
    return Public(
        pd.DataFrame([_row(name, record) for name, record in records.items()], columns=NETWORK_COLUMNS),
        response_table({name: record["responses"] for name, record in records.items()}),
        **{name: table for name, table in probe_tables(probes).items() if name in PUBLIC_PROBES},
    )


def _row(name: str, record: Row) -> Row:
    counts = {f"{split}/{count}": number for split in SPLITS for count, number in record[split].items()}
    return {"run": name, **{key: record[key] for key in NETWORK_COLUMNS if key in record}, **counts}
