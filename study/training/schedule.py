"""The learning rate: where it warms up, where it is dropped, and what a checkpoint keeps of that.

The rate of an update is a pure function of its number and of two facts that training finds out: the step at which the
warm-up ended, and, on a recipe that follows the plateau, the steps of its drops. No torch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from study.recipes import WARMUP_LIMIT, WARMUP_WINDOW, ImageNetRecipe, Recipe

PLATEAU = 5  # evaluations; 25,000 steps of the recipe `plateau`
PLATEAU_MARGIN = 0.1  # points of error between the means of two plateaus
PLATEAU_DROPS = 2  # as many as the paper's curves show


class Schedule:
    """The learning rate of every update of a run, and the two rules that change it while the run is trained.

    Warm-up (Sec. 4.2): networks of 110 layers and more train at a tenth of the rate until the running training error
    is below 80 %. Plateau (Sec. 3.4): on one ImageNet recipe the rate is divided by 10 when the training error stops
    falling. Other recipes need neither, and their rate depends on the step alone.

    Attributes:
        recipe: The recipe of the run.
        warm_until: The step at which the warm-up ended; None while it lasts, 0 without one.
        drops: The steps from which the rate is a tenth each, as far as they are known.

    Example:
        >>> schedule = Schedule(Recipe())
        >>> [schedule.rate(step) for step in (0, 31_999, 32_000, 48_000)]
        [0.1, 0.1, 0.01, 0.001]
    """

    def __init__(self, recipe: Recipe) -> None:
        self.recipe = recipe
        self.warm_until: int | None = 0 if recipe.warmup_error is None else None
        self.drops = recipe.drops
        self._errors: list[float] = []  # running training errors of the evaluations since the last drop, in percent

    def rate(self, step: int) -> float:
        """The learning rate of update number `step`, counted from 0."""
        recipe = self.recipe
        if recipe.warmup_error is not None and (self.warm_until is None or step < self.warm_until):
            return recipe.warmup_lr
        if step < recipe.ramp:
            return recipe.lr * (step + 1) / recipe.ramp
        if recipe.decay == "linear":
            return recipe.lr * (recipe.steps - step) / (recipe.steps - recipe.ramp)
        return recipe.lr / float(10 ** sum(step >= drop for drop in self.drops))

    def needs_warmup_error(self, step: int) -> bool:
        """Whether `watch_warmup` is due after `step` updates: at the end of each window while the warm-up lasts."""
        return self.warm_until is None and step % WARMUP_WINDOW == 0

    def watch_warmup(self, step: int, error: float) -> None:
        """End the warm-up if the error is low enough.

        Args:
            step: Number of updates so far; the rate rises from the next one on.
            error: The training error over the last `WARMUP_WINDOW` updates, in percent.
        """
        assert self.recipe.warmup_error is not None
        if error < self.recipe.warmup_error:
            self.warm_until = step

    def is_stuck(self, step: int) -> bool:
        """Whether the warm-up has lasted so long after `step` updates that the run has failed."""
        return self.warm_until is None and step >= WARMUP_LIMIT

    def watch_plateau(self, step: int, error: float) -> None:
        """Drop the rate if the recipe follows the plateau and the error has stopped falling.

        Args:
            step: Number of updates so far; the rate drops from the next one on.
            error: The running training error since the evaluation before, in percent.
        """
        if not (isinstance(self.recipe, ImageNetRecipe) and self.recipe.plateau):
            return
        self._errors.append(error)
        if len(self.drops) < PLATEAU_DROPS and has_plateaued(self._errors):
            self.drops, self._errors = (*self.drops, step), []

    def state_dict(self) -> dict[str, Any]:
        """What training has found out, as plain values for the checkpoint."""
        return {"warm_until": self.warm_until, "plateau": {"drops": list(self.drops), "errors": list(self._errors)}}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue from a checkpoint; those up to 2026-11-21 have no plateau."""
        self.warm_until = state["warm_until"]
        if "plateau" in state:
            self.drops, self._errors = tuple(state["plateau"]["drops"]), list(state["plateau"]["errors"])


def has_plateaued(errors: Sequence[float]) -> bool:
    """Whether an error has stopped falling: its last evaluations are hardly better than as many before them.

    Args:
        errors: The running training error of each evaluation since the last drop, in percent. The test error must not
            be used, as it would then decide about training.
    """
    earlier, last = errors[-2 * PLATEAU : -PLATEAU], errors[-PLATEAU:]
    return len(earlier) == PLATEAU and sum(earlier) - sum(last) < PLATEAU * PLATEAU_MARGIN
