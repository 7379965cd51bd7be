"""What the runs cost: time, device hours, speed and memory."""

from __future__ import annotations

import pandas as pd

from reports.tables.formats import duration, linked
from reports.tables.table import Table, TableCell, numbers

COLUMNS = ("cell, all seeds", "runs", "time per run", "device hours", "images/s", "peak memory", "device")


def cost_table(results: pd.DataFrame) -> Table:
    """Cost of each cell, its seeds taken together."""
    rows = [_cost_row(str(cell), runs) for cell, runs in results.groupby(results["run"].str.rsplit("-s", n=1).str[0])]
    caption = (
        "Time: training and evaluation, without start-up. Device hours: the hours of all runs times their devices."
    )
    return Table("Cost", COLUMNS, rows, caption, numbers(COLUMNS, COLUMNS.index("device")), "cost")


def _cost_row(cell: str, runs: pd.DataFrame) -> tuple[TableCell, ...]:
    return (
        linked(cell, runs),
        str(len(runs)),
        duration(runs["hours"].mean()),
        f"{(runs['hours'] * runs['world_size']).sum():.2f}",
        f"{runs['images_per_second'].median():,.0f}",
        f"{runs['peak_memory_mb'].max() / 1024:.1f} GiB",
        ", ".join(sorted(set(runs["device"].dropna()))),
    )
