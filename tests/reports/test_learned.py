"""The section "What residual learning does": its figures from real runs, and what they say."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from reports.figures.fig7 import fig7
from reports.figures.learned import FIGURES, neighbours
from reports.figures.maps import CLOUD, Maps, cloud, field, picture
from reports.gathering import snapshot
from reports.gathering.gather import gather
from reports.gathering.snapshot import Snapshot
from reports.judging.evidence import Evidence
from reports.page import render
from reports.page.learned import TITLE
from reports.page.sections import report
from study.recording.record import PROBES
from study.recording.schema import PROBE_PARTS
from study.spec import Spec
from tests.support import RESULTS, run

SPECS = {kind: Spec("digits", 8, kind, "smoke") for kind in ("none", "A")}  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A plain network and its residual twin, trained with signals, probed, and made deeper."""
    runs = tmp_path_factory.mktemp("runs")
    for spec in SPECS.values():
        done = run("study", "train", *spec.flags, "--signals", f"--runs={runs}")
        assert done.returncode == 0, done.stderr
    folders = [str(runs / spec.name) for spec in SPECS.values()]
    done = run("study", "probe", *folders)
    assert done.returncode == 0 and not done.stderr, done.stderr
    done = run("study", "deepen", folders[0], "--depth=14", f"--runs={runs}")
    assert done.returncode == 0, done.stderr
    return runs


@pytest.fixture(scope="module")
def gathered(runs: Path, tmp_path_factory: pytest.TempPathFactory) -> Snapshot:
    folder = tmp_path_factory.mktemp("out")
    snapshot.write(gather(runs), folder)
    return snapshot.read(folder)


@pytest.mark.process
def test_every_part_reaches_the_snapshot(runs: Path, gathered: Snapshot) -> None:
    plain, residual = (json.loads((runs / spec.name / "probes.json").read_text()) for spec in SPECS.values())
    assert set(PROBE_PARTS) <= set(plain)
    assert [pair["with"] for pair in plain["similarity"]] == [spec.name for spec in SPECS.values()]
    assert [pair["with"] for pair in residual["similarity"]] == [SPECS["A"].name], "each pair once"
    name = SPECS["none"].name
    mine = {table: frame[frame["run"] == name] for table in FIGURES if len(frame := getattr(gathered, table))}
    assert list(mine["lesions"]["error"]) == [row["error"] for row in plain["lesions"]]
    assert mine["similarity"]["cka"].iloc[4] == plain["similarity"][0]["cka"][1][0]
    assert mine["landscape"]["loss"].iloc[16] == pytest.approx(plain["landscape"]["loss"][1][1])
    assert list(mine["embeddings"]["x"][:360]) == plain["embeddings"][0]["x"]
    assert mine["filters"]["weight"].iloc[3] == plain["filters"][0][0][1][0]
    lines = [json.loads(line) for line in (runs / name / "signals.jsonl").read_text().splitlines()]
    assert list(mine["along"]["off"]) == [value for line in lines for value in line["off"]]
    wrong = gathered.mistakes[gathered.mistakes["run"] == name]
    assert len(wrong) == len(plain["mistakes"]["wrong"]) and wrong["class"].isin([str(n) for n in range(10)]).all()
    deep = gathered.runs[gathered.runs["recipe"] == "deepened"]
    assert list(deep["parent"]) == [name] and gathered.runs["parent"].notna().sum() == 1


@pytest.mark.process
def test_the_section_says_a_finding_for_each_figure(runs: Path, gathered: Snapshot) -> None:
    whole = report(gathered)
    section = next(section for section in whole.sections if section.title == TITLE)
    parts = {part.name: part for part in section.folds if part.name}
    named = {name: part.drawings[0] for name, part in parts.items()}
    expected = {"along", "lesions", "alignment", "embeddings", "landscape", "gradients", "blocks"}
    assert {f"{name}-digits-smoke" for name in expected} | {"deepened-digits"} <= set(named)
    assert all(part.title == named[name].title for name, part in parts.items())
    assert "filters-digits-smoke" in {drawing.name for part in section.folds for drawing in part.drawings}
    assert "Not measured yet" not in section.text
    titles = " ".join(drawing.title for drawing in named.values())
    lines = [json.loads(line) for line in (runs / SPECS["none"].name / "signals.jsonl").read_text().splitlines()]
    apart = max(max(line["gradient"]) / min(line["gradient"]) for line in lines)
    assert f"differ at most {apart:.1f}-fold in plain-8" in titles
    page = render.texts(whole, is_drawn=True)["report.html"]
    assert page.count("data:image/png;base64,") >= 2 + 3 + 8 + 2 + 2
    for drawing in named.values():
        assert drawing.svg.startswith("<") and drawing.png[:4] == b"\x89PNG" and drawing.pdf[:4] == b"%PDF"


@pytest.mark.process
def test_a_deepened_network_is_no_evidence_for_the_papers_claims(gathered: Snapshot) -> None:
    whole = report(gathered)
    assert not any(comparison.recipe == "deepened" for comparison in whole.judged)
    drawing = next(drawing for drawing in whole.drawings if drawing.name == "deepened-digits")
    labels = [series.label for panel in drawing.panels for series in panel.series]
    assert labels == ["(a) plain-14 as a copy of plain-8, s0"] * 2, "nothing else was trained in that way"
    error = float(gathered.results.set_index("run")["train_error"]["digits-14-none-deepened-s0"])
    assert f"(a) plain-14 as a copy of plain-8 {error:.1f} %" in drawing.title


@pytest.mark.process
def test_what_is_missing_is_said(runs: Path, tmp_path: Path) -> None:
    for spec in SPECS.values():
        shutil.copytree(runs / spec.name, tmp_path / spec.name)
        (tmp_path / spec.name / "probes.json").unlink()
    (tmp_path / SPECS["A"].name / "signals.jsonl").unlink()
    section = next(section for section in report(gather(tmp_path)).sections if section.title == TITLE)
    assert "Not measured yet: `study probe` of a plain net and its residual twin" in section.text
    assert [part.name for part in section.folds if part.name] == ["along-digits-smoke"]


@pytest.mark.process
def test_a_probe_goes_on_where_it_was_stopped(runs: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(runs / SPECS["A"].name, tmp_path / SPECS["A"].name))
    found = folder / f"{PROBES}.json"
    found.unlink()
    killed = run("tests.signalled", "SIGKILL", "rename:probes.tmp:3", "study", "probe", str(folder))
    assert killed.returncode == -9 and list(json.loads(found.read_text()))[3:] == ["signals", "blocks"]
    kept = json.loads(found.read_text())
    kept["blocks"][0]["linear"] = 12.5  # so that it can be seen that it is not measured again
    found.write_text(json.dumps(kept))
    done = run("study", "probe", str(folder), "--only=blocks,mistakes")
    assert done.returncode == 0 and "test images wrong" in done.stdout, done.stderr
    after = json.loads(found.read_text())
    assert after["blocks"][0]["linear"] == 12.5 and "mistakes" in after and "copy" not in after
    found.write_text(json.dumps(after | {"weights_sha256": "0" * 64}))
    assert run("study", "probe", str(folder), "--only=mistakes").returncode == 0
    assert "blocks" not in json.loads(found.read_text()), "what was measured of other weights does not stay"
    refused = run("study", "probe", str(folder), "--only=dreams")
    assert refused.returncode == 2 and "part 'dreams' is unknown; choose one of: signals" in refused.stderr


def test_maps_have_the_colours_of_their_values() -> None:
    found = field("x", np.array([[0.0, 1.0], [np.nan, 0.5]]), (0, 1))
    assert found.index.tolist() == [[1, 255], [0, 128]]
    np.testing.assert_allclose(found.colours[0, 0], [*np.array([68, 1, 84]) / 255, 1], atol=0.01)
    points = cloud("x", [0, 255], [0, 255], [0, 3], 255)
    assert points.index[CLOUD - 1, 0] == 1 and points.index[0, CLOUD - 1] == 4 and (points.index > 0).sum() == 2
    colours = np.array([[[255, 0, 0], [0, 0, 255], [255, 255, 255]]], np.uint8)
    np.testing.assert_allclose(picture("x", colours).colours[0], [[1, 0, 0, 1], [0, 0, 1, 1], [1, 1, 1, 0]])
    drawing = Maps("n", "t", "c", "a", (), 2, maps=(found, points))
    assert drawing.svg == drawing.svg and drawing.inline.count("<img") == 2


def test_neighbours_are_counted() -> None:
    points = pd.DataFrame({"x": [0, 1, 10, 11, 12], "y": [0, 0, 0, 0, 0], "label": [1, 1, 2, 2, 1]})
    assert neighbours(points) == pytest.approx(4 / 5)


def test_of_responses_and_copies_the_longest_protocol_is_shown_and_the_others_are_files() -> None:
    found = snapshot.read(RESULTS)
    whole = report(found)
    section = next(section for section in whole.sections if section.title == TITLE)
    shown = [drawing.name for part in section.walk() for drawing in part.drawings]
    of_all = {one.name for each in whole.judged for one in fig7(found.responses, Evidence.of(found, each))}
    assert [name for name in shown if name.startswith("fig7-")] == ["fig7-cifar10-paper", "fig7-cifar10-eighth"]
    assert len([name for name in shown if name.startswith("deepened-")]) == 1
    assert of_all - {*shown} <= {drawing.name for drawing in whole.only_drawn} and len(of_all) > 3
