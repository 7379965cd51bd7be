"""What follows from the results: the stop rules, and which way to train is best. Pure functions; imports no torch."""

from __future__ import annotations

import math
from collections.abc import Iterator

from study.bench.gpu_check.candidates import Candidate, steps
from study.bench.gpu_check.scale import Scale
from study.bench.gpu_check.state import State
from study.machine.options import Precision
from study.recording.bench_lines import Line

# How far losses in fp32 may be from the CPU's, up to which step. On the CPU another order of sums made 7e-7 at step 1,
# 1e-4 up to step 5 and 4e-3 up to step 20; bf16 made 2e-3 at step 1; a wrong batch or update makes 0.1.
MARGINS = ((1, 1e-4), (5, 1e-3), (1_000, 0.05))
CAPTURED_GAIN = 3.0  # how many times as fast as the plain step a captured one is at 20 layers, at least
EXTRA_GAIN = 1.1  # how many times as fast an extra way must be, for its start-up and its risks
DATA_SETS = ("cifar10", "digits")  # step times on the first count more


def margin(step: int) -> float:
    """How far the loss of a step, counted from 1, may be from the CPU's.

    Example:
        >>> margin(1), margin(5), margin(20)
        (0.0001, 0.001, 0.05)
    """
    return next(most for last, most in MARGINS if step <= last)


def loss_difference(losses: Line, reference: Line) -> str:
    """Why the losses are not those of the reference; "" if they are.

    Example:
        >>> loss_difference({"losses": [2.5, 2.31]}, {"losses": [2.5, 2.3]})
        'the loss of step 2 is 2.31, and on the CPU 2.3: off by 0.01, and 0.001 is allowed'
    """
    ours, theirs = losses.get("losses") or [], reference.get("losses") or []
    if not ours or len(ours) != len(theirs):
        return f"{len(ours)} losses were measured and {len(theirs)} on the CPU"
    for step, (loss, expected) in enumerate(zip(ours, theirs, strict=True), start=1):
        difference = abs(loss - expected)
        if not difference <= margin(step):  # nor is a loss that is no number
            what = f"the loss of step {step} is {loss:.6g}, and on the CPU {expected:.6g}"
            return f"{what}: off by {difference:.2g}, and {margin(step):g} is allowed"
    return ""


def why_no_cells(state: State, scale: Scale) -> str:
    """Why no cell may be trained; "" if cells may be.

    A step that every run may take must have trained digits to a summary and must have the CPU's losses. An extra way
    that fails is only not chosen.
    """
    for step in steps(scale.candidates, is_extra=False):
        for name in (f"digits-{step}", *(f"losses-{data}-{step}" for data in DATA_SETS)):
            result = state.latest.get(name)
            if result and result.status == "failed":
                return f"{name} failed ({result.why})"
    is_measured = any(times(state, scale, turn.depth) for turn in scale.timed)
    return "" if is_measured else "no step has been measured yet"


def milliseconds(state: State, candidate: Candidate, depth: int) -> float | None:
    """The time of a step, None if it was not measured; on CIFAR-10 if that was there, else on digits."""
    for data in DATA_SETS:
        result = state.latest.get(f"step-{data}-{depth}-{candidate.name}")
        if result and result.status == "passed" and (ms := result.find("step").get("ms_per_step")):
            return float(ms)
    return None


def times(state: State, scale: Scale, depth: int) -> dict[Candidate, float]:
    """The times of a step at a depth, in milliseconds, of the candidates that were measured."""
    found = {candidate: milliseconds(state, candidate, depth) for candidate in scale.candidates}
    return {candidate: ms for candidate, ms in found.items() if ms is not None}


def best(state: State, scale: Scale, depth: int, with_extras: bool = True) -> Candidate | None:
    """The fastest way to train at the measured depth that is nearest, None if none was measured.

    A step is measured only after its losses have passed, so whatever has a time is right.

    Args:
        state: What was found.
        scale: Of the check.
        depth: Of the network that is to be trained.
        with_extras: Whether an extra way may be chosen, if it is clearly faster.
    """
    for measured in sorted((turn.depth for turn in scale.timed), key=lambda each: abs(math.log(each / depth))):
        if found := times(state, scale, measured):
            usual = {each: ms for each, ms in found.items() if not each.is_extra}
            limit = min(usual.values(), default=math.inf) / EXTRA_GAIN
            extras = {each: ms for each, ms in found.items() if each.is_extra and ms <= limit}
            fit = usual | extras if with_extras else usual
            return min(fit, key=fit.__getitem__, default=None)
    return None


def fastest_by_precision(state: State, scale: Scale) -> Iterator[Candidate]:
    """The fastest way in each precision at the largest depth but the deepest that was measured."""
    for turn in reversed(scale.turns):
        if found := times(state, scale, turn.depth):
            for precision in dict.fromkeys(each.precision for each in scale.candidates):
                of_it = {each: ms for each, ms in found.items() if each.precision == precision}
                if of_it:
                    yield min(of_it, key=of_it.__getitem__)
            return


def is_left(state: State, scale: Scale, candidate: Candidate, depth: int) -> bool:
    """Whether an extra way is left alone at a depth, because a shallower network gained too little from it."""
    gains = [gain(state, scale, candidate, turn.depth) for turn in scale.turns if turn.depth < depth]
    return any(found is not None and found < EXTRA_GAIN for found in gains)


def gain(state: State, scale: Scale, candidate: Candidate, depth: int) -> float | None:
    """How many times as fast an extra way is as the fastest of the others; None if not measured."""
    found = times(state, scale, depth)
    others = [ms for each, ms in found.items() if not each.is_extra]
    return min(others) / found[candidate] if others and candidate in found else None


def captured_gain(state: State, precision: Precision = "tf32", depth: int = 20) -> float | None:
    """How many times as fast the captured step is as the plain one; None if either was not measured."""
    plain = milliseconds(state, Candidate("plain", precision), depth)
    graph = milliseconds(state, Candidate("graph", precision), depth)
    return plain / graph if plain and graph else None


def is_slow(state: State) -> bool:
    """Whether the captured step gains so little that a profile is due before anything else."""
    found = captured_gain(state)
    return found is not None and found < CAPTURED_GAIN
