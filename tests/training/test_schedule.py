"""The learning rate of every recipe, and what ends a warm-up or drops the rate; no torch."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace

import pytest

from study.recipes import RECIPES, ImageNetRecipe, Recipe, recipe_for
from study.spec import Spec
from study.training.schedule import Schedule, has_plateaued
from tests.support import ROOT

FALLING = [60 - 0.2 * i for i in range(10)]


@pytest.mark.parametrize(
    ("step", "rate"),
    [(0, 0.1), (31_999, 0.1), (32_000, 0.01), (47_999, 0.01), (48_000, 0.001), (63_999, 0.001)],
)
def test_the_papers_learning_rate(step: int, rate: float) -> None:
    schedule = Schedule(recipe_for(Spec("cifar10", 56, "A")))
    assert schedule.rate(step) == pytest.approx(rate, rel=1e-12)
    assert schedule.warm_until == 0 and not schedule.needs_warmup_error(50)


def test_the_papers_learning_rate_on_imagenet() -> None:
    schedule = Schedule(recipe_for(Spec("imagenet", 34, "B")))
    rates = [schedule.rate(step) for step in (0, 149_999, 150_000, 299_999, 300_000, 599_999)]
    assert rates == pytest.approx([0.1, 0.1, 0.01, 0.01, 0.001, 0.001], rel=1e-12)


def test_a_ramp_rises_and_linear_decay_ends_at_nothing() -> None:
    recipe = RECIPES["digits"]["mini"]
    rates = [Schedule(recipe).rate(step) for step in range(recipe.steps)]
    assert rates[0] == pytest.approx(recipe.lr / recipe.ramp)
    assert max(rates) == recipe.lr
    assert rates[: recipe.ramp] == sorted(rates[: recipe.ramp])
    assert rates[recipe.ramp :] == sorted(rates[recipe.ramp :], reverse=True)
    assert 0 < rates[-1] < recipe.lr / 200


def test_110_layers_warm_up_until_the_error_falls_and_then_no_more() -> None:
    schedule = Schedule(recipe_for(Spec("cifar10", 110, "A")))
    assert schedule.recipe.warmup_error == 80.0 and schedule.warm_until is None
    due = [step for step in range(1, 500) if schedule.needs_warmup_error(step)]
    assert due == list(range(50, 500, 50))
    for step, error in ((50, 95.0), (100, 80.0)):
        schedule.watch_warmup(step, error)
        assert schedule.warm_until is None and schedule.rate(step) == 0.01
    schedule.watch_warmup(400, 79.9)
    assert schedule.warm_until == 400 and not any(map(schedule.needs_warmup_error, range(401, 1_000)))
    rates = [schedule.rate(step) for step in (10, 399, 400, 31_999, 32_000, 48_000)]
    assert rates == pytest.approx([0.01, 0.01, 0.1, 0.1, 0.01, 0.001])


def test_a_warm_up_that_does_not_end_is_a_failure_after_8000_steps() -> None:
    schedule = Schedule(recipe_for(Spec("cifar10", 110, "none", "warmup")))
    assert schedule.rate(0) == 0.01 and not schedule.is_stuck(7_999) and schedule.is_stuck(8_000)
    schedule.watch_warmup(8_000, 79.0)
    assert not schedule.is_stuck(8_000)
    assert not Schedule(recipe_for(Spec("cifar10", 110, "none"))).is_stuck(64_000), "it has no warm-up"


def test_a_plateau_is_an_error_that_stopped_falling() -> None:
    assert not has_plateaued(FALLING) and not has_plateaued([50.0] * 9)
    assert has_plateaued([50.0] * 10) and has_plateaued([*FALLING, *[58.0] * 10])
    assert not has_plateaued([*[58.0] * 10, *[57.8] * 5]), "0.2 points better"


def test_the_rate_drops_twice_when_the_error_plateaus() -> None:
    schedule = Schedule(recipe_for(Spec("imagenet", 34, "B", "plateau")))
    assert schedule.rate(599_999) == 0.1
    for i in range(40):
        schedule.watch_plateau(5_000 * (i + 1), 50.0)
    assert schedule.drops == (50_000, 100_000), "ten evaluations each, and no third drop"
    rates = [schedule.rate(step) for step in (49_999, 50_000, 99_999, 100_000, 599_999)]
    assert rates == pytest.approx([0.1, 0.01, 0.01, 0.001, 0.001])


def test_other_recipes_do_not_follow_the_plateau() -> None:
    for recipe in (Recipe(), ImageNetRecipe()):
        schedule = Schedule(recipe)
        for i in range(40):
            schedule.watch_plateau(i, 50.0)
        assert schedule.drops == recipe.drops


def test_a_schedule_resumes_in_the_middle() -> None:
    """Saved after each of 30 evaluations and read into a new schedule, as a run that is interrupted every time."""
    recipe = recipe_for(Spec("imagenet", 34, "B", "plateau"))
    errors = [*FALLING, *[58.0] * 12, *[40.0] * 12]
    alone, interrupted = Schedule(recipe), Schedule(recipe)
    for i, error in enumerate(errors):
        state = json.loads(json.dumps(interrupted.state_dict()))
        interrupted = Schedule(recipe)
        interrupted.load_state_dict(state)
        alone.watch_plateau(i, error)
        interrupted.watch_plateau(i, error)
        assert interrupted.state_dict() == alone.state_dict()
    assert len(alone.drops) == 2


def test_a_warm_up_resumes_in_the_middle() -> None:
    recipe = recipe_for(Spec("cifar10", 110, "A"))
    before, after, later = Schedule(recipe), Schedule(recipe), Schedule(recipe)
    after.load_state_dict(before.state_dict())
    assert after.warm_until is None and after.needs_warmup_error(450)
    after.watch_warmup(450, 70.0)
    later.load_state_dict(after.state_dict())
    assert later.warm_until == 450 and later.rate(449) == 0.01 and later.rate(450) == 0.1


def test_a_checkpoint_from_before_plateaus_is_read() -> None:
    schedule = Schedule(replace(Recipe(), drops=(7,)))
    schedule.load_state_dict({"name": "cifar10-20-A-paper-s0", "step": 3, "warm_until": 0})
    assert schedule.warm_until == 0 and schedule.drops == (7,)


@pytest.mark.parametrize(("dataset", "name"), [(d, name) for d, recipes in RECIPES.items() for name in recipes])
def test_the_first_rate_of_a_recipe_is_that_of_its_first_step(dataset: str, name: str) -> None:
    for recipe in (RECIPES[dataset][name], replace(RECIPES[dataset][name], warmup_error=80.0)):
        assert recipe.first_lr == Schedule(recipe).rate(0)


@pytest.mark.process
def test_the_schedule_needs_no_torch() -> None:
    program = "import sys, study.training.schedule; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], cwd=ROOT).returncode == 0
