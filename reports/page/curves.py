"""What the page's script draws and opens, as JSON: runs with curves and records, the paper's curves, public ends."""

from __future__ import annotations

import json
import math
from collections.abc import Hashable, Iterable, Sequence
from typing import Any

import pandas as pd

from reports.figures.palette import kind
from reports.gathering.add import shorten
from reports.gathering.snapshot import Snapshot
from reports.judging.comparison import CIFAR, Comparison
from reports.judging.evidence import Evidence
from reports.judging.plan import plan
from reports.judging.public import public_evidence
from reports.paper import numbers as paper
from reports.tables.formats import duration, short
from study.recipes import RECIPES
from study.recording.evaluation import TEST_ERROR, TRAIN_ERROR

MOST_POINTS = 12_000  # of all curves together, test and training error: a hundred runs of 64 evaluations
Steps = dict[tuple[int, ...], int]  # the steps of curves, and their places in the list


def curves(snapshot: Snapshot, comparisons: Sequence[Comparison]) -> str:
    """The JSON; no text in it can end the element that it stands in.

    Args:
        snapshot: The runs.
        comparisons: Those whose curves the reader can choose, the paper's own on CIFAR-10 among them.
    """
    slugs = [comparison.slug for comparison in comparisons]
    steps: Steps = {}
    papers = slugs.index(CIFAR.slug)
    content = {
        "protocols": [_protocol(comparison) for comparison in comparisons],
        **_runs(snapshot, slugs, steps),
        "paper": [line for panel in paper.FIG6_PANELS.values() for line in _papers(panel, papers, steps)],
        "public": list(_public(snapshot)),
        "steps": list(steps),
    }
    return json.dumps(content, separators=(",", ":")).replace("<", "\\u003c")


def _protocol(comparison: Comparison) -> dict[str, Any]:
    recipe = RECIPES[comparison.dataset][comparison.recipe]
    chance = plan().chance_error.get(comparison.dataset)
    return {
        "id": comparison.slug,
        "title": comparison.title,
        "steps": recipe.steps,
        "drops": list(recipe.drops),
        "top": paper.FIG6_TOP if comparison == CIFAR else 100,
        "chance": chance,
    }


def _runs(snapshot: Snapshot, slugs: Sequence[str], steps: Steps) -> dict[str, Any]:
    """The runs that count. Texts and steps that many runs share stand once, and runs have their places."""
    runs = snapshot.results.to_dict("records")
    curves = _thinned(snapshot.history)
    records = [_record(run) for run in runs]
    fields = {name: list(dict.fromkeys(record[name] for record in records)) for name in (records[0] if runs else ())}
    places = [[texts.index(record[name]) for name, texts in fields.items()] for record in records]
    shown = [_run(run, curves.get(run["run"]), slugs, steps) for run in runs]
    return {
        "fields": list(fields.items()),
        "runs": [run | {"record": record} for run, record in zip(shown, places, strict=True)],
    }


def _thinned(history: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """The evaluations of each run, from its last one back; beyond `MOST_POINTS` every second, third, ... of them."""
    every = max(1, math.ceil(2 * len(history) / MOST_POINTS))
    return {str(run): rows.iloc[::-1].iloc[::every].iloc[::-1] for run, rows in history.groupby("run")}


def _run(run: dict[Hashable, Any], rows: pd.DataFrame | None, slugs: Sequence[str], steps: Steps) -> dict[str, Any]:
    """One run: what names it, and its curves over steps that many runs share, if its protocol can be chosen."""
    place = _index(slugs, f"{run['dataset']}-{run['recipe']}")
    return {
        "run": run["run"],
        "p": place,
        "depth": int(run["depth"]),
        "kind": kind((run["depth"], run["shortcut"])),
        "seed": int(run["seed"]),
        **({} if rows is None or place < 0 else {"steps": _place(rows["step"], steps), **_curve(rows)}),
    }


def _index(slugs: Sequence[str], slug: str) -> int:
    return slugs.index(slug) if slug in slugs else -1


def _record(run: dict[Hashable, Any]) -> dict[str, str]:
    """What a reader sees of a run: errors as counts, how it was computed, how to repeat it; empty where unknown."""
    arguments = _arguments(run["argv"])
    found = {
        "test errors": f"{run['test/wrong']:,.0f} of {run['test/seen']:,.0f} ({run['test_error']:.2f} %)",
        "training error at the end": f"{run['train_error']:.2f} %",
        "commit": short(run["commit"]) if isinstance(run["commit"], str) else "unknown",
        "device": str(run["device"]),
        "devices": f"{run['world_size']:.0f}",
        "precision": str(run["precision"]),
        "torch": str(run["torch"]),
        "started": str(run["started"])[:16],
        "time": duration(run["hours"]),
        "data": short(run["data_fingerprint"]),
        "weights": short(run["weights_sha256"]),
        "plan": short(run["plan"]) if isinstance(run["plan"], str) else "",
        "command": f"python -m study {arguments}" if arguments else "",
        **({"changed": run["changed"]} if isinstance(run.get("changed"), str) else {}),
        "W&B": str(run["url"]) if str(run["url"]).startswith(("https://", "http://")) else "",
    }
    return {name: "" if text in ("nan", "nan %") else text for name, text in found.items()}


def _arguments(argv: Any) -> str:
    """The recorded arguments as a command line, without the machine's paths; nothing where none are recorded."""
    try:
        return " ".join(map(str, json.loads(shorten(argv))))
    except (TypeError, ValueError):
        return ""


def _place(found: Iterable[float], steps: Steps) -> int:
    """The place of the steps of a curve among those of all curves."""
    return steps.setdefault(tuple(int(step) for step in found), len(steps))


def _curve(rows: pd.DataFrame) -> dict[str, list[int | None]]:
    errors = {"test": TEST_ERROR, "train": TRAIN_ERROR}
    return {key: _hundredths(rows[name]) for key, name in errors.items()}


def _hundredths(values: Iterable[float]) -> list[int | None]:
    """Errors in hundredths of a percent, which take less room than decimals."""
    return [None if math.isnan(value) else round(100 * float(value)) for value in values]


def _papers(panel: paper.CurvePanel, protocol: int, steps: Steps) -> Iterable[dict[str, Any]]:
    """The paper's digitised curves of one panel, thinned to what a screen shows."""
    _, shortcut, file = panel
    for (label, split), rows in paper.curves(file).groupby(["net", "split"]):
        depth = int(str(label).rsplit("-", 1)[1])
        points = rows.iloc[:: max(1, len(rows) // 64)]
        curve = {"steps": _place(points["step"], steps), "error": _hundredths(points["error"])}
        yield {"p": protocol, "kind": kind((depth, shortcut)), "depth": depth, "split": split, **curve}


def _public(snapshot: Snapshot) -> Iterable[dict[str, Any]]:
    """The errors of public networks at the end of their training."""
    if snapshot.public.networks.empty:
        return
    e: Evidence = public_evidence(snapshot.public)
    for net in e.results.to_dict("records"):
        ends = {split: round(float(net[f"{split}_error"]), 2) for split in ("test", "train")}
        which = {"kind": kind((net["depth"], net["shortcut"])), "depth": int(net["depth"])}
        yield {"of": net["repository"], **which, **ends}
