"""Publish the report in W&B, and keep where each part came to lie, so that publishing again updates it."""

from __future__ import annotations

import importlib.util
import secrets
from collections.abc import Iterator, Mapping
from pathlib import Path

from reports.gathering import snapshot
from reports.gathering.remote import REPORT
from reports.judging.comparison import Comparison
from reports.page import render
from reports.page.model import Report
from reports.page.render import TITLE
from reports.page.sections import report
from reports.publish.document import Document
from reports.publish.panels import Live
from reports.publish.references import publish_references
from reports.publish.runs import Project, opened
from reports.publish.uploads import files, lacking, upload
from reports.publish.workspaces import save_workspace
from study.recording.files import read_json, write_json
from study.recording.wandb.account import check_account, check_project, wandb_call
from study.spec import InputError

PUBLISHED = "published.json"  # of each project the addresses of what was published there, beside the report
FIX = f"try again later; if a part of it was deleted there, remove {PUBLISHED} from the folder and publish it all again"


def publish(folder: Path, path: str) -> dict[str, str]:
    """Send the report, the paper's curves, the workspaces and the W&B report; returns their addresses by kind.

    Args:
        folder: Where `reports build` wrote the report.
        path: ENTITY/PROJECT.

    Raises:
        InputError: nothing was built there, the extra or the account is missing, or W&B rejects something.
    """
    if not (folder / "REPORT.md").exists():
        raise InputError(f"{folder} has no REPORT.md; run: python -m reports build --out={folder}")
    check_project(path)
    if importlib.util.find_spec("wandb_workspaces") is None:
        raise InputError("publishing needs wandb-workspaces; run: pip install 'resnet-study[publish]'")
    check_account()
    whole = _built(folder)
    book = _book(folder)
    addresses = dict(book.get(path, {}))
    with wandb_call("W&B rejected the report", FIX):
        for kind, address in _sent(whole, folder, Project(*path.split("/")), addresses):
            addresses[kind] = address  # at once: what was sent before a failure is found again
            write_json(folder / PUBLISHED, book | {path: addresses})
    return addresses


def _built(folder: Path) -> Report:
    """The report of the folder's snapshot, which was built there.

    Raises:
        InputError: The files are of another snapshot, or some are missing.
    """
    whole = report(snapshot.read(folder), folder)
    if stale := render.check(whole, folder):
        raise InputError(f"{folder / stale[0]} is out of date; run: python -m reports build --out={folder}")
    files(whole, folder)
    return whole


def _book(folder: Path) -> dict[str, dict[str, str]]:
    """What was published, by project; of before 2026-11-30, when one project was kept, nothing."""
    found = read_json(folder / PUBLISHED) or {}
    return {project: addresses for project, addresses in found.items() if isinstance(addresses, dict)}


def _sent(whole: Report, folder: Path, project: Project, before: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Send each part, and say its kind and its address."""
    run_url = before.get("run", "")
    if not run_url or lacking(project, _id(run_url), whole, folder):
        run_id = _id(run_url) or secrets.token_hex(4)
        with opened(project, run_id, name=TITLE, job_type=REPORT, tags=[REPORT]) as run:
            run_url = str(run.url)
            yield "run", run_url
            upload(run, whole, folder)
        if missing := lacking(project, _id(run_url), whole, folder):
            raise InputError(f"it has no {missing[0]}")
    live = Live(project, whole.snapshot, publish_references(project))
    views = {}
    for kind, shown, name in _workspaces(whole):
        views[name] = save_workspace(live, shown, name, before.get(kind))
        yield kind, views[name]
    document = Document(whole, live, _id(run_url), run_url, views)
    yield "report", document.save((folder / "REPORT.md").read_text(), before.get("report"))


def _id(run_url: str) -> str:
    """A run's id, by its address."""
    return run_url.rpartition("/")[2]


def _workspaces(whole: Report) -> Iterator[tuple[str, list[Comparison], str]]:
    """Of each workspace its kind, what it shows, and its name: one of all runs, and one for each protocol."""
    yield "workspace", list(whole.judged), TITLE
    for comparison in whole.judged:
        yield f"workspace {comparison.slug}", [comparison], comparison.title
