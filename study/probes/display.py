"""The results of ``study probe`` as tables in the terminal."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from statistics import median
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from study.recording.evaluation import Row


def show(measured: Row) -> None:
    """Print a summary of what `study.probes.probe.probe` measured of one run, part by part."""
    console = Console(soft_wrap=True)
    console.print(f"{measured['run']}, step {measured['step']:,}", style="bold")
    for part, describe in PARTS.items():
        if part in measured:
            console.print(describe(measured[part]))


def _copy(copied: Row) -> str:
    return (
        f"A copy with {copied['depth']} layers: test error {copied['copy_error']:.2f} % for {copied['error']:.2f} %, "
        f"logits differ by at most {copied['difference']:.1g}; in training mode its loss is "
        f"{copied['copy_training_loss']:.3g} for {copied['training_loss']:.3g}"
    )


def _gradients(signals: Sequence[Row]) -> Table:
    table = Table("gradient norms", "smallest", "median", "largest", title="weights of all layers")
    for moment in dict.fromkeys(row["moment"] for row in signals):
        norms = [row["gradient"] for row in signals if row["moment"] == moment]
        table.add_row(moment, f"{min(norms):.2g}", f"{median(norms):.2g}", f"{max(norms):.2g}")
    return table


def _blocks(blocks: Sequence[Row]) -> Table:
    table = Table("block", "change", "error without %", "linear error %", title="blocks")
    for row in blocks:
        table.add_row(row["block"], _number(row["change"]), _number(row["without"]), _number(row["linear"]))
    return table


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"


def _lesions(rows: Sequence[Row]) -> Table:
    table = Table("blocks", "removed: error %", "pairs exchanged: error %", title="several blocks at random, median")
    for count in sorted({row["count"] for row in rows}):
        table.add_row(str(count), *(_number(_median(rows, change, count)) for change in ("removed", "exchanged")))
    return table


def _median(rows: Sequence[Row], change: str, count: int) -> float | None:
    errors = [row["error"] for row in rows if (row["change"], row["count"]) == (change, count)]
    return median(errors) if errors else None


def _mistakes(found: Row) -> str:
    return f"{len(found['wrong']):,} of {found['seen']:,} test images wrong"


def _landscape(found: Row) -> str:
    rows = found["loss"]
    middle, flat = rows[len(rows) // 2][len(rows) // 2], [value for row in rows for value in row if value is not None]
    return f"Loss {middle:.3g} at the network, {median(flat):.3g} in the median of the slice around it"


def _similarity(rows: Sequence[Row]) -> Table:
    table = Table("compared with", "first", "middle", "last", title="alignment (CKA) of blocks at equal depth")
    for row in rows:
        cka = np.array(row["cka"], dtype=float)
        at = [cka[tuple(int(share * (length - 1)) for length in cka.shape)] for share in (0, 0.5, 1)]
        table.add_row(row["with"], *map(_number, at))
    return table


PARTS: dict[str, Callable[[Any], Table | str]] = {
    "signals": _gradients,
    "blocks": _blocks,
    "copy": _copy,
    "lesions": _lesions,
    "mistakes": _mistakes,
    "landscape": _landscape,
    "similarity": _similarity,
}
