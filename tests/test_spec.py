from __future__ import annotations

from typing import get_args

import pytest
from hypothesis import given

from study.spec import DATASETS, FACTORS, WHOLE_NUMBERS, Dataset, InputError, Spec
from tests.strategies import specs


def test_a_name_is_made_of_the_five_factors_and_read_back() -> None:
    spec = Spec("cifar10", 56, "none", "paper", 0)
    assert spec.name == "cifar10-56-none-paper-s0"
    assert Spec.parse(spec.name) == spec
    assert Spec.parse("imagenet-34-B-paper45k-s12") == Spec("imagenet", 34, "B", "paper45k", 12)


@given(specs())
def test_a_name_is_read_back_as_the_cell(spec: Spec) -> None:
    assert Spec.parse(spec.name) == spec
    assert spec.former_name is None or Spec.parse(spec.former_name) == spec


def test_a_renamed_recipe_is_read_under_its_new_name() -> None:
    """Digits' recipe was called paper, which it is not, until 2026-11-25."""
    spec = Spec.parse("digits-8-A-paper-s3")
    assert spec == Spec("digits", 8, "A", "mini", 3) == Spec("digits", 8, "A", seed=3)
    assert (spec.name, spec.former_name) == ("digits-8-A-mini-s3", "digits-8-A-paper-s3")
    assert Spec("cifar10", 8, "A", "mini").former_name is None


@pytest.mark.parametrize(
    "name", ["cifar10-56-none-paper", "cifar10-56-D-paper-s0", "x", "cifar10-56-none-paper-s0/..", ""]
)
def test_what_is_no_name_is_refused(name: str) -> None:
    with pytest.raises(InputError):
        Spec.parse(name)


@pytest.mark.parametrize("depth", [20, 32, 44, 56, 110, 1202, 8, 14])
def test_cifar_depths_are_6n_plus_2(depth: int) -> None:
    assert Spec("cifar10", depth, "A").depth == depth


@pytest.mark.parametrize(
    ("factors", "says"),
    [
        (("cifar10", 21, "A"), "nearest are 20 and 26"),
        (("cifar10", 2, "A"), "6n+2"),
        (("imagenet", 20, "A"), "18, 34, 50, 101, 152"),
        (("cifar10", 20, "D"), "none, A, B, C"),
        (("cifar100", 20, "A"), "digits, cifar10, imagenet, tinyimagenet"),
        (("cifar10", 20, "A", "../x"), "recipe"),
        (("cifar10", 20, "A", "paper", -1), "seed"),
    ],
)
def test_a_wrong_factor_is_named_with_the_fix(factors: tuple[str, int, str], says: str) -> None:
    with pytest.raises(InputError, match=says.replace("+", r"\+")):
        Spec(*factors)


def test_titles_are_the_papers() -> None:
    assert [Spec("cifar10", 56, s).title for s in ("none", "A", "B")] == ["plain-56", "ResNet-56", "ResNet-56 B"]
    assert [Spec("imagenet", d, "B").title for d in (34, 50)] == ["ResNet-34 B", "ResNet-50"]


def test_every_data_set_has_a_family() -> None:
    assert get_args(Dataset) == DATASETS
    assert [Spec(d, n, "A").family for d, n in (("digits", 8), ("cifar10", 20), ("imagenet", 18))] == [
        "cifar",
        "cifar",
        "imagenet",
    ]
    assert WHOLE_NUMBERS == ("depth", "seed") and set(WHOLE_NUMBERS) < set(FACTORS)
