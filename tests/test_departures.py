"""The list of departures covers what the paper leaves open in a recipe, and what an audit found in the code."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

import pytest
import torch

from reports.judging.plan import plan
from reports.tables.sources import departure_table
from reports.tables.table import text
from study import recipes
from study.data.datasets import dataset_info
from study.departures import ALL, DEPARTURES, STATED
from study.network import build
from study.recipes import ImageNetRecipe

FIELDS = {field.name for field in fields(ImageNetRecipe)}
SOURCE = Path(recipes.__file__).read_text()


def test_every_field_of_a_recipe_that_the_paper_leaves_open_has_an_entry() -> None:
    open_fields = [name for departure in DEPARTURES for name in departure.fields]
    assert len(open_fields) == len(set(open_fields)), "each is explained once"
    assert set(STATED) | set(open_fields) == FIELDS and not set(STATED) & set(open_fields)


@pytest.mark.parametrize("name", sorted(STATED))
def test_a_field_that_the_paper_states_is_cited_where_it_is_defined(name: str) -> None:
    lines = " ".join(re.findall(rf"^    {name}: .*$", SOURCE, re.MULTILINE))
    assert any(f"Sec. {section}" in lines for section in re.findall(r"\d\.\d", STATED[name]))


def test_every_entry_says_what_the_paper_has_and_what_the_study_does() -> None:
    assert all(d.what and d.paper and d.ours for d in DEPARTURES)
    assert len({d.what for d in DEPARTURES}) == len(DEPARTURES) >= 11 + 16


def test_entries_name_claims_that_there_are() -> None:
    for departure in DEPARTURES:
        assert departure.claims == ALL or set(departure.claims) <= set(plan().claims), departure.what
        assert departure.claims or departure.what in ("scaled-down recipes", "Tiny ImageNet")


def test_a_departure_that_concerns_one_data_set_names_it() -> None:
    """So no card of a network has what concerns another data set; Tiny ImageNet is not ImageNet."""
    for departure in DEPARTURES:
        if departure.dataset:
            assert dataset_info(departure.dataset).title in departure.what
        assert bool(departure.dataset) == ("ImageNet" in departure.what), departure.what
    assert [d.what for d in DEPARTURES if d.dataset == "tinyimagenet"] == ["Tiny ImageNet"]


@pytest.mark.parametrize("word", ["precision", "fan_out", "weight decay", "plain-110", "Fig. 7", "padding", "255"])
def test_the_table_holds_what_the_audit_found(word: str) -> None:
    cells = " ".join(text(cell) for row in departure_table().rows for cell in row)
    assert word in cells


def test_the_spreads_of_initial_weights_are_those_of_the_network() -> None:
    torch.manual_seed(0)
    (entry,) = (d for d in DEPARTURES if d.what == "initial weights of convolutions")
    ours, caffes = (float(found) for found in re.findall(r"0\.\d\d", entry.ours))
    assert float(build("cifar10", 56, "A").stem.conv.weight.detach().std()) == pytest.approx(ours, abs=0.02)
    assert caffes == pytest.approx((2 / 27) ** 0.5, abs=0.005)
