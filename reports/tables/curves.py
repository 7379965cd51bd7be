"""How far our curves lie from the paper's Fig. 6, in each stage of the learning rate."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd

from reports.judging.comparison import Net
from reports.judging.evidence import Evidence
from reports.paper import numbers as paper
from reports.tables.formats import NONE, linked, percent
from reports.tables.table import Table, TableCell, numbers
from study.recipes import RECIPES
from study.recording.evaluation import TEST_ERROR, TRAIN_ERROR

STAGES = ("until the first drop", "after the first drop", "after the second drop")
COLUMNS = ("network", "error", *(f"{stage}: {what}" for stage in STAGES for what in ("mean", "largest")))
ERRORS = {"test": TEST_ERROR, "train": TRAIN_ERROR}
SAID = {"test": "test", "train": "training"}
CAPTION = (
    "Distance in points between the curves of our runs and the paper's, which is interpolated at our evaluations, over "
    "all runs of a network. Fig. 6 is digitised to 0.08 points and cut off at 20 %: only what lies below is compared."
)


def distance_table(e: Evidence) -> Table:
    """A row for each network of Fig. 6 that has runs by the paper's recipe, and for each of its two errors."""
    rows = [row for result in paper.CIFAR10 for row in _rows(e, (result.depth, result.shortcut))]
    return Table("Distance from the paper's curves", COLUMNS, rows, CAPTION, numbers(COLUMNS, 1), "distances")


def _rows(e: Evidence, net: Net) -> Iterator[tuple[TableCell, ...]]:
    runs = e.net(net).sort_values("seed")
    evaluations = [e.evaluations(str(run)).sort_values("step") for run in runs["run"]]
    for split, metric in ERRORS.items():
        theirs = paper.error_curve(paper.FIG6_PANELS.values(), *net, split)
        apart = [distances(each["step"], each[metric], theirs) for each in evaluations]
        if len(theirs) and apart:
            yield linked(e.title(net), runs), SAID[split], *_stages(e, pd.concat(apart))


def distances(steps: pd.Series[Any], errors: pd.Series[Any], theirs: pd.DataFrame) -> pd.Series[float]:
    """By step, how far errors are from the paper's curve, in points; only where it has been digitised."""
    x, y = steps.to_numpy(float), errors.to_numpy(float)
    within = (x >= theirs["step"].min()) & (x <= theirs["step"].max())
    expected = np.interp(x[within], theirs["step"], theirs["error"])
    return pd.Series(np.abs(y[within] - expected), index=x[within]).dropna()


def _stages(e: Evidence, apart: pd.Series[float]) -> Iterator[str]:
    """The mean and the largest distance of each stage; an evaluation at a drop still belongs to the stage before."""
    recipe = RECIPES[e.comparison.dataset][e.comparison.recipe]
    for start, end in pairwise((0, *recipe.drops, recipe.steps)):
        stage = apart[(apart.index > start) & (apart.index <= end)]
        yield from (percent(stage.mean()), percent(stage.max())) if len(stage) else (NONE, NONE)
