"""What `study probe` and `--signals` measured of runs, as tables: a row for each number or small group of numbers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping

import pandas as pd

from reports.gathering.tables import COUNTS, PROBE_COLUMNS, WORDS, frame
from study.recording.evaluation import Row
from study.recording.run import Run


def tables_of_runs(runs: Mapping[str, Run]) -> dict[str, pd.DataFrame]:
    """The tables of `PROBE_COLUMNS`."""
    along = [{"run": name, **row} for name, run in runs.items() for row in _along(run.along)]
    return probe_tables({name: run.probes for name, run in runs.items() if run.probes}) | {
        "along": _table("along", along)
    }


def probe_tables(probed: Mapping[str, Row]) -> dict[str, pd.DataFrame]:
    """The tables of what `study probe` measured; layers are numbered from 1, blocks from the stem, which is 0."""
    rows: dict[str, list[Row]] = {
        table: [{"run": name, **row} for name, found in probed.items() for row in of_run(found)]
        for table, of_run in TABLES.items()
    }
    return {table: _table(table, rows[table]) for table in TABLES}


def _table(name: str, rows: list[Row]) -> pd.DataFrame:
    columns = PROBE_COLUMNS[name]
    return frame(rows, columns, [column for column in columns if column not in WORDS | COUNTS])


def signal_rows(found: Row) -> Iterator[Row]:
    """Of every layer at each moment."""
    order: dict[str, int] = {}
    for row in found.get("signals", []):
        yield {**row, "layer": order.setdefault(row["layer"], len(order) + 1), "name": row["layer"]}


def block_rows(found: Row) -> Iterator[Row]:
    """Of the stem and every block."""
    for number, row in enumerate(found.get("blocks", [])):
        yield {**row, "block": number, "name": row["block"]}


def deeper_rows(found: Row) -> Iterable[Row]:
    """Of the deeper copy, which is one."""
    return [found["copy"]] if found.get("copy") else []


def _lesions(found: Row) -> Iterable[Row]:
    rows: list[Row] = found.get("lesions", [])
    return rows


def _mistakes(found: Row) -> Iterator[Row]:
    mistakes = found.get("mistakes") or {"wrong": []}
    for image, label, predicted in mistakes["wrong"]:
        classes = mistakes["classes"]
        yield {"image": image, "class": classes[label], "predicted": classes[predicted]}


def _filters(found: Row) -> Iterator[Row]:
    for i, channels in enumerate(found.get("filters", [])):
        for j, rows in enumerate(channels):
            yield from (_at(row, column, "weight", value, filter=i, channel=j) for row, column, value in _cells(rows))


def _embeddings(found: Row) -> Iterator[Row]:
    for place, row in enumerate(found.get("embeddings", [])):
        for image, (label, x, y) in enumerate(zip(row["label"], row["x"], row["y"], strict=True)):
            yield {"place": place, "name": row["block"], "image": image, "label": label, "x": x, "y": y}


def _landscape(found: Row) -> Iterator[Row]:
    rows = (found.get("landscape") or {"loss": []})["loss"]
    yield from (_at(row, column, "loss", value) for row, column, value in _cells(rows))


def _similarity(found: Row) -> Iterator[Row]:
    for pair in found.get("similarity", []):
        for block, other, value in _cells(pair["cka"]):
            yield {"other": pair["with"], "block": block, "other_block": other, "cka": value}


def _along(lines: Iterable[Row]) -> Iterator[Row]:
    """Of every layer at each evaluation of the training."""
    for line in lines:
        measured = zip(line["layers"], line["weight"], line["gradient"], line["signal"], line["off"], strict=True)
        for layer, (name, weight, gradient, signal, off) in enumerate(measured, start=1):
            numbers = {"weight": weight, "gradient": gradient, "signal": signal, "off": off}
            yield {"step": line["step"], "lr": line["lr"], "layer": layer, "name": name, **numbers}


def _cells(rows: Iterable[Iterable[float | None]]) -> Iterator[tuple[int, int, float | None]]:
    return ((i, j, value) for i, row in enumerate(rows) for j, value in enumerate(row))


def _at(row: int, column: int, name: str, value: float | None, **more: int) -> Row:
    return {**more, "row": row, "column": column, name: value}


TABLES: dict[str, Callable[[Row], Iterable[Row]]] = {
    "signals": signal_rows,
    "blocks": block_rows,
    "deeper": deeper_rows,
    "lesions": _lesions,
    "mistakes": _mistakes,
    "filters": _filters,
    "embeddings": _embeddings,
    "landscape": _landscape,
    "similarity": _similarity,
}
