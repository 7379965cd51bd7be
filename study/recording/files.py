"""The JSON files of a record: written whole or not at all, and read with a reason where they cannot be.

No torch, so that the sweep and the reports read records quickly.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from study.recording.evaluation import Row
from study.spec import InputError

LARGEST = 50 * 2**20  # bytes of one file; a history of 10,000 evaluations has 4 MiB


class Unreadable(InputError):
    """A file of a record that cannot be what the study wrote: which one, and where in it."""


def read_json(path: Path) -> Row | None:
    """Read a JSON object; None if there is no such file.

    Raises:
        Unreadable: The file holds something else; the message names it.
    """
    return _object(_read(path), path.name) if path.exists() else None


def read_lines(path: Path) -> Iterator[Row]:
    """Read a file of one JSON object a line, without a last line that a kill has cut off; nothing if there is no file.

    Raises:
        Unreadable: Another line is not a JSON object; the message names file and line. The lines before it have come.
    """
    if not path.exists():
        return
    lines = _read(path).split(b"\n")
    for number, line in enumerate(lines, start=1):
        try:
            if line or number < len(lines):
                yield _object(line, f"{path.name}, line {number}")
        except Unreadable:
            if number < len(lines):
                raise


def write_json(path: Path, value: Mapping[str, Any], indent: int | None = 2) -> None:
    """Write a JSON object under a temporary name, then rename the file: a kill leaves the old or the new one."""
    write_whole(path, (to_json(value, indent) + "\n").encode())


def write_whole(path: Path, content: bytes) -> None:
    """Write a file that is there entirely or not at all, even if the power fails: both it and its folder are synced."""
    temporary = path.with_suffix(".tmp")
    write_synced(temporary, content)
    os.replace(temporary, path)
    sync_folder(path.parent)


def write_synced(path: Path, content: bytes | memoryview) -> None:
    """Write a file and wait until its content is on the disk."""
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def sync_folder(folder: Path) -> None:
    """Wait until the disk knows the names in a folder."""
    number = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)


def to_json(value: Any, indent: int | None = None) -> str:
    """A value as JSON that every program reads: a number that is not finite becomes null."""
    return json.dumps(_finite(value), indent=indent, allow_nan=False)


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: _finite(part) for key, part in value.items()}
    return [_finite(part) for part in value] if isinstance(value, list | tuple) else value


def _read(path: Path) -> bytes:
    """The content of a file.

    Raises:
        Unreadable: It is not a file, cannot be read, or is larger than any that the study writes.
    """
    if path.is_symlink() or not path.is_file():
        raise Unreadable(f"{path.name}: not a file")
    if (size := path.stat().st_size) > LARGEST:
        raise Unreadable(f"{path.name}: {size >> 20} MiB are more than the {LARGEST >> 20} of the largest record")
    try:
        return path.read_bytes()
    except OSError as error:
        raise Unreadable(f"{path.name}: cannot be read ({error.strerror})") from None


def _object(text: bytes, where: str) -> Row:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):  # ValueError: not JSON, not UTF-8, or a number of thousands of digits
        raise Unreadable(f"{where}: not JSON") from None
    if not isinstance(value, dict):
        raise Unreadable(f"{where}: not an object")
    return value


def now() -> str:
    """The current time in UTC, in the format of the records: ``2026-11-25T14:00:00+00:00``."""
    return datetime.now(UTC).isoformat(timespec="seconds")
