"""Every mutant can still be made: its line stands once in its file, and its tests are there."""

from __future__ import annotations

import pytest

from tests.mutants import MUTANTS, ROOT, Mutant


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_a_mutants_line_stands_once(mutant: Mutant) -> None:
    assert (ROOT / mutant.file).read_text().count(mutant.before) == 1, "change tests/mutants.py with the line"
    assert mutant.before != mutant.after
    assert all((ROOT / "tests" / name).exists() for name in mutant.tests.split())
