"""Nothing recorded is lost: recalibrated averages, ensembles and failures reach the snapshot and the tables."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from reports.gathering import snapshot
from reports.gathering.add import add
from reports.gathering.gather import gather
from reports.gathering.snapshot import Snapshot
from reports.gathering.tables import RUN_COLUMNS
from reports.judging.claim import Finding
from reports.judging.claims import CLAIMS, judge_all
from reports.judging.comparison import CIFAR, IMAGENET
from reports.judging.ensembles import Ensemble, ensembles
from reports.judging.evidence import Evidence
from reports.tables import cifar, imagenet
from reports.tables.table import Table, text
from study.spec import Spec
from tests.records import write_run
from tests.support import SNAPSHOT

WHOLE = snapshot.read(SNAPSHOT)
DEEP = ("imagenet-101-B-paper-s0", "imagenet-152-B-paper-s0", "imagenet-152-B-paper-s1")


def rows(table: Table) -> dict[str, dict[str, str]]:
    return {text(row[0]): dict(zip(table.columns[1:], map(text, row[1:]), strict=True)) for row in table.rows}


def with_ensembles(*found: tuple[tuple[str, ...], float]) -> pd.DataFrame:
    """The synthetic results, with ensembles noted in the rows of their members as `study test` does."""
    runs = WHOLE.results.copy()
    for members, error in found:
        mine = runs["run"].isin(members)
        runs.loc[mine, ["ensemble/top1_error", "ensemble/top5_error"]] = 20.0, error
        runs.loc[mine, "ensemble/members"] = json.dumps(members)
    return runs


def c20b(results: pd.DataFrame) -> Finding:
    claim = next(claim for claim in CLAIMS if claim.id == "C20b")
    ((_, finding),) = judge_all(Evidence(results, IMAGENET), among=[claim])
    return finding


def test_what_study_test_adds_is_gathered_written_read_and_added(tmp_path: Path) -> None:
    """True averages of a run on digits, and an ensemble; a snapshot from before that has the columns, empty."""
    record = write_run(tmp_path / "runs", Spec("digits", 20, "A", "mini", 0), 1.0, 2.0)
    before = gather(tmp_path / "runs")
    record.add({"single-recalibrated/top1_error": 1.9, "ensemble/top5_error": 4.0, "ensemble/members": ["a", "b, c"]})
    snapshot.write(gather(tmp_path / "runs"), tmp_path / "out")
    given = snapshot.read(tmp_path / "out")
    for found in (given, add(before, given)[0]):
        (run,) = found.runs.to_dict("records")
        assert (run["single-recalibrated/top1_error"], run["ensemble/top5_error"]) == (1.9, 4.0)
        assert json.loads(run["ensemble/members"]) == ["a", "b, c"]
        assert pd.isna(run["single/top1_error"]) and pd.isna(run["ensemble-recalibrated/members"])


def test_an_older_snapshot_lacks_columns_and_is_read(tmp_path: Path) -> None:
    lost = ["single/top1_error", "ensemble/members", "plan"]
    snapshot.write(replace(WHOLE, runs=WHOLE.runs.drop(columns=lost)), tmp_path)
    assert set(lost).isdisjoint((tmp_path / "runs.csv").read_text().splitlines()[0].split(","))
    read = snapshot.read(tmp_path)
    assert list(read.runs.columns) == RUN_COLUMNS and read.runs[lost].isna().all(axis=None)


def test_an_ensemble_is_one_row_of_table_5_though_each_member_has_it() -> None:
    results = with_ensembles((DEEP, 3.9))
    assert ensembles(Evidence(results, IMAGENET)) == [Ensemble(DEEP, "running", 20.0, 3.9)]
    five = imagenet.table5(Evidence(results, IMAGENET))
    assert rows(five)[f"{' + '.join(DEEP)}, running averages"]["ours (validation)"] == "3.90"
    assert len(five.rows) == 6 + 1 and len(imagenet.table5(Evidence(WHOLE.results, IMAGENET)).rows) == 6


@pytest.mark.parametrize(
    ("found", "verdict"),
    [
        ([(DEEP, 3.9)], "supported"),
        ([(DEEP, 4.9)], "contradicted"),
        ([(DEEP[:2], 3.9), ((*DEEP[2:], "imagenet-50-B-paper-s0", "imagenet-50-B-paper-s1"), 4.9)], "contradicted"),
        ([((*DEEP, "resnet50-0676ba61.pth"), 3.9)], "missing"),
        ([((*DEEP, "imagenet-34-B-paper-s0"), 3.9)], "missing"),
        ([], "missing"),
    ],
)
def test_the_largest_ensemble_of_our_own_named_nets_decides(
    found: list[tuple[tuple[str, ...], float]], verdict: str
) -> None:
    assert c20b(with_ensembles(*found)).verdict == verdict


def test_tables_have_true_averages_beside_running_ones() -> None:
    results = WHOLE.results.copy()
    results["single-recalibrated/top1_error"] = results["test_error"] - 0.25
    results["10crop-recalibrated/top1_error"] = results["10crop/top1_error"] - 0.25
    results.loc[results["seed"] > 0, "single/top1_error"] = results["test_error"] + 0.1
    both, none = (rows(cifar.averages_table(Evidence(runs, CIFAR))) for runs in (results, WHOLE.results))
    mean = CIFAR.of(results).query("depth == 20 and shortcut == 'A' and seed > 0")["test_error"].mean()
    running, true = both["ResNet-20"].values()
    assert running.startswith(f"{mean + 0.1:.2f} ±") and true.startswith(f"{mean - 0.25:.2f} ±")
    assert "(n = 4)" in true and not none, "runs that were tested by one of them only are left out"
    for table in (imagenet.table2, imagenet.table3):
        ours, without = (table(Evidence(runs, IMAGENET)) for runs in (results, WHOLE.results))
        assert len([name for name in rows(ours) if "true averages" in name]) >= 2
        assert not any("true averages" in name for name in rows(without))
        assert "Rows with true averages" in ours.caption and "Rows with true averages" not in without.caption


def diverged(whole: Snapshot, name: str, seeds: range) -> Snapshot:
    runs = whole.runs.copy()
    lost = runs["run"].isin([f"{name}-s{seed}" for seed in seeds])
    runs.loc[lost, ["counts", "reason"]] = False, "diverged: its loss is not a number at step 5,000"
    return replace(whole, runs=runs)


def test_tables_count_failed_runs_and_do_not_average_them() -> None:
    two = diverged(WHOLE, "cifar10-20-A-paper", range(2))
    kept = CIFAR.of(two.results).query("depth == 20 and shortcut == 'A'")["test_error"]
    cell = rows(cifar.table6(Evidence.of(two, CIFAR)))["ResNet-20"][cifar.OURS_TEST]
    assert len(kept) == 3 and cell == f"{', '.join(f'{error:.2f}' for error in kept)} (n = 5, 2 failed)"
    all_five = diverged(WHOLE, "cifar10-110-none-paper", range(5))
    assert rows(cifar.table6(Evidence.of(all_five, CIFAR)))["plain-110"][cifar.OURS_TEST] == "failed (n = 5, 5 failed)"


def test_a_run_that_never_left_its_warm_up_is_not_averaged() -> None:
    runs = WHOLE.runs.copy()
    stuck = runs["run"].eq("cifar10-110-A-paper-s3")
    runs.loc[stuck, "warm_until"] = None
    runs.loc[stuck, "test/top1_error"] = 88.0
    cell = rows(cifar.table6(Evidence.of(replace(WHOLE, runs=runs), CIFAR)))["ResNet-110"][cifar.OURS_TEST]
    assert cell.endswith("n = 5, 1 failed)") and float(cell.split("(")[1].split(" ")[0]) < 10
