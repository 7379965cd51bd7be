"""The report of a check, in Markdown: what ran, on what device, what it measured, what failed, and what to do next.

A pure function of the results, so that it can be written after every stage. Imports no torch.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

from study.bench.gpu_check import tables
from study.bench.gpu_check.advice import advice
from study.bench.gpu_check.rules import best, times
from study.bench.gpu_check.scale import Scale
from study.bench.gpu_check.state import State, with_status

REPORT = "report.md"
PARTS = {
    1: "Does it run?",
    2: "Are the losses right, and how long does a step take?",
    3: "Faster ways, the deepest network, several runs at a time",
    4: "Cells",
}
REHEARSAL = (
    "**A rehearsal without a GPU.** The stages ran on this machine's CPU, with digits. It shows that the command "
    "works. It says nothing about a GPU."
)
TIMES = (
    "A step time is the median over turns of many steps each, with everything that `study train` does in a step; "
    "the turns begin after the compilation or the capture. A run of the paper has 64,000 steps; its "
    "evaluations come on top."
)


def report(scale: Scale, out: Path, state: State, waiting: Mapping[str, str]) -> str:
    """Write the whole report.

    Args:
        scale: What is measured.
        out: The folder of the results, as it is named in commands.
        state: The results.
        waiting: The stages without a result, and why they wait.
    """
    sections = [_head(scale, state), _section("What to do next", advice(scale, out, state, waiting))]
    sections += [_section("Device and versions", tables.device(state))]
    for part, title in PARTS.items():
        sections.append(_section(f"{part}. {title}", _part(part, scale, state)))
    sections += [
        _section("What failed or was refused", _failures(state)),
        _section("What has not run", _waiting(waiting)),
    ]
    return "\n".join(section for section in sections if section)


def summary(scale: Scale, state: State, path: Path) -> str:
    """A few lines for the terminal: how many stages ended how, which failed, the fastest way, and where to read on."""
    lines = [_counts(state)]
    if failed := [each.stage for each in with_status(list(state.latest.values()), "failed")]:
        lines.append(f"failed: {', '.join(failed)}")
    depth = scale.turns[-1].depth
    if way := best(state, scale, depth):
        lines.append(f"fastest at {depth} layers with the CPU's losses: {' '.join(way.flags)}")
    return "\n".join([*lines, f"report: {path}"])


def _counts(state: State) -> str:
    counts = Counter(result.status for result in state.latest.values())
    return ", ".join(f"{count} {status}" for status, count in counts.items()) or "nothing has run yet"


def _head(scale: Scale, state: State) -> str:
    lines = ["# The first half hour on a GPU", ""]
    if scale.is_rehearsal:
        lines = ["# Rehearsal without a GPU", "", REHEARSAL, ""]
    ended = max((result.ended for result in state.results), default="never")
    lines += [f"Stages: {_counts(state)}. Last result: {ended}.", ""]
    lines += [f"- Device: {tables.device_name(state)}", f"- Losses like the CPU's: {_parity(state)}"]
    for turn in scale.timed:
        if found := times(state, scale, turn.depth):
            way = min(found, key=found.__getitem__)
            lines.append(f"- Fastest at {turn.depth} layers: {way.name}, {found[way]:.4g} ms a step")
    return "\n".join([*lines, ""])


def _parity(state: State) -> str:
    compared = [each for each in state.latest.values() if each.stage.startswith("losses-")]
    named = [f"{each.stage.removeprefix('losses-')} {each.status}" for each in compared]
    return ", ".join(named) or "not compared yet"


def _section(title: str, lines: Iterator[str]) -> str:
    found = list(lines)
    return "\n".join([f"## {title}", "", *found, ""]) if found else ""


def _part(part: int, scale: Scale, state: State) -> Iterator[str]:
    yield from tables.stages(part, state)
    if part == 2:
        yield from tables.losses(state)
        yield from _step_times(scale, state)
        yield from tables.profile(state)
    if part == 3:
        yield from tables.jobs(state)
    if part == 4:
        yield from tables.cells(state)


def _step_times(scale: Scale, state: State) -> Iterator[str]:
    found = list(tables.step_times(scale, state))
    if found:
        yield from (TIMES, "", *found)


def _failures(state: State) -> Iterator[str]:
    for result in state.latest.values():
        if result.status in ("failed", "refused"):
            yield from (f"### {result.stage}: {result.status}", "", f"{result.why}", "")
            yield from ("```text", f"$ {result.command}", *result.words, "```", "")


def _waiting(waiting: Mapping[str, str]) -> Iterator[str]:
    for name, why in waiting.items():
        yield f"- `{name}`: {why}"
