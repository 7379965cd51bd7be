"""The tables of docs/gpu_times.md."""

from __future__ import annotations

from collections.abc import Sequence

from tabulate import tabulate

from study.bench.gpu_model.model import GPUS, OPTIMISTIC, PESSIMISTIC, WAYS, gigabytes, launches, run_minutes
from study.bench.gpu_model.order import order_table
from study.data.images import Arrays

DEPTHS = (20, 32, 44, 56, 110, 1202)


def tables() -> str:
    """All of them, as Markdown."""
    parts = ["Kernels of one step, at least:", _counts(), "Gigabytes that they read and write:", _bytes()]
    for gpu in GPUS:
        parts += [f"Minutes on an {gpu.name}, optimistic to pessimistic:", _minutes(GPUS.index(gpu))]
    parts += ["Hours until each of these is trained, all above it included, optimistic to pessimistic:", order_table()]
    return "\n\n".join(parts)


def _counts() -> str:
    return _table([[way.name, *(f"{launches(depth, way):,}" for depth in DEPTHS)] for way in WAYS])


def _bytes() -> str:
    return _table([[way.name, *(f"{gigabytes(depth, way):.1f}" for depth in DEPTHS)] for way in WAYS])


def _minutes(which: int) -> str:
    gpu, part = GPUS[which], Arrays.evaluation_batch
    rows = []
    for way in WAYS:
        ends = [[run_minutes(depth, way, gpu, end, part) for end in (OPTIMISTIC, PESSIMISTIC)] for depth in DEPTHS]
        rows.append([way.name, *(f"{low:.1f} to {high:.1f}" for low, high in ends)])
    return _table(rows)


def _table(rows: Sequence[Sequence[str]]) -> str:
    headers = ["step", *map(str, DEPTHS)]
    return tabulate(rows, headers, "github", disable_numparse=True, colalign=["left", *["right"] * len(DEPTHS)])
