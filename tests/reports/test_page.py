"""The report as people meet it: the page in a real browser, the tables, the links, the runs left out."""

from __future__ import annotations

import csv
import io
import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, sync_playwright

from reports.gathering import snapshot
from reports.judging.claims import CLAIMS
from reports.judging.evidence import CIFAR, IMAGENET, Comparison, Evidence
from reports.page import render, sections
from reports.tables import cifar, imagenet, sources
from reports.tables.table import Table, markdown, text, to_csv, to_tex
from study.spec import Spec
from tests.support import RESULTS, ROOT, run

SNAPSHOT = ROOT / "tests" / "fixtures" / "snapshot"


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The whole report of the synthetic snapshot."""
    folder = tmp_path_factory.mktemp("report")
    render.build(snapshot.read(SNAPSHOT), folder)
    return folder


@pytest.fixture(scope="module")
def tab(built: Path) -> Iterator[tuple[Page, list[str]]]:
    """report.html from disk in Chromium, and what the browser complained of."""
    browser = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if browser is None:
        pytest.skip("no Chromium on this machine: install Debian's package chromium")
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=browser, args=["--no-sandbox", "--disable-gpu"])
        page, problems = chromium.new_page(), []
        page.on("console", lambda message: problems.append(message.text))
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on("request", lambda r: None if r.url.startswith(("file:", "data:")) else problems.append(r.url))
        page.on("requestfailed", lambda request: problems.append(request.url))
        page.goto((built / "report.html").as_uri())
        yield page, problems
        chromium.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1600])
def test_the_page_works_from_disk(built: Path, tab: tuple[Page, list[str]], width: int, scheme: Any) -> None:
    page, problems = tab
    page.set_viewport_size({"width": width, "height": 900})
    page.emulate_media(color_scheme=scheme)
    figures = len(list((built / "figures").glob("*.svg")))
    assert page.locator("figure .panels").count() == figures > 6
    assert page.evaluate("document.documentElement.scrollWidth") <= width, "it does not overflow"
    serious = [v for v in Axe().run(page).response["violations"] if v["impact"] in ("serious", "critical")]
    assert not serious, [(v["id"], v["nodes"][0]["html"][:200]) for v in serious]
    assert not problems


def test_ids_are_unique_and_every_link_leads_somewhere(tab: tuple[Page, list[str]]) -> None:
    page, _ = tab
    ids = page.evaluate("[...document.querySelectorAll('[id]')].map(e => e.id)")
    links = page.evaluate("[...document.querySelectorAll('a[href^=\"#\"]')].map(e => e.getAttribute('href').slice(1))")
    assert len(ids) == len(set(ids)) and len(links) > 100 and set(links) <= set(ids)


def test_it_prints(tab: tuple[Page, list[str]]) -> None:
    assert tab[0].pdf()[:5] == b"%PDF-"


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
    assert found["ResNet-110"][2] == "6.43 (6.61 ± 0.16)" and found["Highway 19"][2] == "7.54 (7.72 ± 0.16)"
    assert found["plain-56"][2] == "13.26" and len(six.rows) == 6 + 11
    assert found["ResNet-110"][-1] == "5.89 to 6.73 (n = 7)" and found["plain-56"][-1] == "13.07"
    assert {len(row) for row in six.rows} == {len(six.columns)}


def test_a_cell_without_runs_is_empty_and_has_its_command(results: pd.DataFrame) -> None:
    e = Evidence(results[results["depth"] != 44], CIFAR)
    assert rows(cifar.table6(e))["ResNet-44"][1:3] == ["–", "7.17"]
    command = rows(sources.command_table(e))["ResNet-44"][0]
    assert command == "python -m study train --dataset=cifar10 --depth=44 --shortcut=A --recipe=paper --seed=0"


@pytest.mark.parametrize("comparison", [CIFAR, IMAGENET], ids=lambda comparison: comparison.dataset)
def test_the_commands_of_empty_cells_name_cells_that_there_are(results: pd.DataFrame, comparison: Comparison) -> None:
    commands = rows(sources.command_table(Evidence(results.head(0), comparison)))
    assert len(commands) == len(comparison.networks) > 0
    for name, (command,) in commands.items():
        flags = dict(flag.removeprefix("--").split("=") for flag in command.split()[4:])
        cell = Spec(**flags | {"depth": int(flags["depth"]), "seed": int(flags["seed"])})  # type: ignore[arg-type]
        assert cell.title == name and (cell.dataset, cell.recipe) == (comparison.dataset, comparison.recipe)


def test_networks_of_table_1_without_an_exhibit_get_the_shapes_with_ours_alone() -> None:
    """No CIFAR claim, depth or number of the paper is put beside ImageNet networks under a recipe of our own."""
    whole = snapshot.read(SNAPSHOT)
    small = whole.runs[(whole.runs["dataset"] == "imagenet") & whole.runs["depth"].isin([18, 34])]
    small = replace(whole, runs=small.assign(recipe="smoke"))
    parts = {part.title: part for part in sections.sections(small)}
    part = parts["Scaled down: imagenet, recipe smoke"]
    assert not part.findings and [table.title for table in part.tables] == ["Errors on imagenet, recipe smoke"]
    assert list(rows(part.tables[0])) == [
        "plain-18",
        "plain-34",
        "ResNet-18 A",
        "ResNet-34 A",
        "ResNet-34 B",
        "ResNet-34 C",
    ]
    (drawing,) = part.drawings
    assert [len(panel.of("ours")) for panel in drawing.panels] == [10] * 4, "two networks of five seeds"
    assert "plain-34: training" in drawing.alternative and "ResNet-18 A: training" in drawing.alternative


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


def test_names_from_elsewhere_are_shown_as_text(tmp_path: Path) -> None:
    evil, whole = "<script>alert(1)</script>", snapshot.read(SNAPSHOT)
    runs, history = whole.runs.copy(), whole.history.copy()
    history["run"] = history["run"].where(history["run"] != runs.loc[0, "run"], evil)
    runs.loc[0, ["run", "url", "device"]] = [evil, "javascript:alert(1)", 'x" onload="alert(1)']
    files = render.report(snapshot.Snapshot(runs, history, whole.responses))
    for name in ("REPORT.md", "report.html"):
        page = str(files[name])
        assert "&lt;script" in page and "<script" not in page and "javascript:" not in page
        assert 'onload="alert' not in page or name == "REPORT.md"


def test_a_wandb_url_is_linked(tmp_path: Path) -> None:
    whole = snapshot.read(SNAPSHOT)
    runs = whole.runs.copy()
    runs["url"] = runs["url"].astype(object)
    runs.loc[0, "url"] = "https://wandb.ai/e/p/runs/1"
    page = str(render.report(snapshot.Snapshot(runs, whole.history, whole.responses))["report.html"])
    assert '<a href="https://wandb.ai/e/p/runs/1">cifar10-20-none-paper-s0</a>' in page


def test_claims_rest_on_runs_that_are_there(built: Path) -> None:
    claims = json.loads((built / "claims.json").read_text())
    known = set(snapshot.read(SNAPSHOT).runs["run"])
    assert {c["id"] for c in claims} == {claim.id for claim in CLAIMS}
    assert all(set(c["runs"]) <= known for c in claims)
    assert all(c["runs"] or c["settled"] is not None or c["verdict"] == "missing" for c in claims)
