"""The report's files: tables, coverage, links, names from elsewhere; test_browser opens the page."""

from __future__ import annotations

import csv
import io
import json
import shutil
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from reports.gathering import snapshot
from reports.judging.claims import CLAIMS
from reports.judging.comparison import CIFAR, IMAGENET, Comparison
from reports.judging.evidence import Evidence
from reports.page import render
from reports.page.sections import report
from reports.tables import cifar, imagenet
from reports.tables.coverage import coverage, next_command
from reports.tables.table import Table, markdown, text, to_csv, to_tex
from study.spec import Spec
from tests.support import RESULTS, SNAPSHOT, run


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The whole report of the synthetic snapshot."""
    folder = tmp_path_factory.mktemp("report")
    render.build(report(snapshot.read(SNAPSHOT)), folder)
    return folder


def test_synthetic_data_is_called_so_where_it_stands(built: Path) -> None:
    for name in ("REPORT.md", "report.html"):
        assert "Synthetic data" in (built / name).read_text()
        assert "Synthetic data" not in (RESULTS / name).read_text()


@pytest.mark.process
def test_two_builds_are_byte_identical_and_check_sees_a_change(built: Path, tmp_path: Path) -> None:
    again = tmp_path / "again"
    shutil.copytree(SNAPSHOT, again)
    assert run("reports", "build", f"--out={again}").returncode == 0
    for path in (p for p in built.rglob("*") if p.is_file()):
        assert path.read_bytes() == (again / path.relative_to(built)).read_bytes(), path
    assert run("reports", "build", "--check", f"--out={again}").returncode == 0
    (again / "REPORT.md").write_text((again / "REPORT.md").read_text().replace("8.", "7.", 1))
    done = run("reports", "build", "--check", f"--out={again}")
    assert done.returncode == 1 and "REPORT.md differs from what its snapshot gives" in done.stdout


@pytest.fixture(scope="module")
def results() -> pd.DataFrame:
    return snapshot.read(SNAPSHOT).results


def rows(table: Table) -> dict[str, list[str]]:
    return {text(row[0]): [text(cell) for cell in row[1:]] for row in table.rows}


def test_table_6_is_the_papers_with_ours_beside_it(results: pd.DataFrame) -> None:
    six = cifar.table6(Evidence(results, CIFAR))
    found, runs = rows(six), CIFAR.of(results)
    twenty = runs[(runs["depth"] == 20) & (runs["shortcut"] == "A")]["test_error"]
    assert found["ResNet-20"][1:3] == [f"{twenty.mean():.2f} ± {twenty.std():.2f} (n = 5)", "8.75"]
    deep = runs[(runs["depth"] == 110) & (runs["shortcut"] == "A")]["test_error"]
    assert found["ResNet-110"][1] == f"{deep.min():.2f} ({deep.mean():.2f} ± {deep.std():.2f}, n = 5)"
    assert found["ResNet-110"][2] == "6.43 (6.61 ± 0.16)" and "7.54 (7.72 ± 0.16)" in str(cifar.methods_table().rows)
    assert found["plain-56"][2] == "13.26" and len(six.rows) == 11
    assert found["ResNet-110"][4] == "5.89 to 6.73 (n = 7)" and found["plain-56"][4] == "13.07"
    assert {len(row) for row in six.rows} == {len(six.columns)}


def test_a_cell_without_runs_is_empty_and_has_its_command(results: pd.DataFrame) -> None:
    e = Evidence(results[results["depth"] != 44], CIFAR)
    assert rows(cifar.table6(e))["ResNet-44"][1:3] == ["–", "7.17"]
    assert next_command(e, (44, "A")) == (
        "python -m study train --dataset=cifar10 --depth=44 --shortcut=A --recipe=paper --seed=0"
    )
    assert next_command(e, (20, "A")).endswith("--seed=5"), "seeds 0 to 4 have runs"


@pytest.mark.parametrize("comparison", [CIFAR, IMAGENET], ids=lambda comparison: comparison.dataset)
def test_the_commands_of_empty_cells_name_cells_that_there_are(results: pd.DataFrame, comparison: Comparison) -> None:
    e = Evidence(results.head(0), comparison)
    assert len(comparison.networks) > 0
    for net in comparison.networks:
        flags = dict(flag.removeprefix("--").split("=") for flag in next_command(e, net).split()[4:])
        cell = Spec(**flags | {"depth": int(flags["depth"]), "seed": int(flags["seed"])})  # type: ignore[arg-type]
        assert cell.title == e.title(net) and (cell.dataset, cell.recipe) == (comparison.dataset, comparison.recipe)


def test_coverage_counts_seeds_of_those_that_the_plan_has(results: pd.DataFrame) -> None:
    whole = snapshot.read(SNAPSHOT)
    found = coverage(replace(whole, runs=whole.runs[whole.runs["run"] != "cifar10-56-A-paper-s4"]), [CIFAR])
    cells = dict(zip(found.nets, found.rows[0].cells, strict=True))
    assert cells["ResNet-20"] == ("5 of 5", "all", "") and cells["ResNet-56"][:2] == ("4 of 5", "some")
    assert cells["ResNet-56"].command.endswith("--depth=56 --shortcut=A --recipe=paper --seed=4")
    (row,) = coverage(replace(whole, runs=whole.runs.head(0)), [IMAGENET]).rows
    assert {cell.done for cell in row.cells} == {"none"} and all("of 3" in cell.text for cell in row.cells)


def test_networks_of_table_1_without_an_exhibit_get_the_shapes_with_ours_alone() -> None:
    """No CIFAR claim, depth or number of the paper is put beside ImageNet networks under a recipe of our own."""
    whole = snapshot.read(SNAPSHOT)
    small = whole.runs[(whole.runs["dataset"] == "imagenet") & whole.runs["depth"].isin([18, 34])]
    found = report(replace(whole, runs=small.assign(recipe="smoke")))
    part = next(part for part in found.parts if part.title == "ImageNet, scaled down (smoke)")
    assert not found.judged[Comparison("imagenet", "smoke")]
    assert [table.title for table in part.tables] == ["Errors on imagenet, recipe smoke"]
    assert list(rows(part.tables[0])) == [
        "plain-18",
        "plain-34",
        "ResNet-18 A",
        "ResNet-34 A",
        "ResNet-34 B",
        "ResNet-34 C",
    ]
    assert "plain-34" in part.drawings[0].alternative and "ResNet-18 A" in part.drawings[0].alternative


def test_imagenet_tables_keep_protocols_apart(results: pd.DataFrame) -> None:
    e = Evidence(results, IMAGENET)
    runs = e.net((152, "B"))
    for table, protocol, theirs in ((imagenet.table3(e), "10crop", "21.43"), (imagenet.table4(e), "dense", "19.38")):
        ours = runs[f"{protocol}/top1_error"].astype(float)
        assert rows(table)["ResNet-152"][:2] == [f"{ours.mean():.2f} ± {ours.std():.2f} (n = 5)", theirs]
    assert rows(imagenet.table2(e))["34 layers"][1::2] == ["28.54", "25.03"]
    assert rows(imagenet.table1())["ResNet-50"] == ["25,557,032", "3.858", "3.8"]


def test_every_file_of_a_table_holds_the_same(built: Path, results: pd.DataFrame) -> None:
    six = cifar.table6(Evidence(results, CIFAR))
    lines = list(csv.reader(io.StringIO(to_csv(six))))
    assert lines == [list(six.columns), *([text(cell) for cell in row] for row in six.rows)]
    assert (built / "tables" / "table6.csv").read_text() == to_csv(six)
    tex = to_tex(six)
    assert (
        tex.count(r" \\") == len(six.rows) + 1
        and r"$\pm$" in tex
        and "toprule" in tex
        and "%" not in tex.replace("\\%", "")[2:].split("\n", 1)[1]
    )
    assert markdown(six).count("\n") == len(six.rows) + 1


def test_names_from_elsewhere_are_shown_as_text() -> None:
    evil, whole = "</script><script>alert(1)</script>", snapshot.read(SNAPSHOT)
    runs, history = whole.runs.copy(), whole.history.copy()
    history["run"] = history["run"].where(history["run"] != runs.loc[0, "run"], evil)
    runs.loc[0, ["run", "url", "device"]] = [evil, "javascript:alert(1)", 'x" onload="alert(1)']
    page = render.texts(report(snapshot.Snapshot(runs, history, whole.responses)))["report.html"]
    assert "&lt;script" in page and "<script>alert" not in page and page.count("</script>") == 2
    assert "javascript:" not in page and 'x" onload' not in page


def test_no_path_of_a_machine_is_in_the_page() -> None:
    whole = snapshot.read(SNAPSHOT)
    runs = whole.runs.assign(argv='["train", "--depth=20", "--data=/home/me/data"]')
    page = render.texts(report(replace(whole, runs=runs)))["report.html"]
    assert "python -m study train --depth=20 --data=data" in page and "/home/me" not in page


def test_a_wandb_url_is_linked() -> None:
    whole = snapshot.read(SNAPSHOT)
    runs = whole.runs.copy()
    runs["url"] = runs["url"].astype(object)
    runs.loc[0, "url"] = "https://wandb.ai/e/p/runs/1"
    page = render.texts(report(snapshot.Snapshot(runs, whole.history, whole.responses)))["report.html"]
    assert '<a href="https://wandb.ai/e/p/runs/1">cifar10-20-none-paper-s0</a>' in page


def test_claims_rest_on_runs_that_are_there(built: Path) -> None:
    claims = json.loads((built / "claims.json").read_text())
    known = set(snapshot.read(SNAPSHOT).runs["run"])
    assert {c["id"] for c in claims} == {claim.id for claim in CLAIMS}
    assert all(set(c["runs"]) <= known for c in claims)
    assert all(c["runs"] or c["settled"] is not None or c["verdict"] == "missing" for c in claims)
