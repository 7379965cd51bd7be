"""What a check has found so far: one JSON line per stage that ended, in DIR/state.jsonl. Imports no torch."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Literal

from study.recording.bench_lines import Line
from study.spec import InputError

Status = Literal["passed", "failed", "refused", "absent", "unfinished"]
FINAL: tuple[Status, ...] = ("passed", "failed", "refused")  # a later call does not repeat these
FILE = "state.jsonl"


@dataclass(frozen=True)
class Result:
    """How a stage ended.

    Attributes:
        stage: Its name.
        part: The part of the report to which it belongs, 1 to 4.
        status: ``refused``: a way to train that this machine or version does not have. ``absent``: data are missing.
            ``unfinished``: the time was up; a later call goes on.
        seconds: How long it took, over all calls if it is a run that was resumed.
        lines: The JSON lines that it printed, in which its measurements are.
        why: For any status but ``passed``, what happened.
        words: The last lines of its log, if it failed.
        command: What was run.
        ended: When, in UTC.
        is_rehearsal: Whether there was no GPU on purpose.
    """

    stage: str
    part: int
    status: Status
    seconds: float
    lines: tuple[Line, ...] = ()
    why: str = ""
    words: tuple[str, ...] = ()
    command: str = ""
    ended: str = ""
    is_rehearsal: bool = False

    def find(self, what: str) -> Line:
        """The last line of a kind, empty if it printed none."""
        return next((line for line in reversed(self.lines) if line["what"] == what), {})


class State:
    """The results of a folder, in the order in which they were made.

    Attributes:
        path: The file that holds them.
        results: All of them; of a stage that was repeated, the last one counts.

    Raises:
        InputError: The file cannot be read, or holds a line that is no result.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / FILE
        try:
            lines = self.path.read_text().splitlines() if self.path.exists() else []
            self.results = [_result(json.loads(line)) for line in lines]
        except OSError as error:
            raise InputError(f"{self.path} cannot be read ({error.strerror}); give another --out=DIR") from None
        except (ValueError, TypeError) as error:
            raise InputError(f"{self.path} holds a line that is no result ({error}); move it away") from None

    @property
    def latest(self) -> dict[str, Result]:
        """The last result of each stage."""
        return {result.stage: result for result in self.results}

    def passed(self, stage: str) -> bool:
        """Whether a stage passed the last time that it ran."""
        return stage in self.latest and self.latest[stage].status == "passed"

    def add(self, result: Result) -> None:
        """Add a result: the whole file is written under another name and takes the old one's place.

        Raises:
            OSError: The disk is full, or the folder cannot be written; the old file stays.
        """
        self.results.append(result)
        write(self.path, "".join(json.dumps(asdict(each)) + "\n" for each in self.results))


def write(path: Path, text: str) -> None:
    """Write a text file under a temporary name, wait for the disk, then rename: a kill leaves the old or the new one.

    Raises:
        OSError: The disk is full, or the folder cannot be written.
    """
    temporary = path.with_suffix(".tmp")
    with temporary.open("w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


def _result(row: Any) -> Result:
    if not isinstance(row, dict):
        raise TypeError(f"{row} is no object")
    known = {name: row[name] for name in (each.name for each in fields(Result)) if name in row}
    return Result(**known | {"lines": tuple(row.get("lines", ())), "words": tuple(row.get("words", ()))})


def with_status(results: Sequence[Result], status: Status) -> list[Result]:
    """The results of that status."""
    return [result for result in results if result.status == status]
