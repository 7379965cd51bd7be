"""The snapshot: tables gathered from run records, from which alone everything else is built.

    DIR/runs.csv        a row per run: its factors, whether it counts and why not, its results, its provenance
    DIR/history.csv.gz  a row per run and evaluation
    DIR/responses.csv.gz  a row per run and layer (Fig. 7)
    DIR/signals.csv.gz, blocks.csv.gz, deeper.csv.gz  what `study probe` found

Nothing recorded is dropped: a run that does not count keeps its row and says why.
"""

from __future__ import annotations

import gzip
import io
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any

import pandas as pd

from study.recipes import RECIPES, recipe_for
from study.recording.evaluation import Row
from study.recording.record import COVARIATES, Run
from study.spec import FACTORS, InputError, Spec

RESULTS = [
    *("step", "epoch", "samples", "train/top1_error", "train/wrong", "train/seen", "train/loss"),
    *("test/top1_error", "test/wrong", "test/seen", "test/loss", "warm_until"),
    *("hours", "train_hours", "images_per_second", "peak_memory_mb", "parameters", "weights_sha256", "ended"),
]
PROTOCOLS = [f"{protocol}/{top}_error" for protocol in ("1crop", "10crop", "dense") for top in ("top1", "top5")]
RUN_COLUMNS = [
    "run",
    *FACTORS,
    "state",
    "counts",
    "reason",
    "source",
    "url",
    *RESULTS,
    *PROTOCOLS,
    *COVARIATES,
]
HISTORY_COLUMNS = [
    *("run", "step", "epoch", "samples", "lr", "images_per_second", "hours"),
    *("train/top1_error", "train/wrong", "train/seen", "train/loss"),
    *("test/top1_error", "test/wrong", "test/seen", "test/loss"),
]
RESPONSE_COLUMNS = ["run", "layer", "name", "std"]
PROBE_COLUMNS = {
    "signals": ["run", "moment", "layer", "name", "weight", "gradient", "signal", "signal_gradient"],
    "blocks": ["run", "block", "name", "change", "without", "linear"],
    "deeper": [
        *("run", "depth", "difference", "largest_score", "error", "copy_error"),
        *("training_loss", "copy_training_loss"),
    ],
}
# The paper's curves have 64 points; its training errors are read as a mean over the last ten of them, and so are ours.
PARTS, LAST_PARTS = 64, 10
PACKED = ("history", "responses", *PROBE_COLUMNS)
# Of the results, what is no measure. Measures are floats, also where JSON on its way through W&B made 0.0 a 0.
COUNTS = [f"{split}/{count}" for split in ("train", "test") for count in ("wrong", "seen")]
COUNTS += ["step", "samples", "warm_until", "parameters", "weights_sha256", "ended"]


@dataclass(frozen=True)
class Snapshot:
    """What was gathered; `reports build` sees nothing else."""

    runs: pd.DataFrame
    history: pd.DataFrame
    responses: pd.DataFrame
    signals: pd.DataFrame = field(default_factory=lambda: _nothing("signals"))
    blocks: pd.DataFrame = field(default_factory=lambda: _nothing("blocks"))
    deeper: pd.DataFrame = field(default_factory=lambda: _nothing("deeper"))

    @property
    def counting(self) -> pd.DataFrame:
        """The runs that count."""
        return self.runs[self.runs["counts"]]

    @cached_property
    def results(self) -> pd.DataFrame:
        """The runs that count, with what tables and claims ask of them (errors in percent).

        test_error: of the last step.
        train_error: the running one is noisy, so a mean over the last `LAST_PARTS` of `PARTS` parts of the run.
        train_curve: the running one's mean over the whole run.
        early_error: the test error's mean before the first drop of the learning rate.
        response: the mean over all layers (Fig. 7).
        """
        history, runs = self.history, self.counting
        measures = {
            "train_error": _mean(history[_is_in_last_parts(history)], "train/top1_error"),
            "train_curve": _mean(history, "train/top1_error"),
            "early_error": _mean(history[_is_before_first_drop(history, runs)], "test/top1_error"),
            "response": _mean(self.responses, "std"),
        }
        columns = {name: runs["run"].map(values) for name, values in measures.items()}
        return runs.assign(test_error=runs["test/top1_error"], **columns)

    @property
    def excluded(self) -> pd.DataFrame:
        """The runs that do not, each with its reason."""
        return self.runs[~self.runs["counts"]]


def collect(runs: Mapping[str, Run], excluded: Mapping[str, str]) -> Snapshot:
    """The tables of runs, and a row for each that was found but is none of ours or a duplicate.

    Args:
        runs: Under the names that they shall have in the tables: a cell's, where one run of it is to count.
        excluded: Why a run does not count, by its name; also of names that are not among the runs.
    """
    rows = [_run_row(name, run, excluded.get(name) or exclusion_reason(run)) for name, run in runs.items()]
    _exclude_copies(rows)
    unreadable = {name: why for name, why in excluded.items() if name not in runs}
    rows += [{"run": name, "state": "unreadable", "counts": False, "reason": why} for name, why in unreadable.items()]
    history = [{"run": name, **row} for name, run in runs.items() for row in run.history]
    layers = [
        {"run": name, "layer": i, "name": layer, "std": std}
        for name, run in runs.items()
        if run.responses
        for i, (layer, std) in enumerate(zip(run.responses["layers"], run.responses["std"], strict=True), start=1)
    ]
    return Snapshot(
        _frame(rows, RUN_COLUMNS, [name for name in RESULTS if name not in COUNTS] + PROTOCOLS),
        _frame(history, HISTORY_COLUMNS, [name for name in HISTORY_COLUMNS if name not in ("run", *COUNTS)]),
        _frame(layers, RESPONSE_COLUMNS, ["std"]),
        *_probes(runs),
    )


def _probes(runs: Mapping[str, Run]) -> Iterator[pd.DataFrame]:
    """What probes found, in the order of `PROBE_COLUMNS`; layers and blocks numbered in their order."""
    rows: dict[str, list[Row]] = {name: [] for name in PROBE_COLUMNS}
    for name, run in runs.items():
        if not (found := run.probes):
            continue
        order: dict[str, int] = {}
        for row in found["signals"]:
            number = order.setdefault(row["layer"], len(order) + 1)
            rows["signals"].append({"run": name, **row, "layer": number, "name": row["layer"]})
        for number, row in enumerate(found["blocks"]):
            rows["blocks"].append({"run": name, **row, "block": number, "name": row["block"]})
        rows["deeper"].append({"run": name, **found["copy"]})
    words = {"run", "moment", "layer", "block", "name", "depth"}
    for name, columns in PROBE_COLUMNS.items():
        yield _frame(rows[name], columns, [column for column in columns if column not in words])


def _frame(rows: Sequence[Row], columns: Sequence[str], measures: Sequence[str]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=list(columns)).astype(dict.fromkeys(measures, float))


def _run_row(name: str, run: Run, reason: str) -> dict[str, Any]:
    summary = run.summary or (run.history[-1] if run.history else {})
    return {
        "run": name,
        **run.spec.factors,
        **{"state": run.state, "counts": not reason, "reason": reason, "source": "recorded", "url": run.url},
        **{key: summary.get(key) for key in (*RESULTS, *PROTOCOLS)},
        **run.covariates,
        "argv": json.dumps(run.covariates["argv"] or []),
    }


def _mean(rows: pd.DataFrame, column: str) -> pd.Series[float]:
    """The column's mean over each run."""
    return rows.groupby("run")[column].mean()


def _is_in_last_parts(history: pd.DataFrame) -> pd.Series[bool]:
    """Whether an evaluation belongs to the last `LAST_PARTS` of the `PARTS` parts of its run."""
    steps = history.groupby("run")["step"].transform("max")
    return history["step"] > (steps * (PARTS - LAST_PARTS) / PARTS).round()


def _is_before_first_drop(history: pd.DataFrame, runs: pd.DataFrame) -> pd.Series[bool]:
    """Whether an evaluation belongs to the first learning rate of its run."""
    rows = runs[["run", "dataset", "recipe"]].itertuples(index=False, name=None)
    return history["step"] <= history["run"].map({run: _first_drop(dataset, recipe) for run, dataset, recipe in rows})


def _first_drop(dataset: str, name: str) -> int:
    """The step before which a run has its first learning rate."""
    recipe = RECIPES[dataset][name]
    return recipe.drops[0] if recipe.drops else recipe.steps


def exclusion_reason(run: Run) -> str:
    """Why a run does not count; empty when it does."""
    if run.spec.recipe not in RECIPES[run.spec.dataset]:
        return f"there is no recipe {run.spec.recipe!r}"
    steps = recipe_for(run.spec).steps
    if run.summary is None:
        return f"{run.state} at step {run.history[-1]['step'] if run.history else 0:,} of {steps:,}"
    if run.summary["step"] != steps or not run.history or run.history[-1]["step"] != steps:
        return f"no evaluation after its last step, {steps:,}"
    seen = [row["step"] for row in run.history]
    if any(later <= earlier for earlier, later in pairwise(seen)):
        return "its steps do not rise: two records were mixed"
    lost = next((row["step"] for row in [*run.history, run.summary] if _not_numbers(row)), None)
    return "" if lost is None else f"diverged: its loss is not a number at step {lost:,}"


def _not_numbers(row: Row) -> bool:
    return any(math.isnan(row[key]) for key in ("train/loss", "test/loss"))


def _exclude_copies(rows: list[dict[str, Any]]) -> None:
    """Two runs cannot end with the same weights by chance: the later by name does not count."""
    first: dict[str, str] = {}
    for row in rows:
        weights = row.get("weights_sha256")
        if row["counts"] and weights and first.setdefault(weights, row["run"]) != row["run"]:
            row["counts"], row["reason"] = False, f"a copy: it ends with the very weights of {first[weights]}"


def write(snapshot: Snapshot, folder: Path) -> None:
    """Write the tables; the same snapshot gives the same bytes."""
    folder.mkdir(parents=True, exist_ok=True)
    snapshot.runs.to_csv(folder / "runs.csv", index=False)
    for name in PACKED:
        text = getattr(snapshot, name).to_csv(index=False)
        with (folder / f"{name}.csv.gz").open("wb") as file, gzip.GzipFile("", "wb", fileobj=file, mtime=0) as packed:
            packed.write(text.encode())


def read(folder: Path) -> Snapshot:
    """Read the tables back.

    Raises:
        InputError: they are not there.
    """
    if not (folder / "runs.csv").exists():
        raise InputError(f"{folder} holds no snapshot; run: python -m reports gather --runs=runs --out={folder}")
    text = dict.fromkeys(("commit", "precision", "shortcut", "reason", "url", "torch"), str)
    missing = {column: [""] for column in RUN_COLUMNS if column != "reason"}
    runs = pd.read_csv(
        folder / "runs.csv", dtype=text, keep_default_na=False, na_values=missing, float_precision="round_trip"
    )
    renamed = _renamed(runs)
    recipes = runs["run"].map({run: spec.recipe for run, spec in renamed.items()}).fillna(runs["recipe"])
    names = {run: run.replace(spec.former_name or run, spec.name) for run, spec in renamed.items()}
    packed = [_read_gz(folder / f"{name}.csv.gz") for name in PACKED]
    return Snapshot(*(frame.replace({"run": names}) for frame in (runs.assign(recipe=recipes), *packed)))


def _renamed(runs: pd.DataFrame) -> dict[str, Spec]:
    """The cells whose recipe was renamed since the snapshot was gathered, by the name that their run has in it."""
    rows = runs.loc[runs["dataset"].notna(), ["run", *FACTORS]].itertuples(index=False, name=None)
    specs = {
        run: (Spec(dataset, int(depth), shortcut, recipe, int(seed)), recipe)
        for run, dataset, depth, shortcut, recipe, seed in rows
    }
    return {run: spec for run, (spec, recipe) in specs.items() if spec.recipe != recipe}


def _read_gz(path: Path) -> pd.DataFrame:
    """A packed table; one of probes that is not there has no rows, as snapshots up to 2026-11-21 have none."""
    name = path.name.removesuffix(".csv.gz")
    if name in PROBE_COLUMNS and not path.exists():
        return _nothing(name)
    return pd.read_csv(io.BytesIO(gzip.decompress(path.read_bytes())), float_precision="round_trip")


def _nothing(probe: str) -> pd.DataFrame:
    return pd.DataFrame(columns=PROBE_COLUMNS[probe])
