from __future__ import annotations

import json
import math
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from conftest import ROOT, run

from reports import paper, render, snapshot
from reports.claims import CLAIMS, RISE_MARGIN, Finding, judge
from reports.curves import error_curves
from reports.stats import difference, mean_std
from reports.tables import FULL, error_table
from study.recipes import recipe_for
from study.spec import Spec
from study.store import Record

ERRORS = {("none", 20): (0.1, 3.0), ("none", 56): (40.0, 50.0), ("A", 20): (0.0, 1.5), ("A", 56): (0.0, 1.0)}


def write_run(runs: Path, spec: Spec, train: float, test: float, **summary: object) -> Record:
    """A record as a trainer writes it, of a run that never was."""
    record, recipe = Record(runs, spec), recipe_for(spec)
    record.open({"recipe": {}, "data_fingerprint": "d" * 64, "commit": "c" * 40, "dirty": False, "device": "CPU",
                 "world_size": 1, "precision": "32", "versions": {"torch": "2"}, "argv": ["train"]})  # fmt: skip
    for step in recipe.evaluation_steps:
        left = 1 - step / recipe.steps
        row = {
            "step": step,
            "epoch": step / 22,
            "samples": step * recipe.batch,
            "lr": 0.1,
            "images_per_second": 100.0,
            "hours": 0.5,
        }
        for split, error in (("train", train), ("test", test)):
            row |= {
                f"{split}/top1_error": error + 80 * left**4,
                f"{split}/wrong": 1,
                f"{split}/seen": 360,
                f"{split}/loss": 0.5,
            }
        record.append(row)
    record.finish(
        {**row, "parameters": 269_434, "weights_sha256": "w" * 64, **summary}, {"layers": ["stem.bn"], "std": [1.0]}
    )
    record.close()
    return record


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    """Two seeds of four digits cells."""
    for seed in range(2):
        for (shortcut, depth), (train, test) in ERRORS.items():
            write_run(
                tmp_path / "runs", Spec("digits", depth, shortcut, "paper", seed), train + seed / 100, test + seed
            )
    return tmp_path / "runs"


def test_gather_and_build_from_the_snapshot_alone_and_twice_the_same(runs: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert run("reports", "gather", f"--runs={runs}", f"--out={out}").returncode == 0
    shutil.rmtree(runs)
    built = []
    for _ in range(2):
        done = run("reports", "build", f"--out={out}")
        assert done.returncode == 0, done.stderr
        built.append({path.relative_to(out): path.read_bytes() for path in out.rglob("*") if path.is_file()})
    assert built[0] == built[1]
    assert {str(path) for path in built[0]} == {
        "runs.csv", "history.csv.gz", "responses.csv.gz", "claims.json", "REPORT.md", "report.html",
        "figures/fig6-cifar10-paper.svg", "figures/fig6-digits-paper.svg",
    }  # fmt: skip


def test_a_snapshot_is_read_as_it_was_gathered(runs: Path, tmp_path: Path) -> None:
    gathered = snapshot.gather(runs)
    snapshot.write(gathered, tmp_path / "out")
    read = snapshot.read(tmp_path / "out")
    for name in ("runs", "history", "responses"):
        pd.testing.assert_frame_equal(getattr(read, name), getattr(gathered, name), check_dtype=False, check_exact=True)
    snapshot.write(read, tmp_path / "again")
    for file in ("runs.csv", "history.csv.gz"):
        assert (tmp_path / "again" / file).read_bytes() == (tmp_path / "out" / file).read_bytes()


def test_tables_show_ours_beside_the_papers(runs: Path) -> None:
    results = snapshot.gather(runs).results
    rows = {row[0]: row for row in error_table(results, FULL).rows}
    assert rows["ResNet-110"][2:4] == ("–", "6.43 (6.61 ± 0.16)") and rows["plain-56"][3] == "13.26"
    for seed in range(2):
        cifar = results.head(1).assign(
            dataset="cifar10", depth=20, shortcut="A", seed=seed, test_error=8.0 + seed, train_error=0.5
        )
        results = pd.concat([results, cifar])
    rows = {row[0]: row for row in error_table(results, FULL).rows}
    assert rows["ResNet-20"][2:6] == ("8.50 ± 0.71 (n = 2)", "8.75", "0.50 ± 0.00 (n = 2)", "0.65")


def test_the_training_error_is_a_mean_over_the_last_tenths(runs: Path) -> None:
    gathered = snapshot.gather(runs)
    row = gathered.results.set_index("run").loc["digits-56-none-paper-s0"]
    steps = [s for s in recipe_for(Spec("digits", 56, "none")).evaluation_steps if s > round(336 * 54 / 64)]
    assert len(steps) == 10
    assert row["train_error"] == pytest.approx(np.mean([40 + 80 * (1 - s / 336) ** 4 for s in steps]))
    assert row["test_error"] == 50.0, "the last step's"


def results_of(values: dict[tuple[str, int], list[tuple[float, float]]]) -> pd.DataFrame:
    """Results of a group: per cell, (training, test) error of each seed."""
    rows = [
        {"run": f"{s}-{d}-{i}", "depth": d, "shortcut": s, "train_error": train, "test_error": test}
        for (s, d), seeds in values.items()
        for i, (train, test) in enumerate(seeds)
    ]
    return pd.DataFrame(rows, columns=["run", "depth", "shortcut", "train_error", "test_error"])


def seeds(train: float, test: float, n: int = 5) -> list[tuple[float, float]]:
    return [(train + i / 100, test + i / 100) for i in range(n)]


PAPERS = {
    ("none", 20): seeds(1.3, 9.7),
    ("none", 56): seeds(5.8, 13.3),
    ("A", 20): seeds(0.65, 8.75),
    ("A", 56): seeds(0.1, 7.0),
}
REVERSED = {
    ("none", 20): seeds(5.8, 13.3),
    ("none", 56): seeds(1.3, 6.0),
    ("A", 20): seeds(0.1, 7.0),
    ("A", 56): seeds(2.0, 8.75),
}


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: claim.id)
def test_each_claim_is_supported_contradicted_toy_and_missing(claim: object) -> None:
    def verdict(values: dict[tuple[str, int], list[tuple[float, float]]], scale: str = "full") -> Finding:
        return judge(claim, results_of(values), scale)  # type: ignore[arg-type]

    assert verdict(PAPERS).verdict == "supported" and verdict(PAPERS).direction == "agrees"
    assert verdict(REVERSED).verdict == "contradicted"
    assert verdict(PAPERS, "toy").verdict == "toy" and verdict(REVERSED, "toy").direction == "disagrees"
    one = verdict({cell: values[:1] for cell, values in PAPERS.items()})
    assert one.verdict == "inconclusive" and one.direction == "agrees" and "direction only" in one.sentence
    assert verdict({}).verdict == verdict({}, "toy").verdict == "missing"


def test_a_residual_rise_within_the_margin_is_none() -> None:
    c22 = next(claim for claim in CLAIMS if claim.id == "C22")
    close = {("A", 20): seeds(0.1, 7), ("A", 56): seeds(0.1 + RISE_MARGIN / 2, 7)}
    assert judge(c22, results_of(close), "full").verdict == "supported"


def test_the_permutation_test_is_exact() -> None:
    """Five against five fully apart: one split of 252 is as extreme."""
    found = difference([6, 7, 8, 9, 10], [1, 2, 3, 4, 5])
    assert found.effect == 5 and found.p_greater == pytest.approx(1 / 252) and found.p_less == pytest.approx(1)
    assert found.low < 5 < found.high
    assert math.isnan(difference([1], [2, 3]).p_greater) and difference([1, 1], [1, 1]).high == 0
    assert mean_std([1, 3]) == (2, pytest.approx(math.sqrt(2))) and math.isnan(mean_std([1])[1])


def test_false_alarms_are_as_rare_as_stated() -> None:
    rng = np.random.default_rng(0)
    alarms = sum(difference(*rng.normal(size=(2, 4))).p_greater < 0.05 for _ in range(400))
    assert alarms / 400 <= 0.05 + 2 * math.sqrt(0.05 * 0.95 / 400)


def test_a_run_that_does_not_count_is_listed_with_its_reason(runs: Path) -> None:
    write_run(runs, Spec("digits", 32, "A"), 1.0, 2.0, **{"test/loss": math.nan})
    write_run(runs, Spec("digits", 44, "A"), 1.0, 2.0, step=331)
    (write_run(runs, Spec("digits", 14, "A"), 1.0, 2.0).folder / "summary.json").unlink()
    (runs / "<script>alert(1)</script>").mkdir(parents=True)
    gathered = snapshot.gather(runs)
    reasons = dict(zip(gathered.excluded["run"], gathered.excluded["reason"], strict=True))
    assert len(gathered.counting) == 8
    assert "not a number" in reasons["digits-32-A-paper-s0"]
    assert "no evaluation after its last step" in reasons["digits-44-A-paper-s0"]
    assert reasons["digits-14-A-paper-s0"] == "interrupted at step 336 of 336"
    sections, _ = render.report(gathered)
    for page in ("REPORT.md.j2", "report.html.j2"):
        text = render.page(page, sections)
        assert "&lt;script&gt;alert(1)" in text or "&lt;script>alert(1)" in text
        assert "<script" not in text


def test_the_papers_curves_end_where_its_table_does() -> None:
    for result in paper.CIFAR10:
        panel = "very deep" if result.depth == 1202 else "plain" if result.shortcut == "none" else "residual"
        curves = paper.curves(paper.FIG6_PANELS[panel][2])
        net = curves[curves["net"] == f"{'plain' if result.shortcut == 'none' else 'ResNet'}-{result.depth}"]
        ends = {split: curve.sort_values("step")["error"].tail(10).mean() for split, curve in net.groupby("split")}
        assert ends["test"] == pytest.approx(result.mean or result.test_error, abs=0.1)
        assert ends["train"] == pytest.approx(result.train_error, abs=0.02)


def test_a_figure_draws_training_dashed_and_test_solid(runs: Path) -> None:
    gathered = snapshot.gather(runs)
    drawing = error_curves(gathered.history, gathered.results, FULL)
    assert drawing.svg.startswith("<svg") and "digitised" in drawing.caption and "stroke-dasharray" in drawing.svg


@pytest.fixture
def page(runs: Path, tmp_path: Path) -> Iterator[object]:
    """report.html from disk in a real browser; yields the page and what it complained of."""
    browser = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if browser is None:
        pytest.skip("no Chromium on this machine: install Debian's package chromium")
    from playwright.sync_api import sync_playwright

    gathered = snapshot.gather(runs)
    render.build(gathered, tmp_path)
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=browser, args=["--no-sandbox", "--disable-gpu"])
        tab = chromium.new_page()
        problems: list[str] = []
        tab.on("console", lambda message: problems.append(message.text))
        tab.on("pageerror", lambda error: problems.append(str(error)))
        tab.on(
            "request",
            lambda request: None if request.url.startswith(("file:", "data:")) else problems.append(request.url),
        )
        tab.on("requestfailed", lambda request: problems.append(request.url))
        tab.goto((tmp_path / "report.html").as_uri())
        yield tab, problems
        chromium.close()


@pytest.mark.parametrize(("width", "scheme"), [(360, "light"), (1600, "dark")])
def test_the_page_works_from_disk_in_a_browser(page: tuple[object, list[str]], width: int, scheme: str) -> None:
    tab, problems = page
    tab.set_viewport_size({"width": width, "height": 900})  # type: ignore[attr-defined]
    tab.emulate_media(color_scheme=scheme)  # type: ignore[attr-defined]
    assert tab.locator("figure svg").count() == 2  # type: ignore[attr-defined]
    assert tab.evaluate("document.documentElement.scrollWidth") <= width, "it does not overflow"  # type: ignore[attr-defined]
    ids = tab.evaluate("[...document.querySelectorAll('[id]')].map(e => e.id)")  # type: ignore[attr-defined]
    assert len(ids) == len(set(ids)), "ids are unique although two figures share the page"
    assert not problems


def test_claims_are_recorded_for_every_group(runs: Path, tmp_path: Path) -> None:
    render.build(snapshot.gather(runs), tmp_path)
    claims = json.loads((tmp_path / "claims.json").read_text())
    verdicts = {(c["group"], c["id"]): c["verdict"] for c in claims}
    assert len(verdicts) == 2 * len(CLAIMS)
    assert verdicts["digits, recipe paper", "C01"] == "toy" and verdicts["cifar10, recipe paper", "C01"] == "missing"


def test_the_readmes_numbers_are_those_of_the_recorded_demo(tmp_path: Path) -> None:
    """README's block and docs/demo/REPORT.md are what docs/demo's snapshot gives."""
    demo = ROOT / "docs" / "demo"
    recorded = snapshot.read(demo)
    render.build(recorded, tmp_path)
    for file in ("REPORT.md", "claims.json"):
        assert (tmp_path / file).read_text() == (demo / file).read_text(), (
            "rebuild it: python -m reports build --out=docs/demo --readme=README.md"
        )
    shutil.copy(ROOT / "README.md", tmp_path / "README.md")
    render.headline(recorded, tmp_path / "docs" / "demo", tmp_path / "README.md")
    assert (tmp_path / "README.md").read_text() == (ROOT / "README.md").read_text()
