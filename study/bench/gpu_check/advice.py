"""What to do after a check, from its results. Imports no torch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from study.bench.gpu_check.rules import CAPTURED_GAIN, EXTRA_GAIN, best, captured_gain, gain, why_no_cells
from study.bench.gpu_check.scale import Scale
from study.bench.gpu_check.state import State, with_status


def advice(scale: Scale, out: Path, state: State, waiting: Mapping[str, str]) -> Iterator[str]:
    """One item for each thing to do, as lines of Markdown."""
    latest = list(state.latest.values())
    again = f"python -m study gpu-check{' --rehearse' if scale.is_rehearsal else ''} --out={out}"
    for result in with_status(latest, "failed"):
        yield f"- `{result.stage}` failed: {result.why}. Its log: `{out}/logs/{result.stage}.log`."
    if with_status(latest, "failed"):
        yield f"- When that is fixed, run the failed stages again: `{again} --retry`."
    for result in with_status(latest, "absent"):
        yield f"- CIFAR-10: {result.why}. Put the files there and call again; until then only digits are used."
    if (why := why_no_cells(state, scale)) and latest:
        yield f"- No cell is trained: {why}."
    yield from _speed(scale, state)
    if with_status(latest, "unfinished") or "for another call" in waiting.values():
        yield f"- There is more to do: run `{again}` again; it goes on where it stopped."
    finished = [result for result in with_status(latest, "passed") if result.stage.startswith("cell-")]
    if finished and not scale.is_rehearsal:
        gather = f"python -m reports gather --runs={out}/runs --add --out=build/report"
        yield f"- Take the finished cells into the report: `{gather}`."


def _speed(scale: Scale, state: State) -> Iterator[str]:
    found = captured_gain(state)
    if found is not None and found < CAPTURED_GAIN:
        yield (
            f"- The captured step is only {found:.2f} times as fast as the plain one at 20 layers, and "
            f"{CAPTURED_GAIN:g} times is expected. Read the profile below before more cells are trained."
        )
    for turn in scale.timed:
        for candidate in scale.candidates:
            times = gain(state, scale, candidate, turn.depth) if candidate.is_extra else None
            if times is not None:
                verdict = "use it" if times >= EXTRA_GAIN else f"leave it (below {EXTRA_GAIN:g})"
                what = f"{candidate.name} at {turn.depth} layers"
                yield f"- {what}: {times:.2f} times as fast as the best of the others; {verdict}."
    depth = scale.turns[-1].depth
    if way := best(state, scale, depth):
        yield f"- Train with `{' '.join(way.flags)}`: the fastest at {depth} layers whose losses are right."
