"""The page of exhibits and claims is what the code says, and each claim names the sweeps that train its networks."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

import pandas as pd
import pytest

from reports.gathering import snapshot
from reports.judging.claim import Claim
from reports.judging.claims import CLAIMS
from reports.judging.comparison import Net
from reports.judging.evidence import Evidence
from reports.page import exhibits
from study.sweeps.grid import cells
from tests.support import ROOT, SNAPSHOT

Cell = tuple[str, int, str, str]  # data set, depth, shortcut, recipe


@dataclass(frozen=True)
class Watched(Evidence):
    """Evidence that notes which networks were looked at."""

    looked_at: set[Cell] = field(default_factory=set)

    def net(self, net: Net, recipe: str | None = None) -> pd.DataFrame:
        self.looked_at.add((self.comparison.dataset, *net, recipe or self.comparison.recipe))
        return super().net(net, recipe)


@pytest.fixture(scope="module")
def results() -> pd.DataFrame:
    return snapshot.read(SNAPSHOT).results


def trained_by(sweep: str) -> set[Cell]:
    return {(s.dataset, s.depth, s.shortcut, s.recipe) for s in cells(ROOT / "sweeps" / f"{sweep}.yaml")}


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: claim.id)
def test_the_sweeps_of_a_claim_train_every_network_that_it_looks_at(claim: Claim, results: pd.DataFrame) -> None:
    """What a claim looks at it names in the plan, and its sweeps train what it names."""
    evidence, planned = Watched(results, claim.comparison), claim.planned
    claim.judge(evidence)
    named = {(planned.dataset, net.depth, net.shortcut, net.recipe or "paper") for net in planned.nets}
    sweeps = [trained_by(sweep) for sweep in planned.sweeps]
    assert evidence.looked_at <= named <= set().union(*sweeps)
    assert all(named & sweep for sweep in sweeps), "each sweep trains a network that the claim names"


def test_the_page_of_exhibits_is_what_the_code_says() -> None:
    page = (ROOT / "docs" / "exhibits.md").read_text()
    assert page == exhibits.page(), f"run: {exhibits.COMMAND}"


def test_every_exhibit_names_sweeps_that_are_there() -> None:
    named = set(re.findall(r"`(sweeps/[^`]+)`", exhibits.page()))
    assert named and all((ROOT / sweep).exists() for sweep in named)


def test_every_claim_of_the_paper_stands_on_the_page_once() -> None:
    assert re.findall(r"^\| (C\d\d) ", exhibits.page(), re.MULTILINE) == [f"C{i:02d}" for i in range(1, 37)]


def functions() -> Iterator[str]:
    for exhibit in exhibits.EXHIBITS:
        yield from (function.__name__ for function in exhibit.made_by)


def test_every_table_and_figure_of_the_paper_that_is_attempted_has_a_row() -> None:
    assert {f"table{i}" for i in range(1, 7)} | {"fig1", "fig4", "fig6", "fig7"} <= set(functions())
