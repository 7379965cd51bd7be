"""Slices: the parts into which a machine is divided, one for each of the runs that it trains at the same time."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import cycle, islice

from study.machine.gpus import VARIABLE, read_list, visible_gpus
from study.machine.mps import shared_gpus
from study.spec import InputError

CPU_SLICES = 2
RANGE = re.compile(r"(\d{1,3})-(\d{1,3})")


@dataclass(frozen=True)
class Slice:
    """The part of the machine that one run at a time uses, alone or through an agent.

    Attributes:
        name: As in the record of a run and in the name of an agent's log: ``gpu0+1``.
        variables: The environment variables that restrict a process to it.
    """

    name: str
    variables: Mapping[str, str]


def slices(gpus: str, per_run: int, runs_per_gpu: int = 1) -> list[Slice]:
    """Divide the GPUs into one slice per run at a time; ``cpu`` gives two on the CPU.

    Args:
        gpus: ``cpu``, or the GPUs with commas between them: their indices, ranges of them, or their UUIDs,
            also of parts (MIG).
        per_run: Number of devices of one run.
        runs_per_gpu: Number of runs at a time that share each GPU.

    Raises:
        InputError: The GPUs are not names, are named twice, or do not divide into runs of `per_run`.

    Example:
        >>> [part.name for part in slices("0-3", 2)]
        ['gpu0+1', 'gpu2+3']
        >>> [part.name for part in slices("0,1", 1, runs_per_gpu=2)]
        ['gpu0.1', 'gpu0.2', 'gpu1.1', 'gpu1.2']
    """
    if min(per_run, runs_per_gpu) < 1:
        raise InputError(f"--gpus-per-run={per_run} and --runs-per-gpu={runs_per_gpu} must be at least 1")
    if gpus == "cpu":
        return _cpu_slices()
    names = [name for word in gpus.split(",") for name in _expand(word)]
    if read_list(",".join(names)) != names:
        raise InputError(
            f"--gpus={gpus} is not a list of different GPUs; write --gpus=0-3, --gpus=0,2,5 or --gpus=cpu, "
            "and --runs-per-gpu=2 for two runs at a time on each"
        )
    if len(names) % per_run:
        raise InputError(f"{len(names)} GPUs do not divide into runs of {per_run}; change --gpus or --gpus-per-run")
    shares = [names[i : i + per_run] for i in range(0, len(names), per_run)]
    ends = [f".{i + 1}" for i in range(runs_per_gpu)] if runs_per_gpu > 1 else [""]
    return [Slice(_name(share) + end, {VARIABLE: ",".join(share)}) for share in shares for end in ends]


def share(jobs: int, per_run: int = 1) -> list[Slice]:
    """Divide the GPUs that this process may use among so many runs at a time; they go round the GPUs.

    A single run, and every run on a CPU, keeps the whole machine.

    Raises:
        InputError: `jobs` is less than 1.
    """
    if jobs < 1:
        raise InputError(f"--jobs={jobs} must be at least 1")
    gpus = visible_gpus() if jobs > 1 else []
    if not gpus:
        return [Slice("", {})] * jobs
    rounds = cycle(gpus)
    shares = [list(islice(rounds, min(per_run, len(gpus)))) for _ in range(jobs)]
    return [Slice(_name(names), {VARIABLE: ",".join(names)}) for names in shares]


def _expand(word: str) -> list[str]:
    """``0-3`` is four indices; any other word, as a UUID with its hyphens, is the name of one GPU."""
    if not (ends := RANGE.fullmatch(word)):
        return [word]
    first, last = map(int, ends.groups())
    return [str(index) for index in range(first, last + 1)] or [word]


def _cpu_slices() -> list[Slice]:
    threads = str(max(1, (os.cpu_count() or 1) // CPU_SLICES))
    shared = {VARIABLE: "", "OMP_NUM_THREADS": threads}
    return [Slice(f"cpu{i}", shared) for i in range(CPU_SLICES)]


def _name(gpus: Sequence[str]) -> str:
    """``gpu0+1`` for ``0`` and ``1``; it becomes the name of a log, so a MIG name has no slashes there."""
    return ("gpu" if gpus[0].isdecimal() else "") + "+".join(gpus).replace("/", "-")


@contextmanager
def with_service(fleet: Sequence[Slice]) -> Iterator[list[Slice]]:
    """Run MPS on every single GPU that several slices share; yield the slices, with the variables of its clients."""
    uses = Counter(part.variables.get(VARIABLE, "") for part in fleet)
    shared = [gpu for gpu, count in uses.items() if count > 1 and gpu and "," not in gpu]
    with shared_gpus(shared, is_shared=True) as variables:
        yield [
            replace(part, variables=variables.get(part.variables.get(VARIABLE, ""), part.variables)) for part in fleet
        ]
