"""Follow a folder of run records as they grow: a change reads only the runs again that it touched."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event

from watchfiles import Change, watch

from reports.gathering.gather import tabulate
from reports.gathering.snapshot import Snapshot
from study.recording.folders import NO_RUNS, divide, read_folder, run_folders
from study.recording.record import MEASUREMENTS, PROBES
from study.recording.run import Run

FILES = {f"{name}.json" for name in ("spec", "provenance", "summary", PROBES, *MEASUREMENTS)} | {"metrics.jsonl"}
TOGETHER_MS, LOOK_MS = 300, 200  # changes up to so far apart come together; how often it is seen that the watch ends


@dataclass
class Records:
    """The runs under a folder, as last read.

    Attributes:
        folder: Where the records lie.
        found: The run of each folder, or the reason why it cannot be read.
    """

    folder: Path
    found: dict[str, Run | str] = field(default_factory=dict)

    def read(self, names: Iterable[str]) -> None:
        """Read some runs again; those whose folders are gone are forgotten."""
        for name in names:
            self.found.pop(name, None)
            if (self.folder / name).is_dir():
                self.found[name] = read_folder(self.folder / name)

    def snapshot(self) -> Snapshot:
        """The snapshot that `gather` would make of the folder."""
        return tabulate(*divide(dict(sorted(self.found.items()))))


def changes(folder: Path, ended: Event) -> Iterator[set[str]]:
    """Yield the names of the run folders that changed: all of them first, later those of which a file did.

    The folder may be absent, and may come and go. Changes that happen while the caller works are kept.

    Args:
        folder: Where the records lie.
        ended: Set from another thread to end the iteration.
    """
    while not ended.wait(LOOK_MS / 1000):
        if folder.is_dir():
            yield from _while_present(folder.resolve(), ended)


def _while_present(folder: Path, ended: Event) -> Iterator[set[str]]:
    is_first = True  # the watch begins before anything is read, so that no change falls between the two
    for changed in watch(
        folder,
        watch_filter=None,
        debounce=TOGETHER_MS,
        rust_timeout=LOOK_MS,
        yield_on_timeout=True,
        stop_event=ended,
    ):
        if not folder.is_dir():
            return
        names = {name for change, path in changed if (name := _run_of(folder, change, Path(path)))}
        if is_first or names:
            yield {path.name for path in run_folders(folder)} if is_first else names
        is_first = False


def _run_of(folder: Path, change: Change, path: Path) -> str:
    """The run whose record a change is of: of a file that is read, or of a folder that comes or goes; else empty."""
    name, *inside = path.relative_to(folder).parts or ("",)
    is_read = len(inside) == 1 and inside[0] in FILES
    is_moved = not inside and change != Change.modified
    return name if name not in NO_RUNS and (is_read or is_moved) else ""
