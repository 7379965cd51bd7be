"""A command line means the same however W&B's macros spell it."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from study.commands.cli import parser
from study.spec import Spec
from tests.strategies import specs

PARSER = parser()


@st.composite
def spellings(draw: st.DrawFn, spec: Spec) -> list[str]:
    """Write the cell's flags in any order, with or without "=", with what W&B adds and what it leaves out."""
    words: list[list[str]] = []
    for name, value in draw(st.permutations(sorted(spec.factors.items()))):
        written = "None" if value == "none" and draw(st.booleans()) else str(value)
        words.append([f"--{name}={written}"] if draw(st.booleans()) else [f"--{name}", written])
    more = [["--devices=None"], ["--precision", "None"], ['--_wandb={"a": "--b=c"}'], ["--_wandb", "{}"]]
    for extra in draw(st.lists(st.sampled_from(more), unique_by=str)):
        words.insert(draw(st.integers(0, len(words))), extra)
    return [word for part in words for word in part]


@given(st.data())
def test_any_spelling_of_a_cell_is_read_as_the_cell(data: st.DataObject) -> None:
    spec = data.draw(specs())
    options = PARSER.read(["train", *data.draw(spellings(spec))])
    assert Spec(options.dataset, options.depth, options.shortcut, options.recipe, options.seed) == spec
    assert (options.devices, options.precision) == (1, "auto")


@given(st.booleans(), st.booleans(), st.booleans())
def test_a_switch_is_read_with_and_without_its_value(status: bool, dry_run: bool, spelt: bool) -> None:
    written = {"--status": status, "--dry-run": dry_run}
    words = [f"{flag}={value}" if spelt else flag for flag, value in written.items() if spelt or value]
    options = PARSER.read(["sweep", *words, "f.yaml"])
    assert (options.status, options.dry_run) == (status, dry_run)
