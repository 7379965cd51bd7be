from __future__ import annotations

from dataclasses import replace

import pytest

from study.recipes import RECIPES, ImageNetRecipe, exhibits, per_device_batch, recipe_for
from study.spec import FAMILIES, InputError, Spec


def test_the_papers_recipe() -> None:
    recipe = recipe_for(Spec("cifar10", 20, "none"))
    assert (recipe.batch, recipe.steps, recipe.momentum, recipe.weight_decay) == (128, 64_000, 0.9, 1e-4)
    assert (recipe.pad, recipe.flip, recipe.train_images, recipe.warmup_error) == (4, True, None, None)
    assert recipe_for(Spec("cifar10", 20, "A", "paper45k")).train_images == 45_000
    assert recipe_for(Spec("cifar10", 20, "A", "long")).steps == 3 * 64_000


def test_the_papers_recipe_for_imagenet() -> None:
    recipe = recipe_for(Spec("imagenet", 34, "B"))
    assert isinstance(recipe, ImageNetRecipe)
    assert (recipe.batch, recipe.steps, recipe.shorter, recipe.lighting) == (256, 600_000, (256, 480), 0.1)
    assert (recipe.momentum, recipe.weight_decay, per_device_batch(recipe, 8)) == (0.9, 1e-4, 32)


@pytest.mark.parametrize(("dataset", "name"), [(d, name) for d, recipes in RECIPES.items() for name in recipes])
def test_every_recipe_is_evaluated_evenly_and_at_its_last_step(dataset: str, name: str) -> None:
    recipe = replace(RECIPES[dataset][name], early_steps=0)
    steps = recipe.evaluation_steps
    assert steps[-1] == recipe.steps and len(set(steps)) == recipe.evaluations
    gaps = {b - a for a, b in zip((0, *steps), steps, strict=False)}
    assert max(gaps) - min(gaps) <= 1


def test_the_paper_is_evaluated_every_64th_of_the_run() -> None:
    assert recipe_for(Spec("cifar10", 20, "A")).evaluation_steps == tuple(range(1_000, 64_001, 1_000))


def test_without_warmup_the_start_is_evaluated_as_often_as_a_warmup_is_looked_at() -> None:
    """An epoch has 391 steps; footnote 5 speaks of several."""
    steps = recipe_for(Spec("cifar10", 110, "A", "nowarmup")).evaluation_steps
    assert steps == (*range(50, 2_001, 50), *range(3_000, 64_001, 1_000))


def test_eighth_is_the_papers_protocol_at_an_eighth_of_its_length() -> None:
    paper, eighth = RECIPES["cifar10"]["paper"], RECIPES["cifar10"]["eighth"]
    assert (eighth.steps, eighth.drops, eighth.evaluations) == (8_000, (4_000, 6_000), 64)
    assert replace(eighth, steps=paper.steps, drops=paper.drops, scale="full") == paper
    assert recipe_for(Spec("cifar10", 110, "A", "eighth")).warmup_error == 80.0


def test_scaled_down_recipes_are_called_so() -> None:
    full = {(d, name) for d, recipes in RECIPES.items() for name, recipe in recipes.items() if recipe.scale == "full"}
    assert full == {
        ("cifar10", "paper"),
        ("cifar10", "paper45k"),
        ("cifar10", "long"),
        ("cifar10", "nowarmup"),
        ("cifar10", "warmup"),
        ("imagenet", "paper"),
        ("imagenet", "plateau"),
    }


def test_the_global_batch_is_the_constant() -> None:
    recipe = recipe_for(Spec("cifar10", 20, "A"))
    assert [per_device_batch(recipe, n) for n in (1, 2, 8)] == [128, 64, 16]
    with pytest.raises(InputError, match="does not divide by 3 devices; use one of: 1, 2, 4, 8, 16"):
        per_device_batch(recipe, 3)


def test_an_unknown_recipe_is_named() -> None:
    known = "paper, paper45k, long, mini, deepened, eighth, nodecaybn, nowarmup, warmup, smoke"
    with pytest.raises(InputError, match=f"'quick' is unknown; choose one of: {known}"):
        recipe_for(Spec("cifar10", 20, "A", "quick"))


def test_the_warm_up_is_that_of_110_layers_on_cifar10_but_for_footnote_5() -> None:
    for recipe in RECIPES["cifar10"]:
        of_any = 80.0 if recipe == "warmup" else None
        assert recipe_for(Spec("cifar10", 56, "A", recipe)).warmup_error == of_any
        assert recipe_for(Spec("cifar10", 110, "none", recipe)).warmup_error == of_any, "plain-110 starts at 0.1"
        wanted = None if recipe in ("nowarmup", "deepened") else 80.0  # a copy of a trained network needs none
        assert recipe_for(Spec("cifar10", 110, "A", recipe)).warmup_error == wanted, recipe
    assert recipe_for(Spec("digits", 110, "A")).warmup_error is None
    assert recipe_for(Spec("imagenet", 152, "B")).warmup_error is None


@pytest.mark.parametrize(
    ("spec", "wanted"),
    [
        (Spec("cifar10", 20, "none"), ["Fig. 1", "Fig. 6", "Fig. 7"]),
        (Spec("cifar10", 44, "none"), ["Fig. 6", "Fig. 7"]),
        (Spec("cifar10", 56, "A"), ["Table 6", "Fig. 6", "Fig. 7"]),
        (Spec("cifar10", 1202, "A"), ["Table 6", "Fig. 6"]),
        (Spec("cifar10", 20, "A", "paper45k"), ["variant paper45k"]),
        (Spec("cifar10", 56, "A", "long"), ["variant long"]),
        (Spec("cifar10", 110, "A", "nowarmup"), ["variant nowarmup"]),
        (Spec("imagenet", 18, "none"), ["Fig. 4", "Tables 2 to 4"]),
        (Spec("imagenet", 34, "A"), ["Fig. 4", "Tables 2 to 4"]),
        (Spec("imagenet", 34, "B"), ["Tables 2 to 4"]),
        (Spec("imagenet", 152, "B", "plateau"), ["Tables 2 to 4"]),
    ],
    ids=lambda value: value.name if isinstance(value, Spec) else "",
)
def test_a_full_run_is_tagged_with_the_exhibits_it_belongs_to(spec: Spec, wanted: list[str]) -> None:
    assert exhibits(spec) == wanted


@pytest.mark.parametrize(("dataset", "recipe"), [(d, name) for d, recipes in RECIPES.items() for name in recipes])
def test_every_recipe_is_tagged_and_a_scaled_down_one_as_such(dataset: str, recipe: str) -> None:
    spec = Spec(dataset, 18 if FAMILIES[dataset] == "imagenet" else 20, "A", recipe)
    assert (exhibits(spec) == ["scaled down"]) == (RECIPES[dataset][recipe].scale == "toy")
    assert exhibits(spec)
