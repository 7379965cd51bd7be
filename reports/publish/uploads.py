"""The run of the report: every figure and table, the page, the files that REPORT.md links to, and the snapshot.

A report that is there already is not sent again; one that has changed becomes a further step of the run and, of the
snapshot, a further version of its artifact.
"""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reports.gathering.public import FOLDER as PUBLIC
from reports.page.found import FILE as FOUND
from reports.page.model import Report
from reports.publish.runs import PATIENCE, UPLOAD, Project
from study.spec import InputError

if TYPE_CHECKING:
    from wandb import Run

TYPE = "snapshot"  # of the artifact, which has this name, too
SNAPSHOT = ("runs.csv", "*.csv.gz", f"{PUBLIC}/*", FOUND)
DIGEST = "digest"  # the key of the run's summary that says of what it has everything
PAGE = "report.html"
LINKED = (PAGE, "claims.json")  # by REPORT.md, beside the tables


def figure_key(name: str) -> str:
    """Where the run has a figure."""
    return f"figures/{name}"


def files(whole: Report, folder: Path) -> dict[str, Path]:
    """The files that are sent, by their names below `folder`.

    Raises:
        InputError: One of them is not there.
    """
    names = [*saved(whole), *(f"{figure_key(drawing.name)}.png" for drawing in whole.drawings)]
    if missing := [name for name in names if not (folder / name).exists()]:
        raise InputError(f"{folder} has no {missing[0]}; run: python -m reports build --out={folder}")
    return {name: folder / name for name in (*names, *_snapshot(folder))}


def saved(whole: Report) -> list[str]:
    """The files that REPORT.md links to: the run has them under the same names."""
    return [*LINKED, *(f"tables/{table.name}.csv" for table in whole.tables)]


def _snapshot(folder: Path) -> list[str]:
    """The names of the snapshot's files."""
    found = (path for pattern in SNAPSHOT for path in folder.glob(pattern))
    return sorted(path.relative_to(folder).as_posix() for path in found)


def digest(sent: Mapping[str, Path]) -> str:
    """The digest of files, by their names and contents."""
    parts = (part for name, path in sorted(sent.items()) for part in (name.encode(), path.read_bytes()))
    return hashlib.sha256(b"".join(hashlib.sha256(part).digest() for part in parts)).hexdigest()


def upload(run: Run, whole: Report, folder: Path) -> None:
    """Send everything.

    Args:
        run: The run of the report, open.
        whole: What the report says.
        folder: Where `reports build` wrote it.
    """
    for name in saved(whole):
        run.save(folder / name, base_path=folder, policy="now")
    _log_snapshot(run, folder)
    run.log(dict(_media(whole, folder)))
    run.summary[DIGEST] = digest(files(whole, folder))


def _media(whole: Report, folder: Path) -> Iterator[tuple[str, Any]]:
    """What W&B shows: figures, tables, the page."""
    import wandb

    for drawing in whole.drawings:
        key = figure_key(drawing.name)
        yield key, wandb.Image(str(folder / f"{key}.png"), caption=drawing.title)
    for table in whole.tables:
        with (folder / "tables" / f"{table.name}.csv").open(newline="") as file:
            columns, *rows = csv.reader(file)
        yield f"tables/{table.name}", wandb.Table(columns=[*columns], data=[*rows])
    yield "page", wandb.Html((folder / PAGE).read_text(), inject=False)


def _log_snapshot(run: Run, folder: Path) -> None:
    """The snapshot as an artifact; W&B makes no version of what it has already."""
    import wandb

    names = _snapshot(folder)
    artifact = wandb.Artifact(
        TYPE, TYPE, "What `reports gather` wrote; `reports build` makes the report from it alone."
    )
    for name in names:
        artifact.add_file(str(folder / name), name, skip_cache=True)
    short = digest({name: folder / name for name in names})[:12]
    run.log_artifact(artifact, aliases=["latest", short]).wait(UPLOAD)


def lacking(project: Project, run_id: str, whole: Report, folder: Path) -> list[str]:
    """What W&B lacks of the report: files that were saved, files that the run's summary names, or the latest of all.

    The client does not say what was refused, so W&B is asked.
    """
    import wandb

    run = wandb.Api(timeout=PATIENCE).run(f"{project.path}/{run_id}")
    held = {file.name for file in run.files(per_page=1000) if file.size}
    is_latest = run.summary_metrics.get(DIGEST) == digest(files(whole, folder))
    missing = [name for name in (*saved(whole), *_paths(run.summary_metrics.values())) if name not in held]
    return missing if is_latest else [*missing, "the latest report"]


def _paths(values: Iterable[Any]) -> Iterator[str]:
    """The files of the media among the values of a summary."""
    return (value["path"] for value in values if isinstance(value, dict) and "path" in value)
