from __future__ import annotations

import gzip
import html
import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from reports.__main__ import run as reports
from reports.gathering import snapshot
from reports.gathering.gather import gather
from reports.judging.comparison import CIFAR
from reports.page import readme, render
from reports.page.found import read_found
from reports.page.sections import report
from reports.paper import numbers as paper
from study.recipes import recipe_for
from study.spec import InputError, Spec
from tests.records import digest, write_run
from tests.support import RESULTS, ROOT, SNAPSHOT, run

ERRORS = {("none", 20): (0.1, 3.0), ("none", 56): (40.0, 50.0), ("A", 20): (0.0, 1.5), ("A", 56): (0.0, 1.0)}


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    """Two seeds of four digits cells."""
    for seed in range(2):
        for (shortcut, depth), (train, test) in ERRORS.items():
            write_run(tmp_path / "runs", Spec("digits", depth, shortcut, "mini", seed), train + seed / 100, test + seed)
    return tmp_path / "runs"


@pytest.mark.process
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
    names = {str(path) for path in built[0]}
    assert {"runs.csv", "history.csv.gz", "claims.json", "REPORT.md", "report.html"} <= names
    assert {
        "figures/depth.pdf",
        "figures/fig4.png",
        "figures/fig6-digits-mini.svg",
        "figures/fig7-cifar10-paper.svg",
    } <= names
    assert {
        "tables/table1.csv",
        "tables/table6.tex",
        "tables/errors-digits-mini.csv",
        "tables/peers-imagenet.tex",
    } <= names


def test_a_snapshot_is_read_as_it_was_gathered(runs: Path, tmp_path: Path) -> None:
    gathered = gather(runs)
    snapshot.write(gathered, tmp_path / "out")
    read = snapshot.read(tmp_path / "out")
    for name in ("runs", "history", "responses"):
        pd.testing.assert_frame_equal(getattr(read, name), getattr(gathered, name), check_dtype=False, check_exact=True)
    snapshot.write(read, tmp_path / "again")
    for file in ("runs.csv", "history.csv.gz"):
        assert (tmp_path / "again" / file).read_bytes() == (tmp_path / "out" / file).read_bytes()


def test_a_snapshot_from_before_a_recipe_was_renamed_is_read_under_its_new_name(runs: Path, tmp_path: Path) -> None:
    gathered = gather(runs)
    snapshot.write(gathered, tmp_path)
    path, history = tmp_path / "runs.csv", tmp_path / "history.csv.gz"
    path.write_text(path.read_text().replace("-mini-s", "-paper-s").replace(",mini,", ",paper,"))
    history.write_bytes(gzip.compress(gzip.decompress(history.read_bytes()).replace(b"-mini-s", b"-paper-s")))
    read = snapshot.read(tmp_path)
    assert list(read.runs["run"]) == list(gathered.runs["run"]) and set(read.runs["recipe"]) == {"mini"}
    assert set(read.history["run"]) == set(gathered.history["run"])


def test_the_training_error_is_a_mean_over_the_last_tenths(runs: Path) -> None:
    gathered = gather(runs)
    row = gathered.results.set_index("run").loc["digits-56-none-mini-s0"]
    steps = [s for s in recipe_for(Spec("digits", 56, "none")).evaluation_steps if s > round(336 * 54 / 64)]
    assert len(steps) == 10
    assert row["train_error"] == pytest.approx(np.mean([40 + 80 * (1 - s / 336) ** 4 for s in steps]), abs=0.05)
    assert row["test_error"] == 50.0, "the last step's"


def test_a_run_that_does_not_count_is_listed_with_its_reason(runs: Path) -> None:
    """Nothing is dropped: nan, a torn line, no last evaluation, a copy, mixed records, a crash, a stranger's folder."""
    lost = write_run(runs, Spec("digits", 32, "A"), 1.0, 2.0).folder / "metrics.jsonl"
    lost.write_text(re.sub(r'("step": 336.*"test/loss": )[^,]*', r"\1NaN", lost.read_text()))
    write_run(runs, Spec("digits", 44, "A"), 1.0, 2.0, step=331)
    (write_run(runs, Spec("digits", 14, "A"), 1.0, 2.0).folder / "summary.json").unlink()
    torn = write_run(runs, Spec("digits", 26, "A"), 1.0, 2.0).folder / "metrics.jsonl"
    torn.write_text(torn.read_text().replace('"step": 100', '"st', 1))
    mixed = write_run(runs, Spec("digits", 38, "A"), 1.0, 2.0).folder / "metrics.jsonl"
    mixed.write_text(mixed.read_text() * 2)
    write_run(runs, Spec("digits", 56, "A", "mini", 7), 1.0, 2.0, weights_sha256=digest("digits-56-A-mini-s0"))
    shutil.copytree(runs / "digits-20-A-mini-s0", runs / "digits-20-A-mini-s0 (copy)")
    (runs / "<script>alert(1)</script>").mkdir(parents=True)
    gathered = gather(runs)
    reasons = dict(zip(gathered.excluded["run"], gathered.excluded["reason"], strict=True))
    assert len(gathered.counting) == 8 and len(reasons) == 8
    assert reasons["digits-32-A-mini-s0"] == "diverged: its loss is not a number at step 336"
    assert reasons["digits-44-A-mini-s0"] == "no evaluation after its last step, 336"
    assert reasons["digits-14-A-mini-s0"] == "interrupted at step 336 of 336"
    assert reasons["digits-26-A-mini-s0"] == "metrics.jsonl, line 19: not JSON"
    assert (
        reasons["digits-38-A-mini-s0"] == "metrics.jsonl, line 65: step 5 does not follow 336: two records were mixed"
    )
    assert reasons["digits-56-A-mini-s7"] == "a copy: its weights are identical to those of digits-56-A-mini-s0"
    assert "not a run name" in reasons["digits-20-A-mini-s0 (copy)"]
    page = render.texts(report(gathered))["report.html"]
    assert "&lt;script>alert" in page.replace("&gt;", ">") and "<script>alert" not in page
    assert all(reason.split("'")[0][:20] in page for reason in reasons.values())


def test_the_papers_curves_end_where_its_table_does() -> None:
    for result in paper.CIFAR10:
        panel = "very deep" if result.depth == 1202 else "plain" if result.shortcut == "none" else "residual"
        curves = paper.curves(paper.FIG6_PANELS[panel][2])
        net = curves[curves["net"] == f"{'plain' if result.shortcut == 'none' else 'ResNet'}-{result.depth}"]
        ends = {split: curve.sort_values("step")["error"].tail(10).mean() for split, curve in net.groupby("split")}
        assert ends["test"] == pytest.approx(result.mean or result.test_error, abs=0.1)
        assert ends["train"] == pytest.approx(result.train_error, abs=0.02)


@pytest.mark.process
def test_the_committed_report_is_what_its_snapshot_gives() -> None:
    done = run("reports", "build", "--check", f"--out={RESULTS}")
    assert done.returncode == 0, done.stdout


def test_the_readmes_numbers_are_those_of_the_recorded_runs(tmp_path: Path) -> None:
    shutil.copy(ROOT / "README.md", tmp_path / "README.md")
    readme.headline(report(snapshot.read(RESULTS), RESULTS), tmp_path / "reports" / "results", tmp_path / "README.md")
    fix = "run: python -m reports build --out=reports/results --readme=README.md"
    assert (tmp_path / "README.md").read_text() == (ROOT / "README.md").read_text(), fix


def test_readme_report_page_and_claims_say_the_same_answer(tmp_path: Path) -> None:
    whole, file = report(snapshot.read(RESULTS), RESULTS), tmp_path / "README.md"
    file.write_text(f"{readme.BEGIN}{readme.END}")
    readme.headline(whole, tmp_path, file)
    files = render.texts(whole)
    page = html.unescape(re.sub(r"</?strong>", "", files["report.html"]))
    assert len(whole.answers) > 3
    for answer in whole.answers:
        assert answer.text in file.read_text() and answer.text in files["REPORT.md"] and answer.text in page
    ours = {answer.comparison.name: answer.text for answer in whole.answers if answer.comparison}
    assert all(claim["answer"] == ours.get(claim["group"]) for claim in json.loads(files["claims.json"]))


def test_the_report_in_markdown_is_short() -> None:
    words = [word for word in (RESULTS / "REPORT.md").read_text().split() if re.search(r"\w", word)]
    assert len(words) <= 2000


def test_what_was_found_is_tied_to_verdicts_and_a_sentence_that_no_longer_holds_is_left_out(tmp_path: Path) -> None:
    whole = report(snapshot.read(RESULTS), RESULTS)
    assert len(whole.found.sentences) == (RESULTS / "found.toml").read_text().count("[[found]]") > 4
    assert not whole.found.outdated
    assert not any("{" in sentence for sentence in whole.found.sentences)
    entry = '[[found]]\nsays = "Up by {C06[digits-mini].effect:.1f}."\nholds = { "C06[digits-mini]" = "%s" }\n'
    for direction, said in (("agrees", ("Up by 49.5.",)), ("disagrees", ())):
        (tmp_path / "found.toml").write_text(entry % direction)
        found = read_found(tmp_path / "found.toml", whole.judged, whole.tested)
        assert found.sentences == said and len(found.outdated) == (not said)
    (tmp_path / "found.toml").write_text(entry.replace("{C06[", "{C99[") % "agrees")
    with pytest.raises(InputError, match=r"cannot be filled in \(KeyError: 'C99'\)"):
        read_found(tmp_path / "found.toml", whole.judged, whole.tested)


def test_a_study_without_runs_has_a_report_and_a_readme(tmp_path: Path) -> None:
    """From gathering an empty folder to the block in README, through the files on disk."""
    (tmp_path / "runs").mkdir()
    file, out = tmp_path / "README.md", f"--out={tmp_path}"
    file.write_text(f"{readme.BEGIN}{readme.END}")
    assert reports(["gather", f"--runs={tmp_path / 'runs'}", out]) == 0
    assert reports(["build", out, f"--readme={file}"]) == 0 == reports(["build", out, "--check"])
    for page in (file, tmp_path / "REPORT.md"):
        assert "No run yet: open. The paper has a training error of 1.31 % for plain-20, 5.77 % for" in page.read_text()
        assert "Public re-runs are for it" in page.read_text() and "make demo" in page.read_text()
    assert "8 exhibits of trained networks, 8 have no run" in file.read_text()


def test_the_readme_says_how_much_of_the_paper_has_no_run_yet(tmp_path: Path) -> None:
    """Table 6, Figs. 6 and 7 have one network of the eleven; the rows without runs stay in the report."""
    whole, file = snapshot.read(RESULTS), tmp_path / "README.md"
    one = whole.runs[whole.runs["run"] == "cifar10-20-A-paper-s0"]
    file.write_text(f"{readme.BEGIN}{readme.END}")
    readme.headline(report(replace(whole, runs=one)), tmp_path / "report", file)
    text = file.read_text()
    assert (
        "Of the paper's 8 exhibits of trained networks, 5 have no run yet (Table 2, Table 3, Table 4, Fig. 1, Fig. 4)"
        in text
    )
    assert "of its 19 networks 18; the [report](report/report.html)" in text
    assert re.findall(r"^\| (\S+)", text, re.MULTILINE) == ["network", "ResNet-20"]


def test_a_whole_study_answers_yes_and_its_mirror_no() -> None:
    whole = snapshot.read(SNAPSHOT)
    said = [answer.text for answer in report(whole).answers]
    assert said[0].startswith(
        "CIFAR-10, the paper's recipe: yes. Training error at 20 and 56 layers: plain 1.3 and 5.8 %"
    )
    assert said[0].endswith("(n = 5, 5, 5, 5).") and said[1].startswith("ImageNet, the paper's recipe: yes.")
    depths = {20: 56, 32: 44, 44: 32, 56: 20}
    plain = (whole.runs["dataset"] == "cifar10") & (whole.runs["shortcut"] == "none")
    turned = whole.runs["depth"].where(~plain, whole.runs["depth"].map(lambda depth: depths.get(depth, depth)))
    (mirror,) = (
        a for a in report(replace(whole, runs=whole.runs.assign(depth=turned))).answers if a.comparison == CIFAR
    )
    assert (mirror.comparison, mirror.word) == (CIFAR, "no") and "plain 5.8 and 1.3 %" in mirror.numbers
