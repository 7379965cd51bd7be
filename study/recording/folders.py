"""Read every record under a folder, or those that changed; what cannot be read as a record says why."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from study.recording.files import read_json
from study.recording.lock import FILES
from study.recording.record import CLIENT, LOG, Record
from study.recording.run import Run, read_run
from study.spec import InputError, Spec

JOBS = "slurm"  # the folder of the logs of `study sweep --slurm`
NO_RUNS = (CLIENT, JOBS)  # folders beside those of the runs


def read_runs(runs: Path) -> tuple[list[Run], dict[str, str]]:
    """Read every record under `runs`.

    Returns:
        The runs, and the reason for each folder that could not be read as one, by its name.

    Raises:
        InputError: There is no such folder.
    """
    if not runs.is_dir():
        raise InputError(f"runs folder {runs} does not exist; train something first, or give --runs=PATH")
    return divide({folder.name: read_folder(folder) for folder in run_folders(runs)})


def divide(read: Mapping[str, Run | str]) -> tuple[list[Run], dict[str, str]]:
    """What `read_folder` returned, by folder: the runs, and the reasons."""
    reasons = {name: found for name, found in read.items() if isinstance(found, str)}
    return [found for found in read.values() if isinstance(found, Run)], reasons


def run_folders(runs: Path) -> list[Path]:
    """The folders under `runs` that should be records, in the order of their names; not those of runs that start."""
    folders = (path for path in runs.iterdir() if path.is_dir() and path.name not in NO_RUNS)
    return sorted(path for path in folders if not _is_only_reserved(path))


def expand(folders: Iterable[Path]) -> Iterator[Path]:
    """The run folders among these folders and in them.

    Raises:
        InputError: One of them is not a folder.
    """
    for folder in folders:
        if not folder.is_dir():
            raise InputError(f"folder {folder} does not exist; name run folders, or a folder of them")
        yield from [folder] if (folder / "spec.json").exists() else run_folders(folder)


def _is_only_reserved(folder: Path) -> bool:
    """Whether a folder holds the lock of a run, a log of `study sweep`, and nothing else yet."""
    try:
        names = {path.name for path in folder.iterdir()}
    except OSError:
        return False  # which is said of it when it is read
    return bool(names) and all(name in FILES or name.startswith(LOG) for name in names)


def read_folder(folder: Path) -> Run | str:
    """The run whose record a folder holds, or the reason why it cannot be read as one."""
    try:
        spec = Spec.parse(folder.name)
        if folder.is_symlink():
            raise InputError("it is a link to another folder; give --runs= the folder where it is")
        if read_json(folder / "spec.json") not in (spec.factors, _as_once(spec, folder.name)):
            raise InputError("spec.json is missing or names another cell")
        return read_run(Record(folder.parent, spec, folder.name))
    except InputError as error:
        return str(error)
    except OSError as error:
        return f"it cannot be read ({error.strerror})"


def _as_once(spec: Spec, name: str) -> dict[str, str | int]:
    """The factors of a run from before its recipe was renamed; else the factors of any."""
    return spec.factors | ({"recipe": name.split("-")[3]} if name == spec.former_name else {})
