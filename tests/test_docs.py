"""README, CONTRIBUTING and the pages: their links lead somewhere, their commands are commands, their Python runs."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from reports.__main__ import parser as reports_parser
from study.commands.cli import parser as study_parser
from tests.support import ROOT

PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]
PARSERS = {"study": study_parser, "reports": reports_parser}
COMMAND = re.compile(r"^ {4}python -m (study|reports) (.+)$", re.MULTILINE)
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
def test_the_python_of_a_page_runs(page: Path) -> None:
    blocks = re.findall(r"```python\n(.*?)```", page.read_text(), re.DOTALL)
    exec(compile("\n".join(blocks), str(page), "exec"), {})
