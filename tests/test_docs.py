"""README, CONTRIBUTING and the pages: their links lead somewhere, their commands are commands, their Python runs."""

from __future__ import annotations

import re
import shlex
import tomllib
from pathlib import Path

import pytest
import yaml

from reports.__main__ import parser as reports_parser
from study.commands.cli import parser as study_parser
from study.recipes import RECIPES
from study.recording.record import Record
from tests.architecture import CONTRIBUTING, FLOORS, REPORT_FLOORS, with_picture
from tests.support import ROOT

PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]
PARSERS = {"study": study_parser, "reports": reports_parser}
COMMAND = re.compile(r"^ {4}python -m (study|reports) (.+)$", re.MULTILINE)
HISTORY = {"CHANGELOG.md", "findings.md"}  # name files as they were
BUILT = {"contributing.md", "changelog.md", "results/report.html"}  # docs/hooks.py makes them


def name(page: Path) -> str:
    return str(page.relative_to(ROOT))


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_relative_link_leads_to_a_file(page: Path) -> None:
    text = re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL)
    for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", text):
        if not target.startswith("http") and target not in BUILT:
            assert (page.parent / target).exists(), f"{name(page)} links to {target}"


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_command_is_accepted_by_its_parser(page: Path) -> None:
    for program, line in COMMAND.findall(page.read_text()):
        arguments = shlex.split(line, comments=True)
        PARSERS[program]().read(arguments)
        for word in arguments:
            assert not word.startswith("sweeps/") or (ROOT / word).exists(), word


def test_the_readme_is_one_page() -> None:
    assert len((ROOT / "README.md").read_text().split()) <= 1_300


@pytest.mark.parametrize("page", [page for page in PAGES if "```python" in page.read_text()], ids=name)
def test_the_python_of_a_page_runs_beside_a_trained_run(
    page: Path, undisturbed: Record, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "runs").symlink_to(undisturbed.folder.parent)
    (tmp_path / "reports").symlink_to(ROOT / "reports")
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"```python\n(.*?)```", page.read_text(), re.DOTALL)
    exec(compile("\n".join(blocks), str(page), "exec"), {})


def test_the_picture_of_the_floors_is_of_today() -> None:
    text = CONTRIBUTING.read_text()
    assert with_picture(text) == text, "run: python -m tests.architecture --write"


def test_the_readmes_map_has_every_folder() -> None:
    code = (ROOT / "README.md").read_text().split("## The code")[1].split("\n## ")[0]
    for floor in (*FLOORS, *REPORT_FLOORS):
        assert re.search(rf" {floor.split('.')[1]}(/|\.py) ", code), floor


def test_every_recipe_is_described() -> None:
    page = (ROOT / "docs" / "reference" / "recipes.md").read_text()
    described = set(re.findall(r"^\| `(\w+)` \| (\w+) \|", page, re.MULTILINE))
    assert {(name, dataset) for dataset, recipes in RECIPES.items() for name in recipes} == described


def test_every_key_of_a_record_is_described(undisturbed: Record) -> None:
    described = set(re.findall(r"`([^`]+)`", (ROOT / "docs" / "reference" / "record.md").read_text()))
    summary = undisturbed.summary()
    assert summary
    for row in (*undisturbed.history(), summary, undisturbed.provenance()):
        assert set(row) <= described, set(row) - described


def test_every_marker_is_described() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["pytest"]["ini_options"]
    page = (ROOT / "docs" / "testing.md").read_text()
    assert {marker.split(":")[0] for marker in settings["markers"]} == set(re.findall(r"^\| `(\w+)` \|", page, re.M))


@pytest.mark.parametrize("page", [page for page in PAGES if page.name not in HISTORY], ids=name)
def test_the_files_that_a_page_names_exist(page: Path) -> None:
    for path in re.findall(r"`((?:study|reports|tests|docs|sweeps)/[\w/.]+\.\w+)`", page.read_text()):
        assert (ROOT / path).exists(), f"{name(page)} names {path}"


def test_every_page_is_in_the_navigation() -> None:
    text = (ROOT / "mkdocs.yml").read_text()
    listed = set(re.findall(r"[\w/]+\.md", text.split("\nnav:")[1]))
    here = {str(page.relative_to(ROOT / "docs")) for page in (ROOT / "docs").rglob("*.md")}
    assert listed == here | {page for page in BUILT if page.endswith(".md")}


@pytest.mark.parametrize("path", sorted((ROOT / ".github" / "workflows").glob("*.yml")), ids=name)
def test_a_workflow_calls_targets_that_exist(path: Path) -> None:
    targets = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    steps = [step for job in yaml.safe_load(path.read_text())["jobs"].values() for step in job["steps"]]
    commands = [step["run"].split() for step in steps if "run" in step]
    assert commands
    for program, *parts in commands:
        assert program in (".ci/run", "make") and set(parts) <= targets
    for step in steps:
        assert "run" in step or re.search(r"@[0-9a-f]{40}$", step["uses"]), "pin an action by its commit"
