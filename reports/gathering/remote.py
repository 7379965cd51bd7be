"""Read runs from W&B: full histories, never the sampled 500 points, cached on disk until a run has more rows.

The client itself retries failed requests, with growing pauses.
"""

from __future__ import annotations

import math
import re
import tempfile
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

from platformdirs import user_cache_path
from pydantic import BaseModel

from study.recording.along import FILE as SIGNALS
from study.recording.along import read_signals
from study.recording.evaluation import Row, is_evaluation
from study.recording.files import Unreadable, read_json, write_json
from study.recording.progress import progress
from study.recording.record import State
from study.recording.run import COVARIATES, covariates
from study.recording.run import Run as Recorded
from study.recording.schema import Confusion, Line, Probes, Provenance, Responses, Summary, check, read
from study.recording.wandb.account import check_account, check_project, wandb_call
from study.recording.wandb.description import SKIPPED
from study.recording.wandb.sending import DIGEST
from study.recording.wandb.stops import STOPPED
from study.spec import FACTORS, InputError, Spec, shown

if TYPE_CHECKING:
    from wandb.apis.public import Run

PATIENCE = 60  # seconds for one request
PAGE = 100  # runs
AT_ONCE = 8  # runs read at the same time
ATTEMPTS = 3  # at a history whose rows are fewer than W&B says it has
REFERENCE, REPORT = "reference", "report"  # job types of runs that `reports publish` makes
IGNORED = frozenset({REFERENCE, REPORT})  # job types of runs that train nothing
MODELS: dict[str, type[BaseModel]] = {
    "provenance.json": Provenance,
    "responses.json": Responses,
    "confusion.json": Confusion,
    "probes.json": Probes,
}
NULLABLE = ("train/loss", "test/loss", "warm_until")  # W&B drops what is null in a summary
NOT_NUMBERS = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}  # as JSON of the web has them


class Incomplete(Exception):
    """A run that W&B has not given whole; the text is the reason."""


def read_wandb(path: str) -> tuple[list[Recorded], dict[str, str]]:
    """Every run of ENTITY/PROJECT, and the runs that are not of this project or came incomplete, each with the reason.

    Raises:
        InputError: no account, no such project, or W&B cannot be reached.
    """
    check_project(path)
    check_account("gather --runs=PATH alone")
    with wandb_call(f"{path} cannot be read from W&B", "check the name, or wait and gather again"):
        import wandb

        listed = list(wandb.Api(timeout=PATIENCE).runs(path, per_page=PAGE, lazy=False))
        return _read(listed, user_cache_path("resnet-study") / path)


def _read(listed: Iterable[Run], cache: Path) -> tuple[list[Recorded], dict[str, str]]:
    """Read several runs at a time."""
    excluded: dict[str, str] = {}
    ours: list[tuple[Spec, Run]] = []
    for run in listed:
        if run.job_type in IGNORED:
            continue
        try:
            if not re.fullmatch(r"[\w-]+", run.id, re.ASCII):
                raise InputError("its id is not one that W&B gives")
            ours.append((_spec(run), run))
        except InputError as error:
            excluded[run.id] = str(error)
    found: list[Recorded] = []
    with ThreadPoolExecutor(AT_ONCE) as pool:
        reading = [(run.id, pool.submit(_record, spec, run, cache)) for spec, run in ours]
        for run_id, recorded in progress(reading, "runs from W&B"):
            try:
                found.append(recorded.result())
            except (Incomplete, Unreadable) as reason:
                excluded[run_id] = str(reason)
    return found, excluded


def _spec(run: Run) -> Spec:
    """The cell that a run's configuration names."""
    if run.job_type == SKIPPED:
        raise InputError("skipped: an agent was given the cell, which another run has trained")
    factors = {name: run.config[name] for name in FACTORS if name in run.config}  # a sweep need not name all
    if missing := [name for name in FACTORS[:3] if name not in factors]:
        raise InputError(f"not created by this project: its configuration has no {', '.join(missing)}")
    return Spec(**factors | {"shortcut": factors["shortcut"] or "none"})  # YAML's null is a plain net


def _record(spec: Spec, run: Run, cache: Path) -> Recorded:
    """One run as a record.

    Raises:
        Incomplete: its history came with rows missing.
    """
    summary = {key: value for key, value in _numbers(run.summary_metrics).items() if not key.startswith("_")}
    is_finished = "ended" in summary  # the very last thing that a run writes; W&B's own state is no proof
    if is_finished:
        summary = dict.fromkeys(NULLABLE) | summary
        check(Summary, summary, "its summary")
    parts = _parts(run, cache / f"{run.id}-{run.historyLineCount}-{str(summary.get(DIGEST))[:16]}.json")
    begun = parts.get("provenance.json")  # runs up to 2026-11-30 have none, and all of it in their configuration
    return Recorded(
        spec,
        _state(run, summary if is_finished else None),
        covariates(begun) if begun else {name: run.config.get(name) for name in COVARIATES},
        history=parts["rows"],
        summary=summary if is_finished else None,
        responses=parts.get("responses.json"),
        confusion=parts.get("confusion.json"),
        probes=parts.get("probes.json"),
        along=parts.get("signals.jsonl", []),
        wandb_id=run.id,
        url=run.url,
    )


def _state(run: Run, summary: Row | None) -> State:
    if summary is not None:
        return "diverged" if summary.get("diverged") else "finished"
    if run.state == "running":
        return "running"
    return "stopped" if STOPPED in (run.tags or ()) else "interrupted"


def _parts(run: Run, kept: Path) -> Row:
    """The rows and the files of a run, by name, from the cache if the run has not changed since.

    Raises:
        Incomplete: rows were missing at each attempt.
    """
    if parts := read_json(kept):
        return parts
    for _ in range(ATTEMPTS):
        rows = [_numbers(row) for row in run.scan_history(use_cache=False)]
        if len(rows) == run.historyLineCount:
            break
    else:
        raise Incomplete(f"W&B returned {len(rows)} of {run.historyLineCount} rows; gather again")
    parts = {"rows": _evaluations(rows), **_files(run)}
    for row in parts["rows"]:
        check(Line, row, f"the row of step {shown(row['step'])}")
    if run.state != "running":  # of which files may be on their way
        kept.parent.mkdir(parents=True, exist_ok=True)
        write_json(kept, parts, indent=None)
    return parts


def _evaluations(rows: Iterable[Row]) -> list[Row]:
    """The rows that are evaluations, without W&B's own keys; of two rows of one step the later."""
    own = ({key: value for key, value in row.items() if not key.startswith("_")} for row in rows)
    by_step = {row["step"]: row for row in own if is_evaluation(row)}
    return [by_step[step] for step in sorted(by_step)]


def _numbers(row: Row) -> Row:
    """A row with floats where W&B sends the words NaN and Infinity."""
    return {key: NOT_NUMBERS.get(value, value) if isinstance(value, str) else value for key, value in row.items()}


def _files(run: Run) -> Row:
    """The files that the study has sent of a run, by name.

    Raises:
        Unreadable: One holds something else than the study writes.
    """
    found: Row = {}
    with tempfile.TemporaryDirectory() as folder:
        for file in run.files(names=[*MODELS, SIGNALS]):
            path = Path(file.download(root=folder, replace=True).name)
            name = path.name
            found[name] = list(read_signals(path.parent)) if name == SIGNALS else read(path, MODELS[name])
    return found
