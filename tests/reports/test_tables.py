"""How numbers are written in tables, and what the tables of cost and commands add up to."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from reports.gathering import snapshot
from reports.judging.comparison import CIFAR
from reports.judging.evidence import Evidence
from reports.paper import numbers as paper
from reports.tables import formats
from reports.tables.cost import COLUMNS, cost_table
from reports.tables.curves import distance_table
from reports.tables.sources import RUN_COLUMNS, run_table
from reports.tables.table import text
from tests.support import SNAPSHOT


def series(*values: float) -> pd.Series[float]:
    return pd.Series(values, dtype=float)


@pytest.mark.parametrize(
    ("shown", "says"),
    [
        (formats.percent(8.751), "8.75"),
        (formats.percent(None), "–"),
        (formats.spread(series(8.0, 9.0)), "8.00, 9.00 (n = 2)"),
        (formats.spread(series(8.0, 9.0, 8.0, 9.0)), "8.50 ± 0.58 (n = 4)"),
        (formats.spread(series(8.0, math.nan)), "8.00 (n = 1)"),
        (formats.spread(series()), "–"),
        (formats.best(series(6.61, 6.43)), "6.61, 6.43 (n = 2)"),
        (formats.best(series(6.61, 6.43, 6.61, 6.43)), "6.43 (6.52 ± 0.10, n = 4)"),
        (formats.span([7.3, 7.1, 7.2]), "7.10 to 7.30 (n = 3)"),
        (formats.span([7.3]), "7.30"),
        (formats.span([]), "–"),
        (formats.spread(series(8.0, 9.0), 3), "8.00, 9.00 (n = 5, 3 failed)"),
        (formats.spread(series(8.0), 1), "8.00 (n = 2, 1 failed)"),
        (formats.spread(series(), 2), "failed (n = 2, 2 failed)"),
        (formats.best(series(6.43, 6.61), 1), "6.43, 6.61 (n = 3, 1 failed)"),
        (formats.best(series(6.43)), "6.43 (n = 1)"),
        (formats.millions(269_722), "0.27 M"),
        (formats.duration(21 / 3600), "21 s"),
        (formats.duration(0.205), "12.3 min"),
        (formats.duration(4.5), "4.5 h"),
        (formats.effect(1.2, 0.8, 1.6), "+1.20 (+0.80 to +1.60)"),
        (formats.effect(-1.2, math.nan, math.nan), "-1.20"),
        (formats.effect(math.nan, math.nan, math.nan), "–"),
        (formats.p_value(0.0123), "0.012"),
        (formats.p_value(0.0002), "< 0.001"),
        (formats.p_value(math.nan), "–"),
        (formats.short("0123456789abc"), "0123456789"),
    ],
)
def test_numbers_are_written_as_the_tables_say(shown: str, says: str) -> None:
    assert shown == says


def test_device_hours_count_every_device_of_every_run() -> None:
    """Two runs of three hours, one on one device and one on two, cost nine device hours."""
    results = snapshot.read(SNAPSHOT).results
    cell = results[results["run"].str.startswith("cifar10-20-A-paper-")].head(2)
    (row,) = cost_table(cell.assign(hours=3.0, world_size=[1, 2])).rows
    shown = dict(zip(COLUMNS, map(text, row), strict=True))
    assert shown["cell, all seeds"] == "cifar10-20-A-paper" and shown["runs"] == "2"
    assert shown["time per run"] == "3.0 h" and shown["device hours"] == "9.00"


def test_a_commit_that_nobody_could_compare_with_its_code_is_not_called_modified(tmp_path: Path) -> None:
    """Of four runs: clean, modified, of a copied tree with STUDY_COMMIT, of one without. Written, and read back."""
    of_fixture = snapshot.read(SNAPSHOT)
    four = of_fixture.counting.sort_values(["dataset", "recipe", "shortcut", "depth", "seed"]).head(4)
    commits = ["a" * 40, "b" * 40, "c" * 40, None]
    runs = four.assign(commit=commits, dirty=pd.Series([False, True, None, None], four.index, dtype=object))
    snapshot.write(replace(of_fixture, runs=runs), tmp_path)
    shown = [text(row[RUN_COLUMNS.index("commit")]) for row in run_table(snapshot.read(tmp_path).runs).rows]
    assert shown == ["a" * 10, "b" * 10 + " (modified)", "c" * 10 + " (not checked)", "unknown"]


def test_distances_from_the_papers_curves_are_taken_stage_by_stage() -> None:
    net, offsets = (20, "A"), {16_000: 0.25, 32_000: 0.75, 32_500: 0.5, 40_000: -1.5, 64_000: 2.0}
    theirs = paper.error_curve(paper.FIG6_PANELS.values(), *net, "test")
    errors = {step: np.interp(step, theirs["step"], theirs["error"]) + apart for step, apart in offsets.items()}
    errors[1_000] = 99.0  # above the digitised part, and left out
    history = pd.DataFrame({"run": "cifar10-20-A-paper-s0", "step": errors.keys(), "test/top1_error": errors.values()})
    history["train/top1_error"] = math.nan
    runs = snapshot.read(SNAPSHOT).results.query("run == 'cifar10-20-A-paper-s0'")
    test, train = distance_table(Evidence(runs, CIFAR, history=history)).rows
    assert [text(cell) for cell in test] == ["ResNet-20", "test", "0.50", "0.75", "1.00", "1.50", "2.00", "2.00"]
    assert [*train[1:]] == ["training", *["–"] * 6], "nothing was evaluated"
