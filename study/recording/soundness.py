"""Whether what a record says can be true: its steps, its counts, its percentages and its files against each other."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise

from study.recipes import Recipe
from study.recording.evaluation import COLUMNS, Row

OWN = ("images_per_second", "hours")  # of the whole run in a summary, of an interval in a line
ROUNDING = 1e-9  # of a percentage


def contradictions(recipe: Recipe, history: Sequence[Row], summary: Row, confusion: Row | None) -> Iterator[str]:
    """What in the record of a finished run cannot be true, each as a sentence.

    Args:
        recipe: How the run was trained.
        history: Its lines; steps increase.
        summary: Its results.
        confusion: Its confusion matrix, if it has one.
    """
    yield from missing_steps(recipe, history)
    for row in (*history, summary):
        yield from _impossible(row)
    yield from _miscounted(recipe, history)
    differing = [name for name in COLUMNS if name not in OWN and not _equal(summary[name], history[-1][name])]
    yield from (f"its summary says {summary[name]} for {name}, its last line {history[-1][name]}" for name in differing)
    if confusion is not None and (seen := sum(map(sum, confusion["counts"]))) != summary["test/seen"]:
        yield f"its confusion matrix has {seen:,} images, its summary {summary['test/seen']:,}"


def missing_steps(recipe: Recipe, history: Iterable[Row]) -> Iterator[str]:
    """Evaluations of the recipe up to the last line that have no line."""
    steps = [row["step"] for row in history]
    lost = [step for step in recipe.evaluation_steps if step <= max(steps, default=0) and step not in steps]
    if lost:
        more = f" and {len(lost) - 1} more" if len(lost) > 1 else ""
        yield f"it has no line for step {lost[0]:,}{more}"


def is_finite(row: Row) -> bool:
    """Whether the losses of an evaluation are numbers; otherwise its training diverged."""
    return all(row[name] is not None and math.isfinite(row[name]) for name in ("train/loss", "test/loss"))


def _impossible(row: Row) -> Iterator[str]:
    """More errors than images, or a percentage that is not their quotient."""
    for split in ("train", "test"):
        wrong, seen, percent = row[f"{split}/wrong"], row[f"{split}/seen"], row[f"{split}/top1_error"]
        if wrong > seen:
            yield f"{split}: {wrong:,} of {seen:,} wrong at step {row['step']:,}"
        elif seen and not math.isclose(percent, 100 * wrong / seen, rel_tol=ROUNDING):
            yield f"{split}: {wrong:,} of {seen:,} wrong are not {percent} % at step {row['step']:,}"


def _miscounted(recipe: Recipe, history: Sequence[Row]) -> Iterator[str]:
    """Training images that are not those of the steps, or test sets of several sizes."""
    for before, row in pairwise([{"step": 0}, *history]):
        if row["train/seen"] != (images := (row["step"] - before["step"]) * recipe.batch):
            yield f"{row['train/seen']:,} training images counted at step {row['step']:,}, not {images:,}"
    if len(sizes := {row["test/seen"] for row in history}) > 1:
        yield f"its test set has several sizes: {', '.join(f'{size:,}' for size in sorted(sizes))}"


def _equal(one: object, other: object) -> bool:
    return one == other or (one != one and other != other)  # two that are not numbers are alike
