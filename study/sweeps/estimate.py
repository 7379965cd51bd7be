"""``study sweep --estimate``: how long a sweep takes on this device, from a few measured steps of each network."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence

from rich.table import Table

from study.machine.gpus import has_gpu
from study.machine.options import MachineOptions, group_names
from study.recipes import Recipe, recipe_for
from study.recording.bench_lines import Measured
from study.spec import InputError, Spec
from study.sweeps.display import console

QUICK = ("--arms=ours", "--rounds=3")
STEPS = {"cpu": 3, "gpu": 200}  # of a turn: on a GPU a few would show what a turn costs at its start, not a step


def show_estimate(specs: Sequence[Spec], machine: MachineOptions) -> int:
    """Measure every network on this device; print hours and memory of each cell, and the hours of all."""
    table = Table(title=f"{len(specs)} cells on this device, one at a time")
    for heading in ("cell", "ms a step", "hours", "memory MB"):
        table.add_column(heading, justify="left" if heading == "cell" else "right")
    networks: dict[tuple[str, int, str], Measured] = {}
    total = 0.0
    for spec in specs:
        network = (spec.dataset, spec.depth, spec.shortcut)
        if network not in networks:
            networks[network] = measure(spec, machine)
        measured = networks[network]
        needed = hours(recipe_for(spec), measured)
        total += needed
        table.add_row(spec.name, f"{measured.ms_per_step:.3g}", f"{needed:.3g}", f"{measured.peak_mb:.0f}")
    table.add_row("all", "", f"{total:.3g}", "")
    console().print(table)
    return 0


def hours(recipe: Recipe, measured: Measured) -> float:
    """Hours of one run: all its steps and all its evaluations."""
    seconds = recipe.steps * measured.ms_per_step / 1e3 + len(recipe.evaluation_steps) * measured.evaluation_seconds
    return seconds / 3600


def measure(spec: Spec, machine: MachineOptions) -> Measured:
    """Measure one network with `study bench`, in a process of its own.

    Raises:
        InputError: The bench failed; the message has the last line that it printed.
    """
    return Measured.read(run_bench(spec, machine, turns()))


def turns() -> list[str]:
    """The flags of a bench whose turns are long enough for the device."""
    return [*QUICK, f"--steps={STEPS['gpu' if has_gpu() else 'cpu']}"]


def run_bench(spec: Spec, machine: MachineOptions, words: Sequence[str]) -> str:
    """What `study bench` prints of one network, measured in a process of its own.

    Raises:
        InputError: The bench failed; the message has the last line that it printed.
    """
    factors = [f"--{name}={spec.factors[name]}" for name in ("dataset", "depth", "shortcut")]
    options = machine.flags([*group_names("step"), "data"])
    command = [sys.executable, "-m", "study", "bench", *factors, *options, *words]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        said = done.stderr.strip().splitlines() or ["it printed nothing"]
        raise InputError(f"{spec.name} cannot be measured: {said[-1]}")
    return done.stdout
