"""``study sweep --jobs=auto``: how many cells to train at the same time on this machine, by measuring it."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from study.machine.gpus import has_gpu, visible_gpus
from study.machine.options import MachineOptions
from study.recording.bench_lines import SharedRate
from study.recording.record import Record
from study.spec import InputError, Spec
from study.sweeps.estimate import measure, run_bench

WORTH = 1.1  # a doubling has to give so many times as many images per second; with less, every run only takes longer
FREE_SHARE = 0.9  # of the free memory that other runs may take
CONTEXT_MB = 600  # what a process takes on a GPU besides its tensors; a guess, no GPU has been measured
QUICK = ("--ways=processes", "--seconds=10")


@dataclass(frozen=True)
class Choice:
    """How many runs share a device.

    Attributes:
        jobs: Their number.
        rates: Images per second by number of runs, in the order in which they were measured.
        why: Why not more.
    """

    jobs: int
    rates: dict[int, float]
    why: str


def choose_jobs(specs: Sequence[Spec], machine: MachineOptions) -> int:
    """Measure how many cells this machine should train at a time; say it on standard error, and return it.

    The deepest network of the cells that are not finished is measured. It needs the most memory, and gains least from
    company. Nothing is kept for the next sweep: the measurement takes about a minute, and what else runs on the machine
    changes it.

    Raises:
        InputError: The network cannot be measured here, or one run takes several devices.
    """
    if machine.devices > 1:
        raise InputError(f"--jobs=auto measures runs of one device; give a number with --devices={machine.devices}")
    waiting = [spec for spec in specs if Record(machine.runs, spec).state() != "finished"]
    devices = len(visible_gpus()) if has_gpu() else 1
    limit = min(-(-len(waiting) // devices), max(1, (os.cpu_count() or 1) // devices))
    if limit < 2:
        _say(f"{devices} at a time: there are no more cells or processor cores for each device")
        return devices
    spec = max(waiting, key=lambda spec: spec.depth)
    _say(f"measures {spec.dataset}-{spec.depth}-{spec.shortcut}, the deepest network, for about a minute")
    need = measure(spec, machine).peak_mb + (CONTEXT_MB if has_gpu() else 0)
    choice = grow(lambda count: _measure(spec, machine, count), need, limit)
    _say(describe(choice, devices, need))
    return choice.jobs * devices


def grow(measure: Callable[[int], SharedRate], need_mb: float, limit: int) -> Choice:
    """Double the number of runs while that is worth it.

    Args:
        measure: Measures so many runs at a time.
        need_mb: The memory of one run.
        limit: The largest number.
    """
    first = measure(1)
    rates, count = {1: first.images_per_second}, 1
    room = 1 + int(FREE_SHARE * first.free_mb / need_mb)
    while (more := min(2 * count, limit, room)) > count:
        try:
            rates[more] = measure(more).images_per_second
        except InputError:
            return Choice(count, rates, f"{more} did not run")
        if rates[more] < WORTH * rates[count]:
            return Choice(count, rates, f"{more} give less than {WORTH - 1:.0%} more")
        count = more
    return Choice(count, rates, "memory has no room for more" if room < limit else "there are no more cells or cores")


def describe(choice: Choice, devices: int, need_mb: float) -> str:
    """The choice in one line."""
    rates = ", ".join(f"{count} at a time {rate:.4g}" for count, rate in choice.rates.items())
    where = f" on each of {devices} GPUs" if devices > 1 else ""
    return f"images/s: {rates}; {need_mb:.0f} MB a run; takes {choice.jobs} at a time{where}, as {choice.why}"


def _measure(spec: Spec, machine: MachineOptions, count: int) -> SharedRate:
    return SharedRate.read(run_bench(spec, machine, [f"--jobs={count}", *QUICK]))


def _say(words: str) -> None:
    print(f"study: --jobs=auto: {words}", file=sys.stderr)
