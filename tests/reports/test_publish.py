"""The real wandb-workspaces client posts the workspace and the report to the loopback server."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support import RESULTS, run
from tests.wandb_server import ENTITY, Cloud, Run, Server

pytestmark = pytest.mark.process

PROJECT = f"{ENTITY}/resnet-study"


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    server = Server()
    server.cloud.runs["one"] = Run("one", "resnet-study", started=True)
    yield server
    server.close()


@pytest.fixture(scope="module")
def published(server: Server, tmp_path_factory: pytest.TempPathFactory) -> tuple[Cloud, Path]:
    """The committed report, published twice."""
    out = tmp_path_factory.mktemp("published")
    shutil.copy(RESULTS / "REPORT.md", out)
    for _ in range(2):
        done = publish(server, out)
        assert done.returncode == 0, done.stderr
        assert "workspace: http" in done.stdout and "report: http" in done.stdout
    return server.cloud, out


def publish(server: Server, out: Path, **variables: str) -> Any:
    own = {"WANDB_CONFIG_DIR": str(out / "config"), "NETRC": "/nowhere"}
    arguments = ("reports", "publish", f"--out={out}", f"--wandb={PROJECT}")
    return run(*arguments, **server.environment | own | variables)


def spec(cloud: Cloud, kind: str) -> Any:
    """The stored form of the one view of a kind."""
    (view,) = (view for view in cloud.views.values() if view["type"] == kind)
    return json.loads(view["spec"])


def panels(node: Any) -> list[Any]:
    """The configurations of every panel under a node of a stored view."""
    if isinstance(node, dict):
        own = [node] if "viewType" in node else []
        return own + [panel for value in node.values() for panel in panels(value)]
    return [panel for value in node for panel in panels(value)] if isinstance(node, list) else []


def test_publishing_again_updates_what_is_there(published: tuple[Cloud, Path]) -> None:
    assert sorted(view["type"] for view in published[0].views.values()) == ["project-view", "runs"]


def test_the_workspace_holds_fig_6_speed_and_rate(published: tuple[Cloud, Path]) -> None:
    found = panels(spec(published[0], "project-view"))
    metrics = [
        tuple(panel["config"].get("metrics", ())) for panel in found if panel["viewType"] == "Run History Line Plot"
    ]
    assert metrics == [("train/top1_error",), ("test/top1_error",), ("images_per_second",), ("lr",)]
    assert {panel["config"]["xAxis"] for panel in found if "xAxis" in panel["config"]} == {"step"}
    (runset,) = spec(published[0], "project-view")["section"]["runSets"]
    grouping = [key["name"] for key in runset["grouping"]]
    assert grouping == ["shortcut.value", "group"], "plain beside residual, seeds together"
    media = [panel["config"]["mediaKeys"] for panel in found if panel["viewType"] == "Media Browser"]
    assert media == [["responses", "confusion"]]


def test_the_report_mirrors_the_page_with_live_panels(published: tuple[Cloud, Path]) -> None:
    """The answers, every heading and table of REPORT.md, and for Fig. 6 the runs themselves, plain and residual."""
    cloud, out = published
    blocks = spec(cloud, "runs")["blocks"]
    text = json.dumps(blocks, ensure_ascii=False)
    for line in (out / "REPORT.md").read_text().splitlines()[1:]:
        if line.startswith("#"):
            assert line.lstrip("# ") in text, line
        elif line.startswith(("|", "- ")):
            assert json.dumps(line, ensure_ascii=False)[1:-1] in text, line
    grids = [block for block in blocks if block["type"] == "panel-grid"]
    drawn = re.findall(r"figures/fig6-(\w+)-(\w+)\.svg", (out / "REPORT.md").read_text())
    assert {"digits", "cifar10"} == {dataset for dataset, _ in drawn} and len(grids) == 2 * len(drawn)
    for grid in grids:
        metrics = [panel["config"]["metrics"] for panel in panels(grid) if "metrics" in panel["config"]]
        assert metrics == [["train/top1_error"], ["test/top1_error"]]
    filters = [json.dumps(grid["metadata"]["runSets"][0]["filters"]) for grid in grids]
    for (dataset, recipe), plain, residual in zip(drawn, filters[::2], filters[1::2], strict=True):
        assert all(word in chosen for word in (f'"{dataset}"', f'"{recipe}"') for chosen in (plain, residual))
        assert '"!="' not in plain and '"!="' in residual


def test_what_stands_in_the_way_is_one_line(server: Server, tmp_path: Path) -> None:
    done = publish(server, tmp_path)
    assert done.returncode == 2 and "has no REPORT.md; run: python -m reports build" in done.stderr
    shutil.copy(RESULTS / "REPORT.md", tmp_path)
    done = publish(server, tmp_path, WANDB_API_KEY="")
    assert done.returncode == 2 and "wandb login" in done.stderr and done.stderr.count("\n") == 1
