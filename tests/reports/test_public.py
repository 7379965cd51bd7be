"""Public networks in the report: records by the real measurement, gathered, judged and shown, never mixed with ours."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch

from reports.__main__ import run
from reports.figures.fig6 import fig6
from reports.figures.fig7 import fig7
from reports.gathering import snapshot
from reports.gathering.public import Public, read_public
from reports.gathering.public_records import read_records
from reports.judging.comparison import CIFAR
from reports.judging.evidence import Evidence
from reports.judging.public import judge_public, public_evidence
from reports.page import render
from reports.page.model import Report
from reports.page.readme import BEGIN, END, headline
from reports.page.sections import report
from reports.tables.cifar import table6
from reports.tables.public import differences, effect_table, public_table, within
from reports.tables.table import Table, text
from study.data.images import Arrays
from study.protocols.public import measure_files
from study.weights.foreign import Network
from tests.fixtures.make_images import read_cifar10
from tests.support import ROOT, SNAPSHOT, refusal
from tests.weights.test_foreign import DEPTH, in_their_words, theirs

MARTYN, BAEK, AKAMASTER = "a-martyn/resnet", "wooyeolBaek/deep-residual-learning", "akamaster/pytorch_resnet_cifar10"
DEPTHS = (20, 32, 44, 56)
# Wrong of 10,000 test images, as their authors published them.
TEST = {
    (MARTYN, "none"): (969, 1004, 1156, 1307),
    (MARTYN, "A"): (804, 779, 751, 746),
    (BAEK, "none"): (974, 1041, 1173, 1186),
    (BAEK, "A"): (918, 868, 813, 710),
    (AKAMASTER, "A"): (827, 737, 690, 661),
}
Record = dict[str, Any]


@pytest.fixture(scope="module")
def measured(synthetic: Path, tmp_path_factory: pytest.TempPathFactory) -> Record:
    """The record of a synthetic file of a-martyn's layout, by the real measurement on 500 images."""
    folder = tmp_path_factory.mktemp("theirs")
    torch.save(in_their_words(MARTYN, theirs(MARTYN, "A")), folder / "resnet.pt")
    arrays: Arrays = read_cifar10(synthetic)
    measure_files([folder / "resnet.pt"], [Network("cifar10", DEPTH, "A")], arrays, "a977915", folder)
    record: Record = json.loads((folder / f"a-martyn+resnet-cifar10-{DEPTH}-A.json").read_text())
    return record


def write(folder: Path, record: Record, name: str = "") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name or record['repository'].replace('/', '+')}-{record['depth']}-{record['shortcut']}.json"
    path.write_text(json.dumps(record))
    return path


@pytest.fixture(scope="module")
def records(measured: Record, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Records of twenty networks: published test errors, training errors that degrade, responses as the paper says."""
    folder = tmp_path_factory.mktemp("records")
    for (repository, shortcut), errors in TEST.items():
        for depth, wrong in zip(DEPTHS, errors, strict=True):
            trained = 10 * depth if shortcut == "none" else 6000 // depth
            std = (1.2 if shortcut == "none" else 0.9) - depth / 200 + TEST[repository, "A"][0] / 1e5
            own = {"repository": repository, "shortcut": shortcut, "depth": depth, "sha256": f"{repository}{depth}"}
            counts = {"train": {"wrong": 7, "seen": 50_000}, "train_augmented": {"wrong": trained, "seen": 50_000}}
            responses = {"layers": [f"{i}" for i in range(depth - 1)], "std": [std] * (depth - 1)}
            tested = {"test": {"wrong": wrong, "seen": 10_000}, "responses": responses}
            write(folder, measured | own | counts | tested)
    return folder


@pytest.fixture(scope="module")
def public(records: Path) -> Public:
    return read_records(records)


def gather(records: Path, out: Path) -> int:
    return run(["gather", f"--public={records}", f"--out={out}"])


def bytes_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


def test_a_measured_network_is_gathered_beside_the_runs(
    measured: Record, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    shutil.copytree(SNAPSHOT, out)
    write(tmp_path / "records", measured)
    assert gather(tmp_path / "records", out) == 0
    assert capsys.readouterr().out.splitlines() == [f"public networks: 1 of 1 repository, in {out / 'public'}"]
    assert bytes_of(out) == bytes_of(SNAPSHOT), "our runs are as they were"
    found = snapshot.read(out).public
    network = found.networks.iloc[0]
    assert network["run"] == f"a-martyn/resnet ResNet-{DEPTH}" and network["commit"] == "a977915"
    for split in ("test", "train", "train_augmented"):
        assert [network[f"{split}/wrong"], network[f"{split}/seen"]] == list(measured[split].values())
    assert network["train/seen"] == 400 and network["border"] == "black" and len(network["sha256"]) == 64
    assert found.responses["std"].tolist() == measured["responses"]["std"]
    assert found.signals["gradient"].tolist() == [row["gradient"] for row in measured["signals"]]
    assert found.blocks["linear"].tolist() == [row["linear"] for row in measured["blocks"]]
    assert found.deeper["copy_error"].tolist() == [measured["copy"]["copy_error"]]
    assert set(found.similarity["other"]) == {network["run"]}
    assert found.similarity["cka"].iloc[1] == measured["similarity"][0]["cka"][0][1]


def test_gathering_again_keeps_the_others_and_replaces_what_was_measured_again(
    measured: Record, records: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    for _ in range(2):
        assert gather(records, out) == 0
    before, first = read_public(out / "public"), bytes_of(out / "public")
    assert gather(records, out) == 0 and bytes_of(out / "public") == first
    own = {"depth": 20, "shortcut": "none", "sha256": "other", "test": {"wrong": 1, "seen": 10_000}}
    write(tmp_path / "again", measured | own)
    assert gather(tmp_path / "again", out) == 0
    assert "a-martyn/resnet plain-20 was measured on other weights before; these replace" in capsys.readouterr().out
    after = read_public(out / "public")
    assert after.networks["run"].tolist() == before.networks["run"].tolist() and len(after.networks) == 20
    assert after.networks.loc[after.networks["run"] == "a-martyn/resnet plain-20", "test/wrong"].tolist() == [1]
    is_other = after.networks["run"] != "a-martyn/resnet plain-20"
    pd.testing.assert_frame_equal(after.networks[is_other], before.networks[is_other])
    assert (after.responses["run"] == "a-martyn/resnet plain-20").sum() == DEPTH - 1
    assert len(after.responses) == len(before.responses) - 19 + DEPTH - 1


def test_runs_that_are_gathered_leave_public_networks_where_they_are(records: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert gather(records, out) == 0
    before = bytes_of(out / "public")
    (tmp_path / "runs").mkdir()
    for more in ([], ["--add"]):
        assert run(["gather", f"--runs={tmp_path / 'runs'}", f"--out={out}", *more]) == 0
        assert bytes_of(out / "public") == before
        assert len(snapshot.read(out).public.networks) == 20


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda record: "{", "is no record of a public network (Expecting"),
        (lambda record: "[]", 'its source is not "public"'),
        (lambda record: json.dumps(record | {"source": "recorded"}), 'its source is not "public"'),
        (lambda record: json.dumps({k: v for k, v in record.items() if k != "train"}), "it lacks 'train'"),
        (lambda record: json.dumps({k: v for k, v in record.items() if k != "border"}), "it lacks 'border'"),
        (lambda record: json.dumps(record | {"test": {"wrong": 11, "seen": 10}}), "test has 11 wrong of 10 images"),
        (lambda record: json.dumps(record | {"test": 9.69}), "is no record"),
        (lambda record: json.dumps(record | {"repository": None}), "repository is no text"),
        (lambda record: json.dumps(record | {"depth": 21}), "depth"),
        (lambda record: json.dumps(record | {"responses": {"layers": ["a"], "std": []}}), "is no record"),
        (lambda record: json.dumps(record | {"signals": [{}]}), "it lacks 'layer'"),
    ],
)
def test_a_file_that_is_no_record_is_refused_in_one_line(
    change: Callable[[Record], str], says: str, measured: Record, tmp_path: Path
) -> None:
    write(tmp_path / "records", measured | {"depth": 20})
    path = tmp_path / "records" / "broken.json"
    path.write_text(change(measured))
    message = refusal(run, "gather", f"--public={path.parent}", f"--out={tmp_path / 'out'}")
    assert message.startswith(str(path)) and says in message
    assert not (tmp_path / "out").exists(), "nothing is written"


def test_no_record_and_two_of_one_network_are_refused(measured: Record, tmp_path: Path) -> None:
    flags = (f"--public={tmp_path / 'records'}", f"--out={tmp_path / 'out'}")
    assert "has no record of a public network" in refusal(run, "gather", *flags)
    for name in ("one", "other"):
        write(tmp_path / "records", measured, name)
    assert "and so does another file" in refusal(run, "gather", *flags)


def test_claims_are_judged_by_their_own_tests_over_repositories(public: Public) -> None:
    found = judge_public(public)
    assert {"C01", "C02", "C06", "C21", "C22", "C23", "C30", "C31"} <= set(found) and "C07" not in found
    assert found["C02"].n == (2, 2, 2, 2) and found["C21"].n == (3, 3, 3, 3), "akamaster has no plain networks"
    assert found["C02"].p_for == pytest.approx(1 / 2520), "each pair of eight values in the order of the claim"
    assert (found["C02"].verdict, found["C02"].interim) == ("supported", True)
    assert found["C02"].effect == pytest.approx((13.07 + 11.86 - 9.69 - 9.74) / 2)
    # Of three repositories at two depths at most one in twenty orders is the claim's.
    assert (found["C31"].verdict, found["C31"].direction) == ("inconclusive", "agrees") and found["C31"].p_for == 0.05
    assert found["C26"].verdict == "missing" and found["C26"].missing == ("ResNet-110",)


def test_a_plain_network_is_compared_with_residual_ones_of_its_own_repository_only(public: Public) -> None:
    found = judge_public(public)["C23"]
    assert found.n == (2, 2) and not any(AKAMASTER in name for name in found.runs)
    gaps = [(969 - 804) / 100, (974 - 918) / 100]
    assert found.effect == pytest.approx(sum(gaps) / 2), "the least certain depth, 20 layers"
    of_56 = next(d for d in differences() if d.metric == "test_error" and d.upper == (56, "none") and d.lower[1] == "A")
    assert within(public_evidence(public), of_56) == pytest.approx({MARTYN: 5.61, BAEK: 4.76})


def test_reversed_errors_contradict_and_one_repository_decides_nothing(public: Public) -> None:
    networks = public.networks
    turned = replace(public, networks=networks.assign(**{"test/wrong": 2000 - networks["test/wrong"]}))
    assert judge_public(turned)["C02"].verdict == judge_public(turned)["C21"].verdict == "contradicted"
    alone = replace(public, networks=networks[networks["repository"] == MARTYN])
    verdicts = {id: finding.verdict for id, finding in judge_public(alone).items()}
    assert set(verdicts.values()) == {"inconclusive", "missing"}


@pytest.fixture(scope="module")
def whole(public: Public) -> Report:
    """A report with public networks."""
    return report(replace(snapshot.read(SNAPSHOT), public=public))


def cells(table: Table) -> list[list[str]]:
    return [[text(cell) for cell in row] for row in table.rows]


def test_the_tables_say_what_each_network_and_all_of_them_got(public: Public) -> None:
    e = public_evidence(public)
    rows = {(row[0], row[1]): row for row in cells(public_table(e))}
    assert rows["plain-56", MARTYN][2:7] == ["1,307 of 10,000", "13.07", "13.07", "0.01", "1.12"]
    assert rows["plain-56", MARTYN][7] == "3.33" and rows["ResNet-56", AKAMASTER][7] == "–"
    assert all(row[3] == row[4] for row in rows.values()), "each as published"
    shown = {row[0]: row[1:] for row in cells(effect_table(e))}
    assert (
        shown["test error: plain-44 - ResNet-44"][0] == "C23"
        and shown["test error: plain-44 - ResNet-44"][3] == "2 of 2"
    )
    assert shown["test error: ResNet-20 - ResNet-56"][3] == "3 of 3" and not any("110" in label for label in shown)


def test_table_6_has_rows_of_their_own(public: Public) -> None:
    whole = snapshot.read(SNAPSHOT)
    ours = cells(table6(Evidence.of(whole, CIFAR)))
    both = cells(table6(Evidence.of(whole, CIFAR), public_evidence(public)))
    added = [row for row in both if row not in ours]
    assert [row for row in both if row in ours] == ours and len(added) == 8
    row = next(row for row in added if row[0] == "ResNet-56, public networks")
    assert row[2] == "7.46, 6.61, 7.10 (n = 3)"
    assert both[both.index(row) - 1][0] == "ResNet-56"


def test_nothing_of_ours_changes_and_readme_does_not_show_them(whole: Report, tmp_path: Path) -> None:
    after, before = render.claims(whole), render.claims(report(snapshot.read(SNAPSHOT)))
    assert [claim | {"public_networks": None} for claim in after] == before
    assert {claim["id"] for claim in after if claim["public_networks"]} >= {"C02", "C31"}
    assert all(claim["group"] == CIFAR.name for claim in after if claim["public_networks"])
    readme = tmp_path / "README.md"
    shutil.copy(ROOT / "README.md", readme)
    headline(whole, tmp_path, readme)
    table = [line for line in readme.read_text().split(BEGIN)[1].split(END)[0].splitlines() if line.startswith("|")]
    assert len(table) > 2 and not any("public networks" in line for line in table)


def test_the_report_says_what_they_are(whole: Report) -> None:
    texts = render.texts(whole)
    assert "public networks, tested by us: 20 of 3 repositories" in texts["REPORT.md"]
    answer = "CIFAR-10, networks that others published, tested by us: yes (interim). In training error plain-56 lies"
    assert answer in texts["REPORT.md"] and "n = 2 repositories" in texts["REPORT.md"]
    assert "supported (interim): +2.75" in texts["tables/claims-cifar10-paper.csv"]
    assert {"tables/public-networks.csv", "tables/public-effects.csv"} <= set(texts)
    assert "none enters a number of ours" in texts["report.html"].replace("\n", " ")


def test_figures_show_each_repository_as_a_point(public: Public) -> None:
    whole = snapshot.read(SNAPSHOT)
    e = Evidence.of(whole, CIFAR)
    drawing = fig6(whole.history, e, public_evidence(public))
    points = {panel.title: panel.of("public") for panel in drawing.panels}
    assert {title: len(each) for title, each in points.items() if "enlarged" not in title} == {
        f"{kind} nets: {split} error (%)": 4 for kind in ("plain", "residual") for split in ("test", "training")
    }
    assert [sorted(one.y) for one in points["residual nets: test error (%)"]] == [
        sorted(TEST[repository, "A"][i] / 100 for repository in (MARTYN, BAEK, AKAMASTER)) for i in range(4)
    ]
    assert all(5 <= y <= 10 for one in points["residual nets, enlarged: test error (%)"] for y in one.y)
    plain = [TEST[repository, "none"][3] / 100 for repository in (MARTYN, BAEK)]
    assert f"test {plain[0]:.2f}, {plain[1]:.2f}" in drawing.alternative
    assert fig6(whole.history, e).alternative in drawing.alternative
    (seven,) = fig7(whole.responses, e, public)
    assert [[len(one.x) for one in panel.of("public")] for panel in seven.panels] == [[19, 19], [55, 55], []]
    assert "ResNet-56, public (n = 3) 0." in seven.alternative
    drawn = [line for line in seven.figure().axes[0].get_lines() if line.get_marker() == "D"]
    assert [list(line.get_ydata()) for line in drawn] == [list(one.y) for one in seven.panels[0].of("public")]
