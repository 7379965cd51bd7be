"""The columns of the snapshot's tables, and how packed tables are written and read."""

from __future__ import annotations

import gzip
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd

from study.recording import evaluation
from study.recording.evaluation import SUMMARY_COLUMNS
from study.recording.run import COVARIATES
from study.spec import FACTORS

# What `study test` adds to a run, by the running averages of batch norm and by true ones.
RECALIBRATED = "-recalibrated"
_TESTS = ("1crop", "10crop", "dense", "single", "ensemble")
PROTOCOLS = [
    f"{protocol}{averages}/{top}_error"
    for averages in ("", RECALIBRATED)
    for protocol in _TESTS
    for top in ("top1", "top5")
]
MEMBERS = [f"ensemble{averages}/members" for averages in ("", RECALIBRATED)]  # the names of an ensemble's nets, as JSON
RUN_COLUMNS = [
    "run",
    *FACTORS,
    "state",
    "counts",
    "reason",
    "source",
    "url",
    *SUMMARY_COLUMNS,
    *PROTOCOLS,
    *MEMBERS,
    *COVARIATES,
]
HISTORY_COLUMNS = ["run", *evaluation.HISTORY_COLUMNS]
RESPONSE_COLUMNS = ["run", "layer", "name", "std"]
PROBE_COLUMNS = {
    "signals": ["run", "moment", "layer", "name", "weight", "gradient", "signal", "signal_gradient"],
    "blocks": ["run", "block", "name", "change", "without", "linear"],
    "deeper": [
        "run",
        "depth",
        "difference",
        "largest_score",
        "error",
        "copy_error",
        "training_loss",
        "copy_training_loss",
    ],
    "lesions": ["run", "change", "count", "error"],
    "mistakes": ["run", "image", "class", "predicted"],
    "filters": ["run", "filter", "channel", "row", "column", "weight"],
    "embeddings": ["run", "place", "name", "image", "label", "x", "y"],
    "landscape": ["run", "row", "column", "loss"],
    "similarity": ["run", "other", "block", "other_block", "cka"],
    "along": ["run", "step", "lr", "layer", "name", "weight", "gradient", "signal", "off"],
}
# Columns of these tables that are not measures: they keep the type in which they came.
WORDS = {"run", "other", "moment", "name", "change", "label", "class", "predicted"}
COUNTS = {
    "layer",
    "block",
    "other_block",
    "depth",
    "count",
    "image",
    "filter",
    "channel",
    "row",
    "column",
    "place",
    "step",
}


def frame(rows: Sequence[Mapping[str, Any]], columns: Sequence[str], measures: Sequence[str]) -> pd.DataFrame:
    """A table of rows with these columns, of which the measures are floating-point numbers."""
    return pd.DataFrame(rows, columns=list(columns)).astype(dict.fromkeys(measures, float))


def write_packed(table: pd.DataFrame, path: Path) -> None:
    """Write a table as ``.csv.gz``; the same table gives the same bytes."""
    with path.open("wb") as file, gzip.GzipFile("", "wb", fileobj=file, mtime=0) as packed:
        packed.write(table.to_csv(index=False).encode())


def read_packed(path: Path) -> pd.DataFrame:
    """Read a packed table back."""
    content = io.BytesIO(gzip.decompress(path.read_bytes()))
    return pd.read_csv(content, dtype={"class": str, "predicted": str}, float_precision="round_trip")


def no_probes(name: str) -> pd.DataFrame:
    """A table of probes without rows."""
    return pd.DataFrame(columns=PROBE_COLUMNS[name])


@dataclass(frozen=True, kw_only=True)
class ProbeTables:
    """What `study probe` measures of one network, ours or others'; a table without rows where nothing was measured.

    Attributes:
        signals: What the layers do with a batch.
        blocks: What each block contributes.
        deeper: How close a deeper network comes that copies it.
        similarity: How alike the blocks of two networks represent the images.
        lesions, mistakes, filters, embeddings, landscape: As the parts of `study probe` are called.
    """

    signals: pd.DataFrame = field(default_factory=partial(no_probes, "signals"))
    blocks: pd.DataFrame = field(default_factory=partial(no_probes, "blocks"))
    deeper: pd.DataFrame = field(default_factory=partial(no_probes, "deeper"))
    lesions: pd.DataFrame = field(default_factory=partial(no_probes, "lesions"))
    mistakes: pd.DataFrame = field(default_factory=partial(no_probes, "mistakes"))
    filters: pd.DataFrame = field(default_factory=partial(no_probes, "filters"))
    embeddings: pd.DataFrame = field(default_factory=partial(no_probes, "embeddings"))
    landscape: pd.DataFrame = field(default_factory=partial(no_probes, "landscape"))
    similarity: pd.DataFrame = field(default_factory=partial(no_probes, "similarity"))


PUBLIC_PROBES = tuple(each.name for each in fields(ProbeTables))  # what is measured of networks that others published
