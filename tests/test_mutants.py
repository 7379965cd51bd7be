"""The mutants are of the code that is there: each changes a line that stands once in its file."""

from __future__ import annotations

from tests.mutants import MUTANTS
from tests.support import ROOT


def test_each_mutant_changes_one_line_that_is_there() -> None:
    lost = [mutant.name for mutant in MUTANTS if (ROOT / mutant.file).read_text().count(mutant.before) != 1]
    assert not lost
    assert all((ROOT / "tests" / name).exists() for mutant in MUTANTS for name in mutant.tests.split())
