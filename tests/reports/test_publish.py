"""The real client, Api and wandb-workspaces publish to the loopback server: nothing is lost, nothing comes twice."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from reports.__main__ import run as reports
from reports.figures.palette import colour
from reports.gathering import snapshot
from reports.gathering.gather import gather
from reports.page import render
from reports.page.model import Report
from reports.page.sections import report
from reports.paper import numbers as paper
from reports.publish.document import relinked
from study.spec import Spec
from tests.records import write_run
from tests.support import refusal, run
from tests.wandb_server import ENTITY, Cloud, Run, Server

NAME = "resnet-study"
PROJECT = f"{ENTITY}/{NAME}"
# Where each run ends; Fig. 6 would cut the last one off, whose test error is above 20 %.
RUNS = {
    Spec("digits", 20, "none", "mini"): (0.1, 3.0),
    Spec("digits", 56, "none", "mini"): (40.0, 51.0),
    Spec("digits", 56, "A", "mini"): (0.0, 1.0),
    Spec("cifar10", 20, "A", "paper"): (0.7, 8.6),
    Spec("cifar10", 56, "none", "paper"): (6.0, 33.0),
}


@dataclass
class Published:
    """What was published from a folder, and what each time was printed."""

    cloud: Cloud
    out: Path
    whole: Report
    refused: Any
    first: Any
    again: Any
    views: dict[str, Any]  # after the first time
    rows: dict[str, int]

    @property
    def book(self) -> dict[str, str]:
        return json.loads((self.out / "published.json").read_text())[PROJECT]

    @property
    def run(self) -> Run:
        """The run of the report."""
        (found,) = (run for run in self.cloud.runs.values() if run.fields.get("jobType") == "report")
        return found

    @property
    def papers(self) -> list[Run]:
        return [run for run in self.cloud.runs.values() if run.fields.get("jobType") == "reference"]

    @property
    def blocks(self) -> list[Any]:
        """The blocks of the W&B report."""
        (view,) = (view for view in self.cloud.views.values() if view["type"] == "runs")
        return json.loads(view["spec"])["blocks"]

    @property
    def workspaces(self) -> dict[str, Any]:
        """The saved workspaces, by their names."""
        views = (view for view in self.cloud.views.values() if view["type"] == "project-view")
        return {view["displayName"]: json.loads(view["spec"]) for view in views}


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    server = Server()
    server.cloud.runs["one"] = Run("one", NAME, {"jobType": "train"}, started=True)
    yield server
    server.close()


@pytest.fixture(scope="module")
def published(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Published:
    """A small report, published three times; the first time its page was refused."""
    folder = tmp_path_factory.mktemp("published")
    whole = built(folder / "runs", folder / "out")
    server.cloud.refused.add("report.html")
    refused = publish(server, folder / "out")
    server.cloud.refused.clear()
    first = publish(server, folder / "out")
    views = {name: view["type"] for name, view in server.cloud.views.items()}
    rows = {name: len(run.history) for name, run in server.cloud.runs.items()}
    again = publish(server, folder / "out")
    return Published(server.cloud, folder / "out", whole, refused, first, again, views, rows)


def built(runs: Path, out: Path) -> Report:
    """The report of some runs, with its figures as PNG alone, which are all that is published of them."""
    for spec, errors in RUNS.items():
        record = write_run(runs, spec, *errors)
        if spec.dataset == "cifar10":
            record.note(url=f"http://127.0.0.1/{PROJECT}/runs/{spec.depth}")
    snapshot.write(gather(runs), out)
    whole = report(snapshot.read(out), out)
    render.build(whole, out, is_drawn=False)
    (out / "figures").mkdir()
    for drawing in whole.drawings:
        (out / "figures" / f"{drawing.name}.png").write_bytes(drawing.png)
    return whole


def publish(server: Server, out: Path, **variables: str) -> Any:
    own = {"WANDB_CONFIG_DIR": str(out.parent / "config"), "NETRC": "/nowhere"}
    arguments = ("reports", "publish", f"--out={out}", f"--wandb={PROJECT}")
    return run(*arguments, **server.environment | own | variables)


def panels(node: Any) -> list[Any]:
    """The configurations of every panel under a node of a stored view."""
    if isinstance(node, dict):
        own = [node] if "viewType" in node else []
        return own + [panel for value in node.values() for panel in panels(value)]
    return [panel for value in node for panel in panels(value)] if isinstance(node, list) else []


def chosen(run_set: Any) -> dict[str, Any]:
    """The filters of a set of runs, by what they look at."""
    return {f"{found['key']['name']} {found['op']}": found["value"] for found in run_set["filters"]["filters"]}


def contents(block: Any) -> str:
    return block.get("content", "") if block["type"] == "markdown-block" else ""


@pytest.mark.process
def test_a_rejected_upload_is_one_line_and_its_run_is_used_again(published: Published) -> None:
    assert published.refused.returncode == 2
    assert published.refused.stderr.startswith("reports: W&B rejected the report (it has no report.html); try again")
    assert published.refused.stderr.count("\n") == 1
    assert published.run.files["report.html"] == (published.out / "report.html").read_bytes()


@pytest.mark.process
def test_publishing_again_updates_what_is_there(published: Published) -> None:
    assert published.first.returncode == published.again.returncode == 0, published.again.stderr
    assert published.first.stdout == published.again.stdout == "".join(f"{k}: {v}\n" for k, v in published.book.items())
    assert {"run", "report", "workspace", "workspace cifar10-paper", "workspace digits-mini"} <= {*published.book}
    assert {name: view["type"] for name, view in published.cloud.views.items()} == published.views
    assert sorted(published.views.values()).count("runs") == 1
    assert {name: len(run.history) for name, run in published.cloud.runs.items()} == published.rows
    assert all(run.state == "finished" for run in (published.run, *published.papers))


@pytest.mark.process
def test_one_run_has_every_figure_every_table_the_page_and_the_snapshot(published: Published) -> None:
    logged, held = published.run.rows[-1], published.run.files
    pictures = {key: value for key, value in logged.items() if key.startswith("figures/")}
    assert {*pictures} == {f"figures/{drawing.name}" for drawing in published.whole.drawings}
    for key, value in pictures.items():
        assert held[value["path"]] == (published.out / f"{key}.png").read_bytes(), key
    for table in published.whole.tables:
        value = logged[f"tables/{table.name}"]
        assert value["_type"] == "table-file" and value["nrows"] == len(table.rows), table.name
        assert held[f"tables/{table.name}.csv"] == (published.out / "tables" / f"{table.name}.csv").read_bytes()
    assert held[logged["page"]["path"]].decode() == (published.out / "report.html").read_text()
    assert held["claims.json"] == (published.out / "claims.json").read_bytes()
    (version,) = (one for one in published.cloud.artifacts.values() if one.type == "snapshot")
    assert {*version.files} == {"runs.csv", "history.csv.gz", "responses.csv.gz"}
    assert version.files["runs.csv"] == (published.out / "runs.csv").read_bytes()
    assert len(version.aliases) == 2 and "latest" in version.aliases


@pytest.mark.process
def test_the_papers_curves_are_runs_that_gather_ignores(published: Published, server: Server, tmp_path: Path) -> None:
    curves = {file for panel in (paper.FIG6_PANELS, paper.FIG4_PANELS) for _, _, file in panel.values()}
    assert {run.fields["groupName"].removeprefix("paper/").removesuffix(" A") for run in published.papers} == {
        net for file in curves for net in paper.curves(file)["net"]
    }
    (plain,) = (run for run in published.papers if run.fields["groupName"] == "paper/plain-56")
    assert plain.id == "paper-cifar10-56-none" and plain.fields["tags"] == ["the paper"]
    assert {key: plain.config[key] for key in ("dataset", "depth", "shortcut", "recipe")} == {
        "dataset": "cifar10",
        "depth": 56,
        "shortcut": "none",
        "recipe": "paper",
    }
    theirs = paper.curves("fig6_plain.csv").query("net == 'plain-56'")
    for split in ("train", "test"):
        ours = [(row["step"], row[f"{split}/top1_error"]) for row in plain.rows if f"{split}/top1_error" in row]
        curve = theirs[theirs["split"] == split]
        assert ours == list(zip(curve["step"], curve["error"], strict=True)), split
    assert json.loads(plain.summary)["test/top1_error"] == 13.26, "the number that the report has"
    own = {"WANDB_CONFIG_DIR": str(tmp_path / "config"), "XDG_CACHE_HOME": str(tmp_path), "NETRC": "/nowhere"}
    done = run("reports", "gather", f"--wandb={PROJECT}", f"--out={tmp_path / 'out'}", **server.environment | own)
    assert done.returncode == 0 and "0 of 1 runs count" in done.stdout and "paper-" not in done.stdout, done.stderr


@pytest.mark.process
def test_the_report_has_the_figures_of_the_page_and_no_caption_without_one(published: Published) -> None:
    """A picture for each drawing of REPORT.md, its caption below it; every heading and every table."""
    text = (published.out / "REPORT.md").read_text()
    drawn = re.findall(r"\]\(figures/(.*)\.svg\)", text)
    media = [panel["config"]["mediaKeys"] for panel in panels(published.blocks) if panel["viewType"] == "Media Browser"]
    assert media == [[f"figures/{name}"] for name in drawn] and {"fig1", "fig6-digits-mini"} <= {*drawn}
    assert {key for keys in media for key in keys} <= {*published.run.rows[-1]}
    for above, block in zip(published.blocks, published.blocks[1:], strict=False):
        if contents(block).startswith(("*Fig.", "*Error at the end")):
            assert [panel["viewType"] for panel in panels(above)] == ["Media Browser"]
        if contents(block).startswith("*Live"):
            assert {panel["viewType"] for panel in panels(above)} == {"Run History Line Plot"}
    blocks = json.dumps(published.blocks, ensure_ascii=False)
    for line in text.splitlines()[1:]:
        if line.startswith("#"):
            assert line.lstrip("# ") in blocks, line
        elif line.startswith(("|", "- ", "*")) and "](" not in line:
            assert json.dumps(line, ensure_ascii=False)[1:-1] in blocks, line


@pytest.mark.process
def test_every_link_of_the_report_leads_somewhere(published: Published) -> None:
    text = "\n".join(map(contents, published.blocks))
    assert "](#" not in text and "<a id=" not in text
    links = re.findall(r"\]\(([^)]*)\)", text)
    files = {link.partition("/files/")[2] for link in links if "/files/" in link}
    assert {"report.html", "claims.json", "tables/table6.csv"} <= files <= {*published.run.files}
    others = {link for link in links if "/files/" not in link}
    theirs = {f"http://127.0.0.1/{PROJECT}/runs/{spec.depth}" for spec in RUNS if spec.dataset == "cifar10"}
    assert others == theirs | {*published.book.values()} - {published.book["report"]}


def test_a_link_that_would_lead_nowhere_becomes_text() -> None:
    text = (
        'a <a id="run-x"></a>[9.3 \\[a\\]](#run-x), [8.1](#run-y), [b](c/d.csv), [e](https://f/g), ![h](figures/i.svg)'
    )
    assert relinked(text, "http://run", {"run-y": "http://y"}) == (
        "a 9.3 \\[a\\], [8.1](http://y), [b](http://run/files/c/d.csv), [e](https://f/g), ![h](figures/i.svg)"
    )


@pytest.mark.process
def test_live_panels_show_ours_on_theirs(published: Published) -> None:
    grids = [block["metadata"] for block in published.blocks if len(panels(block)) == 2]
    sets = [[chosen(runs) for runs in grid["runSets"]] for grid in grids]
    assert [(ours["dataset ="], ours["recipe ="], len(others)) for ours, *others in sets] == [
        *[("cifar10", "paper", 1), ("cifar10", "paper", 1)],
        *[("digits", "mini", 0), ("digits", "mini", 0)],
        *[("imagenet", "paper", 1), ("imagenet", "paper", 1)],
    ]
    assert [next(key for key in ours if key.startswith("shortcut")) for ours, *_ in sets] == [
        "shortcut =",
        "shortcut !=",
    ] * 3
    for grid, (ours, *others) in zip(grids, sets, strict=True):
        assert ours["jobType ="] == "train" and all(theirs["jobType ="] == "reference" for theirs in others)
        marked = {key.split(":")[0] for panel in panels(grid) for key in panel["config"].get("overrideMarks", ())}
        assert marked <= {run.id for run in published.papers} and bool(marked) == bool(others)
    colours = grids[0]["customRunColors"]
    (group,) = (key for key in colours if key.endswith("-config:depth.value:56-config:shortcut.value:none"))
    assert colours[group] == colour((56, "none")) != colours["paper-cifar10-56-none"]
    live = [contents(block) for block in published.blocks if contents(block).startswith("*Live")]
    assert ["Dashed" in caption for caption in live] == [True, False, True]
    assert ["None of the report's runs" in caption for caption in live] == [False, True, True]


@pytest.mark.process
def test_every_finished_run_is_in_sight_in_each_workspace(published: Published) -> None:
    whole, history = published.whole.snapshot, published.whole.snapshot.history
    views = {comparison.title: comparison.of(whole.runs) for comparison in published.whole.judged}
    assert {*published.workspaces} == {*views, render.TITLE}
    for name, view in published.workspaces.items():
        runs = views.get(name, whole.runs)["run"]
        for panel in panels(view):
            metric = panel["config"].get("metrics", [""])[0]
            if panel["viewType"] == "Run History Line Plot" and metric.endswith("error"):
                low, high = panel["config"]["yAxisMin"], panel["config"]["yAxisMax"]
                seen = history[history[metric].between(low, high)]["run"]
                assert {*runs} <= {*seen}, (name, metric)


@pytest.mark.process
def test_a_workspace_shows_one_protocol_and_the_paper_in_the_reports_colours(published: Published) -> None:
    view = published.workspaces["CIFAR-10, the paper's recipe"]["section"]
    (runs,) = view["runSets"]
    assert chosen(runs) == {"dataset =": "cifar10", "recipe =": "paper", "jobType IN": ["train", "reference"]}
    assert [key["name"] for key in runs["grouping"]] == ["shortcut.value", "group"], (
        "plain beside residual, seeds together"
    )
    assert list(runs["runFeed"]["columnPinned"])[:2] == ["run:displayName", "summary:test/top1_error"]
    assert {colour((56, "none")), colour((20, "A"))} <= {*view["customRunColors"].values()}
    assert any("paper%2Fplain-56" in key for key in view["customRunColors"])
    assert [panel["viewType"] for panel in panels(view)] == [
        *["Run History Line Plot"] * 2,
        *["Scatter Plot"] * 2,
        *["Bar Chart", "Parallel Coordinates Plot"],
        *["Run History Line Plot"] * 2,
        "Media Browser",
    ]
    assert {panel["config"]["xAxis"] for panel in panels(view) if panel["viewType"] == "Run History Line Plot"} == {
        "step"
    }


@pytest.mark.slow
@pytest.mark.process
def test_what_has_changed_is_a_version_and_what_was_deleted_is_sent_again(tmp_path: Path) -> None:
    server, out = Server(), tmp_path / "out"
    built(tmp_path / "runs", out)
    assert publish(server, out).returncode == 0
    before = {**server.cloud.runs}
    write_run(tmp_path / "runs", Spec("cifar10", 20, "A", "paper", 1), 0.8, 8.5)
    for path in (out / "figures").iterdir():
        path.unlink()
    (out / "figures").rmdir()
    built(tmp_path / "runs", out)
    server.cloud.delete(server.cloud.runs["paper-cifar10-56-none"])
    done = publish(server, out)
    assert done.returncode == 0, done.stderr
    assert {*server.cloud.runs} == {*before} - {"paper-cifar10-56-none"} | {"paper-cifar10-56-none-2"}
    (run,) = (run for run in server.cloud.runs.values() if run.fields.get("jobType") == "report")
    assert len(run.history) == 2, "a step of its figures for each time"
    versions = [one for one in server.cloud.artifacts.values() if one.type == "snapshot"]
    assert [one.version for one in versions] == [0, 1] and "latest" in versions[1].aliases
    server.close()


@pytest.mark.process
def test_what_stands_in_the_way_is_one_line(
    published: Published, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {**server.environment, "NETRC": "/nowhere"}.items():
        monkeypatch.setenv(name, value)
    here = ("publish", f"--out={tmp_path}", f"--wandb={PROJECT}")
    assert "has no REPORT.md; run: python -m reports build" in refusal(reports, *here)
    (tmp_path / "REPORT.md").write_text("of another time")
    assert "has no snapshot" in refusal(reports, *here)
    snapshot.write(published.whole.snapshot, tmp_path)
    assert "is out of date; run: python -m reports build" in refusal(reports, *here)
    render.build(published.whole, tmp_path, is_drawn=False)
    assert "has no figures/depth.png; run: python -m reports build" in refusal(reports, *here)
    monkeypatch.setenv("WANDB_API_KEY", "")
    assert "wandb login" in refusal(reports, *here)
