"""What the pages take from the code when they are built, so that it cannot go out of date.

A comment such as ``<!-- command line -->``, alone on its line, is replaced by what the code says. Files outside docs/
(the report, its figures, CONTRIBUTING.md, CHANGELOG.md) become pages or files of the site.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import fields
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from reports.__main__ import parser as reports_parser  # noqa: E402
from reports.page.readme import BEGIN, END  # noqa: E402
from reports.tables.claims import VERDICTS  # noqa: E402
from study.commands.cli import parser as study_parser  # noqa: E402
from study.departures import DEPARTURES  # noqa: E402
from study.machine.options import MachineOptions  # noqa: E402
from study.recipes import RECIPES, ImageNetRecipe, Recipe  # noqa: E402
from tests.architecture import FLOORS, REPORT_FLOORS, files, floor, imports, module  # noqa: E402

RESULTS = "reports/results/"
LINKED = ("report.html", "claims.json", "figures/*", "tables/*")  # what the page links to
PAGES = {"contributing.md": "CONTRIBUTING.md", "changelog.md": "CHANGELOG.md"}


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add what lies outside docs/: the report and what it links to, and the pages that GitHub shows."""
    linked = (path for kind in LINKED for path in sorted((ROOT / RESULTS).glob(kind)))
    for path in linked:
        name = f"results/{path.relative_to(ROOT / RESULTS)}"
        files.append(File.generated(config, name, abs_src_path=str(path)))
    for name, source in PAGES.items():
        files.append(File.generated(config, name, content=_relinked((ROOT / source).read_text())))
    return files


def _relinked(text: str) -> str:
    """A page of the repository's root as a page of docs/: links into docs/ lose that folder, others to code go."""
    text = re.sub(r"\]\(docs/", "](", text)
    for name, source in PAGES.items():
        text = text.replace(f"]({source})", f"]({name})")
    return re.sub(r"\[([^]]+)\]\((?!https?:|#)(?![\w/]+\.md[)#])[^)]+\)", r"\1", text)


def on_page_markdown(markdown: str, **_: object) -> str:
    """Replace each ``<!-- name -->`` by what the code says."""
    for name, make in PARTS.items():
        if f"<!-- {name} -->" in markdown:
            markdown = markdown.replace(f"<!-- {name} -->", make())
    return markdown


def results() -> str:
    """README's figure and table."""
    text = (ROOT / "README.md").read_text()
    block = text.split(BEGIN)[1].split(END)[0].strip()
    return block.replace(f"{RESULTS}REPORT.md", "report.md").replace(RESULTS, "results/")


def claims() -> str:
    """Every verdict of the committed report that rests on runs or counts, by comparison."""
    found = json.loads((ROOT / RESULTS / "claims.json").read_text())
    rows = [_verdict(claim) for claim in found if claim["verdict"] != "missing"]
    return table(("claim", "in the paper", "statement", "comparison", "verdict", "direction"), rows)


def _verdict(claim: dict[str, str]) -> tuple[str, ...]:
    about = (claim["id"], claim["where"], claim["statement"], claim["group"])
    return (*about, VERDICTS[claim["verdict"]], claim["direction"])


def command_line() -> str:
    """Every verb of the two programs with its flags."""
    return "\n\n".join([*_program(study_parser()), *_program(reports_parser())])


def _program(parser: argparse.ArgumentParser) -> Iterator[str]:
    yield f"## python -m {parser.prog}"
    yield parser.description or ""
    options = [action for action in parser._actions if action.option_strings and action.dest != "help"]
    yield table(("argument", "meaning"), [_argument(action) for action in options])
    verbs = next(action for action in parser._actions if isinstance(action, argparse._SubParsersAction))
    helps = {choice.dest: choice.help for choice in verbs._choices_actions}
    for name, verb in verbs.choices.items():
        yield f"### {parser.prog} {name}"
        yield sentence(helps[name] or "")
        yield table(("argument", "meaning"), [_argument(action) for action in verb._actions if action.dest != "help"])


def _argument(action: argparse.Action) -> tuple[str, str]:
    default = str(action.default).replace(str(ROOT), ".")
    text = (action.help or "").replace("%(default)s", default)
    name = action.option_strings[0] if action.option_strings else action.dest.upper()
    takes = "" if action.nargs == 0 or not action.option_strings else f"={action.metavar or action.dest.upper()}"
    needed = "; required" if action.required and action.option_strings else ""
    return f"`{name}{takes}`", f"{text}{needed}"


def variables() -> str:
    """The environment variables that set defaults of machine options."""
    options = [(each.name, each.metadata["option"]) for each in fields(MachineOptions)]
    rows = [(f"`{o.variable}`", f"`--{name.replace('_', '-')}`", o.help) for name, o in options if o.variable]
    return table(("variable", "flag", "what it says"), rows)


def recipes() -> str:
    """Every recipe in numbers."""
    head = ("data set", "recipe", "steps", "batch", "learning rate", "divided by 10 at", "images", "evaluations")
    named = [(data, name, recipe) for data, recipes in RECIPES.items() for name, recipe in recipes.items()]
    return table(head, [(f"`{data}`", f"`{name}`", *_recipe(recipe)) for data, name, recipe in named])


def _recipe(recipe: Recipe) -> Iterable[str]:
    drops = ", ".join(f"{drop:,}" for drop in recipe.drops)
    if isinstance(recipe, ImageNetRecipe) and not drops:
        drops = "when the training error stops falling"
    images = f"{recipe.train_images:,}" if recipe.train_images else "all"
    yield from (f"{recipe.steps:,}", str(recipe.batch), str(recipe.lr))
    yield from (drops or "linear to 0", images, str(recipe.evaluations))


def departures() -> str:
    """Where the study departs from the paper."""
    head = ("what", "the paper", "this study", "public re-runs", "may matter for")
    rows = [(d.what, d.paper, d.ours, d.others or "–", ", ".join(d.claims) or "–") for d in DEPARTURES]
    return table(head, rows)


def floors() -> str:
    """The folders from the roof to the ground, each with the folders that it imports."""
    rows = [(f"`{name}`", what, _lower(name)) for name, what in {**REPORT_FLOORS, **FLOORS}.items()]
    return table(("folder", "job", "imports"), rows)


def _lower(name: str) -> str:
    inside = [path for path in files() if floor(module(path)) == name]
    used = {floor(imported) for path in inside for imported in imports(path)} - {name, ""}
    order = [*REPORT_FLOORS, *FLOORS]
    return ", ".join(f"`{each}`" for each in sorted(used, key=order.index)) or "–"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table; bars inside cells are escaped."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(str(cell).replace("|", "\\|") for cell in line) + " |" for line in lines)


def sentence(text: str) -> str:
    """The text with a capital letter and a full stop."""
    return f"{text[:1].upper()}{text[1:].removesuffix('.')}."


PARTS: dict[str, Callable[[], str]] = {
    "results": results,
    "claims": claims,
    "command line": command_line,
    "recipes": recipes,
    "variables": variables,
    "departures": departures,
    "floors": floors,
}
