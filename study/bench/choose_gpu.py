"""`--step=auto` on a GPU: measure what may be faster than the captured step, each in a process of its own.

python -m study.bench.choose_gpu fused-graph --dataset=cifar10 --depth=110 --shortcut=A --precision=bf16

What one of them does, be it a crash, a hang or wrong losses, ends with its process: then it isn't taken, and the choice
says why. The captured step is taken unless another is clearly faster.
"""

from __future__ import annotations

import argparse
import json
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

from study.bench.gpu_check.losses import losses
from study.bench.gpu_check.rules import margin
from study.bench.run import bench
from study.data.datasets import dataset_info
from study.machine.options import MachineOptions, Precision, StepMode
from study.machine.resolve import step_mode
from study.recipes import recipe_for
from study.recording.bench_lines import Line, read
from study.recording.files import now
from study.spec import InputError, Spec
from study.training.train import quiet

CANDIDATES: tuple[StepMode, ...] = ("compiled-graph", "fused-graph")
LONG = 56 * 64_000  # layers times steps of the shortest run that repays a measurement of some minutes
LIMIT = 600.0  # seconds after which a candidate is given up; most of them go into compilation
ROUNDS, STEPS = 8, 50  # turns of each, and steps of a turn
COMPARED = 20  # steps whose losses are compared with the plain ones
ROUGH = ((5, 0.01), (COMPARED, 0.05))  # how far they may be apart in bf16 and TF32, up to a step


def candidates(spec: Spec, machine: MachineOptions) -> tuple[StepMode, ...]:
    """The ways to take a step that are worth measuring beside the captured one; none for a short run."""
    can_differ = machine.world_size == 1 and machine.checkpoint_every == 0 and dataset_info(spec.dataset).in_memory
    is_long = spec.depth * recipe_for(spec).steps >= LONG
    if machine.step != "auto" or not can_differ or not is_long or find_spec("triton") is None:
        return ()
    return CANDIDATES


def commands(spec: Spec, machine: MachineOptions) -> dict[StepMode, list[str]]:
    """The command that measures each candidate."""
    factors = [f"--{name}={spec.factors[name]}" for name in ("dataset", "depth", "shortcut")]
    options = machine.flags(["precision", "data"])
    start = [sys.executable, "-m", "study.bench.choose_gpu"]
    return {candidate: [*start, candidate, *factors, *options] for candidate in CANDIDATES}


def measure(commands: Mapping[StepMode, Sequence[str]], precision: Precision, limit: float = LIMIT) -> Line:
    """Run the commands one after the other; return the choice, whatever becomes of them."""
    found = {candidate: _ended(command, limit) for candidate, command in commands.items()}
    return decide(found, precision)


def _ended(command: Sequence[str], limit: float) -> list[Line] | str:
    """The lines that a command printed, or what went wrong."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=limit)
    except subprocess.TimeoutExpired:
        return f"it took more than {limit:.0f} s"
    if done.returncode < 0:
        return f"it was ended by {signal.Signals(-done.returncode).name}"
    if done.returncode:
        return (done.stderr.strip().splitlines() or [f"it ended with status {done.returncode}"])[-1]
    return list(read(done.stdout))


def decide(found: Mapping[StepMode, list[Line] | str], precision: Precision) -> Line:
    """Take the fastest of those whose losses are right and whose interval of time ratios lies below 1, else the graph.

    Args:
        found: What each candidate printed, or what went wrong with it.
        precision: Of the run, which decides how far losses may be apart.
    """
    judged = {candidate: _judge(lines, precision) for candidate, lines in found.items()}
    faster = {candidate: line["ratio"] for candidate, line in judged.items() if line["refused"] is None}
    chosen = min(faster, key=lambda candidate: faster[candidate]) if faster else "graph"
    if faster:
        why = f"a step takes {faster[chosen]:.2f} times as long as the captured one"
    else:
        why = "; ".join(f"{candidate}: {line['refused']}" for candidate, line in judged.items())
    return {"chosen": chosen, "why": why, "candidates": judged, "measured": now()} | _seconds(judged)


def _judge(lines: list[Line] | str, precision: Precision) -> Line:
    """The times of one candidate, and why it is refused; None if it isn't."""
    if isinstance(lines, str):
        return {"refused": lines}
    try:
        (compared,) = (line for line in lines if line["what"] == "losses")
        (ratio,) = (line for line in lines if line["what"] == "ratio")
        times = {line["arm"]: line["ms_per_step"] / 1e3 for line in lines if line["what"] == "step"}
        low, high = ratio["interval"]
    except (ValueError, KeyError, TypeError):
        return {"refused": "it printed no losses or no times"}
    own = next(seconds for arm, seconds in times.items() if arm != "ours")
    measured = {
        "ratio": ratio["times_as_fast"],
        "interval": [low, high],
        "seconds": own,
        "graph_seconds": times["ours"],
    }
    apart = _difference(compared["plain"], compared["own"], precision)
    slow = None if high < 1 else f"not clearly faster, {ratio['times_as_fast']:.2f} ({low:.2f} to {high:.2f}) times"
    return {"refused": apart or slow, **measured}


def _difference(plain: Sequence[float], own: Sequence[float], precision: Precision) -> str | None:
    """Where losses are too far from the plain ones; None if nowhere."""
    for step, (a, b) in enumerate(zip(plain, own, strict=True), start=1):
        allowed = allowed_difference(step, precision)
        if not abs(a - b) <= allowed:  # nor is a loss that is no number
            return f"its loss at step {step} is {b:.4f}, of plain steps {a:.4f}, and {allowed:g} is allowed"
    return None


def allowed_difference(step: int, precision: Precision) -> float:
    """How far a loss may be from that of plain steps.

    Example:
        >>> allowed_difference(1, "32"), allowed_difference(1, "bf16"), allowed_difference(20, "bf16")
        (0.0001, 0.01, 0.05)
    """
    if precision == "32":
        return margin(step)
    return next(most for last, most in ROUGH if step <= last)


def _seconds(judged: Mapping[StepMode, Line]) -> Line:
    """The seconds of a step by way, if any was measured; a choice without them isn't kept."""
    timed = {candidate: line for candidate, line in judged.items() if "seconds" in line}
    if not timed:
        return {}
    graph = min(line["graph_seconds"] for line in timed.values())
    return {"seconds_a_step": {"graph": graph, **{candidate: line["seconds"] for candidate, line in timed.items()}}}


def compare(candidate: StepMode, spec: Spec, machine: MachineOptions) -> int:
    """Print the first losses of plain steps and of a candidate's, then the times of it and of the captured step."""
    modes: dict[str, StepMode] = {"plain": "plain", "own": candidate}
    found = {name: losses(spec, machine, mode, COMPARED) for name, mode in modes.items()}
    print(json.dumps({"what": "losses"} | found), flush=True)  # to all digits, which `say` would cut off
    return bench(spec, replace(machine, step="graph"), ["ours", candidate], ROUNDS, STEPS, brief=True)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure one candidate in this process; the exit status is 2 for what cannot be done here."""
    parser = argparse.ArgumentParser(prog="study.bench.choose_gpu")
    parser.add_argument("candidate", choices=CANDIDATES)
    for name in ("dataset", "shortcut", "precision"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--depth", required=True, type=int)
    parser.add_argument("--data", required=True, type=Path)
    options = parser.parse_args(arguments)
    quiet()
    machine = MachineOptions(step=options.candidate, precision=options.precision, data=options.data)
    try:
        step_mode(machine, in_memory=True)  # refuses what cannot be done here, before anything is trained
        return compare(options.candidate, Spec(options.dataset, options.depth, options.shortcut), machine)
    except InputError as error:
        print(f"study: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
