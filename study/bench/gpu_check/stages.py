"""The stages of a check, in order: what each runs, how long it may take, and what must have passed before.

The plan depends on what has been found: which data there are, which steps are right, and which is fastest. Imports no
torch.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib.util import find_spec
from os.path import relpath
from pathlib import Path

from study.bench.gpu_check import rules
from study.bench.gpu_check.candidates import Candidate, steps
from study.bench.gpu_check.scale import Scale, Turn
from study.bench.gpu_check.state import State
from study.machine.options import Step
from study.recording.record import Record
from study.spec import Spec

ROOT = Path(__file__).parents[3]  # of the checkout, where its tests are
PROBE = ("-m", "study.bench.gpu_check.probe")
STUDY = ("-m", "study")
ABSENT = 3  # exit status of `probe data` if a file is missing


@dataclass(frozen=True)
class Setup:
    """Where a check works.

    Attributes:
        out: The folder of its results.
        data: The folder of the data sets.
        scale: What is measured, and for how long.
    """

    out: Path
    data: Path
    scale: Scale


@dataclass(frozen=True)
class Stage:
    """One thing that a check runs, in a process of its own.

    Attributes:
        name: Of its result, its log, and in other stages' `needs`.
        part: The part of the report to which it belongs, 1 to 4.
        title: What it is, for the report.
        command: What is run, after ``python``.
        limit: Seconds after which it is stopped.
        least: Seconds without which it is not begun.
        needs: Stages that must have passed.
        hides_gpu: Whether it runs on the CPU.
        is_extra: Whether status 2 means that this way to train is refused here, which is no failure.
        is_repeated: Whether every call runs it.
        record: The record of the run that it must finish.
        goes_on: Whether a later call resumes it where it was stopped.
        step: How its steps must have been taken; training can fall back to the plain step.
    """

    name: str
    part: int
    title: str
    command: tuple[str, ...]
    limit: float
    least: float = 10
    needs: tuple[str, ...] = ()
    hides_gpu: bool = False
    is_extra: bool = False
    is_repeated: bool = False
    record: Record | None = field(default=None, repr=False)
    goes_on: bool = False
    step: Step | None = None


def plan(setup: Setup, state: State) -> Iterator[Stage]:
    """All stages in order, as far as they are known by now."""
    yield from _basics(setup)
    yield from _measurements(setup, state)
    yield from _extras(setup, state)
    if state.passed("data") or setup.scale.is_rehearsal:
        yield from _cells(setup, state)


def dataset(setup: Setup, state: State) -> str:
    """The data set on which step times are measured: digits until CIFAR-10 is there."""
    return "cifar10" if state.passed("data") and not setup.scale.is_rehearsal else "digits"


def turns(setup: Setup, state: State) -> tuple[Turn, ...]:
    """The networks whose steps are measured: on a GPU without CIFAR-10 only the shallowest, as that time is lost."""
    is_whole = state.passed("data") or setup.scale.is_rehearsal
    return setup.scale.turns if is_whole else setup.scale.turns[:1]


def _basics(setup: Setup) -> Iterator[Stage]:
    """Part 1: does anything work at all?"""
    yield Stage("versions", 1, "versions and device", (*PROBE, "versions"), 90, is_repeated=True)
    for candidate in setup.scale.trained:
        spec = Spec("digits", 8, "A", "smoke")
        runs = setup.out / "paths" / candidate.step
        command = _train(setup, spec, candidate, runs)
        title = f"{spec.name} by the {candidate.step} step, to its summary"
        yield Stage(
            f"digits-{candidate.step}",
            1,
            title,
            command,
            120,
            is_extra=candidate.is_extra,
            record=Record(runs, spec),
            step=candidate.step,
        )
    if (files := _gpu_tests()) and find_spec("pytest") and find_spec("hypothesis"):
        settings = ("-c", relpath(ROOT / "pyproject.toml"), "-o", "addopts=--import-mode=importlib")
        command = ("-m", "pytest", "-q", "-m", "gpu", *settings, *files)
        yield Stage("tests", 1, "the GPU tests", command, 240)


def _gpu_tests() -> list[str]:
    """The files that have tests for a GPU; none where the study is installed without its tests."""
    files = sorted((ROOT / "tests").rglob("test_*.py"))
    return [relpath(file) for file in files if "pytest.mark.gpu\n" in file.read_text()]


def _measurements(setup: Setup, state: State) -> Iterator[Stage]:
    """Part 2: are the losses right, and how long does a step take?"""
    yield Stage("data", 2, "CIFAR-10's files", (*PROBE, "data", f"--data={setup.data}"), 60)
    sets = ("digits", "cifar10") if state.passed("data") and not setup.scale.is_rehearsal else ("digits",)
    for each in sets:
        name, title = f"reference-{each}", f"losses of {setup.scale.losses} steps on {each} in fp32, on the CPU"
        yield Stage(name, 2, title, _losses(setup, each, "plain"), 180, hides_gpu=True)
        for step in steps(setup.scale.candidates, is_extra=False):
            yield _compared(setup, each, step, 2)
    for candidate in setup.scale.candidates:
        if not candidate.is_extra:
            for turn in turns(setup, state):
                yield _timed(setup, state, candidate, turn, 2)
    if rules.is_slow(state):
        yield _profiled(setup, state)


def _extras(setup: Setup, state: State) -> Iterator[Stage]:
    """Part 3: ways to train that may be faster, the deepest network, and several runs at a time."""
    for step in steps(setup.scale.candidates, is_extra=True):
        yield _compared(setup, dataset(setup, state), step, 3)
    for turn in turns(setup, state):
        for candidate in setup.scale.candidates:
            if candidate.is_extra and not rules.is_left(state, setup.scale, candidate, turn.depth):
                yield _timed(setup, state, candidate, turn, 3)
    yield from _deepest(setup, state)
    yield from _jobs(setup, state)


def _deepest(setup: Setup, state: State) -> Iterator[Stage]:
    """The deepest network, by each of the ways that were fastest so far in each precision."""
    turn = setup.scale.deepest
    if turn and (state.passed("data") or setup.scale.is_rehearsal):
        for candidate in rules.fastest_by_precision(state, setup.scale):
            yield _timed(setup, state, candidate, turn, 3)


def _jobs(setup: Setup, state: State) -> Iterator[Stage]:
    """Several runs of the shallowest network at a time, each in a process of its own and all in one."""
    turn = setup.scale.turns[0]
    if way := rules.best(state, setup.scale, turn.depth, with_extras=False):
        command = (*_bench(setup, dataset(setup, state), way, turn), *setup.scale.jobs)
        title = f"images per second of several runs at a time, {turn.depth} layers, {way.name}"
        yield Stage("jobs", 3, title, command, 180, least=setup.scale.jobs_least)


def _cells(setup: Setup, state: State) -> Iterator[Stage]:
    """Part 4: cells of the study, by the best way to train each."""
    for cell in setup.scale.cells:
        record = Record(setup.out / "runs", cell.spec)
        way = _begun(record) or rules.best(state, setup.scale, cell.spec.depth)
        if way:
            command = _train(setup, cell.spec, way, setup.out / "runs")
            title = f"{cell.spec.title} under {cell.spec.recipe}, seed {cell.spec.seed}, {way.name}"
            yield Stage(
                f"cell-{cell.spec.name}",
                4,
                title,
                command,
                cell.limit,
                setup.scale.cell_least,
                record=record,
                goes_on=True,
            )


def _begun(record: Record) -> Candidate | None:
    """The way by which a run was begun, which it keeps, so that it ends with the weights of an undisturbed one."""
    begun = record.provenance()
    return Candidate(begun["step_path"], begun["precision"]) if begun else None


def _train(setup: Setup, spec: Spec, candidate: Candidate, runs: Path) -> tuple[str, ...]:
    places = (f"--runs={runs}", f"--data={setup.data}", "--wandb=disabled", "--devices=1", "--checkpoint-every=0")
    return (*STUDY, "train", *spec.flags, *candidate.flags, *places)


def _losses(setup: Setup, dataset: str, step: str) -> tuple[str, ...]:
    how = (f"--step={step}", "--precision=32", f"--steps={setup.scale.losses}", f"--depth={setup.scale.turns[0].depth}")
    return (*PROBE, "losses", f"--dataset={dataset}", *how, f"--data={setup.data}")


def _compared(setup: Setup, dataset: str, step: Step, part: int) -> Stage:
    name, title = f"losses-{dataset}-{step}", f"losses of the {step} step on {dataset} in fp32, against the CPU's"
    needs, is_extra = (f"reference-{dataset}",), part == 3
    return Stage(name, part, title, _losses(setup, dataset, step), 150, needs=needs, is_extra=is_extra, step=step)


def _timed(setup: Setup, state: State, candidate: Candidate, turn: Turn, part: int) -> Stage:
    data = dataset(setup, state)
    name, title = f"step-{data}-{turn.depth}-{candidate.name}", f"a step at {turn.depth} layers, {candidate.name}"
    needs = (f"losses-{data}-{candidate.step}",)
    command = _bench(setup, data, candidate, turn)
    return Stage(name, part, title, command, turn.limit, needs=needs, is_extra=candidate.is_extra, step=candidate.step)


def _bench(setup: Setup, dataset: str, candidate: Candidate, turn: Turn) -> tuple[str, ...]:
    network = (f"--dataset={dataset}", f"--depth={turn.depth}", "--shortcut=A")
    length = ("--arms=ours", f"--rounds={turn.rounds}", f"--steps={turn.steps}")
    return (*STUDY, "bench", *network, *length, *candidate.flags, "--checkpoint-every=0", f"--data={setup.data}")


def _profiled(setup: Setup, state: State) -> Stage:
    data = dataset(setup, state)
    way = next(each for each in setup.scale.candidates if each.step == "graph")
    network = (f"--dataset={data}", "--depth=20", "--steps=20")
    command = (*PROBE, "profile", *network, *way.flags, f"--data={setup.data}")
    return Stage("profile", 2, f"what takes the time of a step, {way.name}", command, 90)


def argv(stage: Stage) -> list[str]:
    """The whole command of a stage."""
    return [sys.executable, *stage.command]
