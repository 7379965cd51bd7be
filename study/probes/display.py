"""The results of ``study probe`` as tables in the terminal."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

from rich.console import Console
from rich.table import Table

from study.recording.evaluation import Row


def show(measured: Row) -> None:
    """Print a summary of what `study.probes.probe.probe` measured of one run."""
    console = Console(soft_wrap=True)
    console.print(_gradients(measured["run"], measured["signals"]))
    console.print(_blocks(measured["blocks"]))
    copied = measured["copy"]
    console.print(
        f"A copy with {copied['depth']} layers: test error {copied['copy_error']:.2f} % for {copied['error']:.2f} %, "
        f"logits differ by at most {copied['difference']:.1g}; in training mode its loss is "
        f"{copied['copy_training_loss']:.3g} for {copied['training_loss']:.3g}"
    )


def _gradients(run: str, signals: Sequence[Row]) -> Table:
    table = Table("gradient norms", "smallest", "median", "largest", title=f"{run}: weights of all layers")
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
