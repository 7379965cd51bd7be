"""A trained network made deeper and trained on (`study deepen`): does it keep the copy that depth could always find?"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from statistics import mean

import pandas as pd

from reports.figures.series import Label, Mark, Panel, Series
from reports.figures.style import NARROW, Drawing
from reports.gathering.snapshot import Snapshot
from reports.judging.comparison import DATASETS, Net
from study.recipes import FROM_COPY, RECIPES, starts_from_copy
from study.spec import Spec, title

SPLITS = {"train": "training error (%)", "test": "test error (%)"}


@dataclass(frozen=True)
class Arm:
    """The runs of one way to a network.

    Attributes:
        net: Its depth and shortcut.
        said: The way in words.
        runs: The names of the runs.
        mark: How their lines are drawn.
    """

    net: Net
    said: str
    runs: tuple[str, ...]
    mark: Mark = "line"


def deepened(snapshot: Snapshot, dataset: str) -> Drawing | None:
    """Errors against step of the copy, of as many layers from scratch, and of the shallow network trained on as long.

    None if no network of this data set was deepened.
    """
    arms = {kind: list(_arms(snapshot.results, dataset, kind)) for kind in ("none", "A")}
    shown = {kind: found for kind, found in arms.items() if any(arm.runs for arm in found)}
    if not shown:
        return None
    panels = [_panel(snapshot.history, kind, found, split) for kind, found in shown.items() for split in SPLITS]
    errors = snapshot.results.set_index("run")["train_error"]
    said = [
        ", ".join(f"{arm.said} {mean(errors[list(arm.runs)]):.1f} %" for arm in found if arm.runs)
        for found in shown.values()
    ]
    caption = (
        "(a) a trained network made deeper by blocks that return their input, trained on; (b) as many layers from "
        f"initial weights under the same schedule; (c) the shallow network trained on as long. "
        f"{DATASETS.get(dataset, dataset)}, scaled down; a line per run."
    )
    title, alternative = f"Training error at the end: {'; '.join(said)}", ". ".join(said)
    return Drawing(f"deepened-{dataset}", title, caption, alternative, tuple(panels), 4, NARROW)


def _arms(results: pd.DataFrame, dataset: str, shortcut: str) -> Iterator[Arm]:
    mine = results[(results["dataset"] == dataset) & (results["shortcut"] == shortcut)]
    copies = mine[mine["recipe"].isin(FROM_COPY.get(dataset, ())) & mine["parent"].notna()]
    parents = copies["parent"].map(lambda name: Spec.parse(name).depth)
    for depth, recipe in sorted({*zip(copies["depth"], copies["recipe"], strict=True)}, reverse=True):
        same = copies[(copies["depth"] == depth) & (copies["recipe"] == recipe)]
        for shallow in sorted({*parents[same.index]}):
            runs = tuple(same[parents[same.index] == shallow]["run"])
            name, of = title(dataset, int(depth), shortcut), title(dataset, int(shallow), shortcut)
            if depth == shallow:
                yield Arm((int(depth), shortcut), f"(c) {name} trained on", runs)
                continue
            yield Arm((int(depth), shortcut), f"(a) {name} as a copy of {of}", runs)
            scratch = mine[(mine["depth"] == depth) & mine["recipe"].isin(_same_schedule(dataset, recipe))]
            yield Arm((int(depth), shortcut), f"(b) {name} from scratch", tuple(scratch["run"]), "dashes")


def _same_schedule(dataset: str, recipe: str) -> list[str]:
    """The recipes that train from initial weights in the same way."""
    return [
        name
        for name, other in RECIPES[dataset].items()
        if other == RECIPES[dataset][recipe] and not starts_from_copy(dataset, name)
    ]


def _panel(history: pd.DataFrame, shortcut: str, arms: list[Arm], split: str) -> Panel:
    series, labels = [], []
    for arm in arms:
        lines = [_line(history, arm, run, split) for run in arm.runs]
        series += lines
        if lines:
            ends = [line.y[-1] for line in lines]
            labels.append(Label(arm.said[:3], arm.net, mean(ends), lines[0].x[-1], (min(ends), max(ends))))
    steps = max((line.x[-1] for line in series), default=1.0)
    ticks = tuple((steps * share / 2, f"{steps * share / 2:,.0f}") for share in range(3))
    top = 1.05 * max((y for line in series for y in line.y[1:]), default=1.0)
    kind = "plain" if shortcut == "none" else "residual"
    return Panel(f"{kind}: {SPLITS[split]}", tuple(series), "step", ticks, (0, steps), (0, top), tuple(labels))


def _line(history: pd.DataFrame, arm: Arm, run: str, split: str) -> Series:
    mine = history[history["run"] == run].sort_values("step")
    x, y = (tuple(mine[name].astype(float)) for name in ("step", f"{split}/top1_error"))
    return Series(arm.net, f"{arm.said}, {run.rpartition('-')[2]}", x, y, mark=arm.mark)
