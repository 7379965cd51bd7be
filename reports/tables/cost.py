"""What the runs cost: time, device hours, speed and memory, by protocol and by cell."""

from __future__ import annotations

import pandas as pd

from reports.judging.comparison import Comparison
from reports.tables.formats import devices, duration, linked
from reports.tables.table import Table, TableCell, numbers

COLUMNS = ("cell, all seeds", "runs", "time per run", "device hours", "images/s", "peak memory", "device")


def cost_table(results: pd.DataFrame) -> Table:
    """Cost of each cell, its seeds taken together."""
    rows = [_cost_row(str(cell), runs) for cell, runs in results.groupby(results["run"].str.rsplit("-s", n=1).str[0])]
    caption = (
        "Time: training and evaluation, without start-up. Device hours: the hours of all runs times their devices."
    )
    return Table("Cost", COLUMNS, rows, caption, numbers(COLUMNS, COLUMNS.index("device")), "cost")


def protocol_table(results: pd.DataFrame) -> Table:
    """Cost of each protocol, all of its networks and seeds taken together."""
    columns = ("protocol", "runs", "networks", "time per run", "device hours", "images/s", "device")
    rows = [_protocol_row(each, each.of(results)) for each in Comparison.among(results)]
    caption = "Time and speed: the lowest and the highest of its runs. The cost of each cell: `tables/cost.csv`."
    return Table(
        "Cost of each protocol", columns, rows, caption, numbers(columns, columns.index("device")), "protocols"
    )


def _protocol_row(comparison: Comparison, runs: pd.DataFrame) -> tuple[TableCell, ...]:
    speeds = runs["images_per_second"]
    return (
        comparison.title,
        str(len(runs)),
        str(len(runs[["depth", "shortcut"]].drop_duplicates())),
        f"{duration(runs['hours'].min())} to {duration(runs['hours'].max())}",
        _device_hours(runs),
        f"{speeds.min():,.0f} to {speeds.max():,.0f}",
        devices(runs),
    )


def _cost_row(cell: str, runs: pd.DataFrame) -> tuple[TableCell, ...]:
    return (
        linked(cell, runs),
        str(len(runs)),
        duration(runs["hours"].mean()),
        _device_hours(runs),
        f"{runs['images_per_second'].median():,.0f}",
        f"{runs['peak_memory_mb'].max() / 1024:.1f} GiB",
        devices(runs),
    )


def _device_hours(runs: pd.DataFrame) -> str:
    return f"{(runs['hours'] * runs['world_size']).sum():.2f}"
