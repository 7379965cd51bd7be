"""The snapshot: tables gathered from run records, from which alone everything else is built.

    DIR/runs.csv        a row per run: its factors, whether it counts and why not, its results, its provenance
    DIR/history.csv.gz  a row per run and evaluation
    DIR/responses.csv.gz  a row per run and layer (Fig. 7)
    DIR/signals.csv.gz, blocks.csv.gz, ...  what `study probe` and `--signals` measured, a file for each table
    DIR/public/         what was measured of networks that others published

Nothing recorded is dropped: a run that does not count keeps its row and says why.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path

import pandas as pd

from reports.gathering.public import FOLDER as PUBLIC
from reports.gathering.public import Public, read_public, write_public
from reports.gathering.tables import (
    MEMBERS,
    PROBE_COLUMNS,
    RUN_COLUMNS,
    ProbeTables,
    no_probes,
    read_packed,
    write_packed,
)
from study.recipes import RECIPES
from study.recording.evaluation import TEST_ERROR, TRAIN_ERROR
from study.recording.formulas import as_it_was, no_formula
from study.spec import FACTORS, InputError, Spec

# The paper's curves have 64 points; its training errors are read as a mean over the last ten of them, and so are ours.
PARTS, LAST_PARTS = 64, 10
DIVERGED, STUCK = "diverged", "never left its warm-up"  # how the reason of a run that failed begins
BEGUN = ("running at step", "interrupted at step", "stopped at step")  # and that of a run that is not finished
EMPTY = ("plan", "changed", "extent", "parent")  # texts that most runs, or all of an older snapshot, lack
PACKED = ("history", "responses", *PROBE_COLUMNS)


@dataclass(frozen=True)
class Snapshot(ProbeTables):
    """What was gathered; `reports build` sees nothing else. All tables are of our runs, but for `public`.

    Attributes:
        runs: A row per run, whether it counts or not.
        history: A row per run and evaluation.
        responses: A row per run and layer (Fig. 7).
        along: What `--signals` recorded along the training.
        public: What was measured of networks that others published.
    """

    runs: pd.DataFrame
    history: pd.DataFrame
    responses: pd.DataFrame
    along: pd.DataFrame = field(default_factory=partial(no_probes, "along"), kw_only=True)
    public: Public = field(default_factory=Public, kw_only=True)

    @property
    def counting(self) -> pd.DataFrame:
        """The runs that count."""
        return self.runs[self.runs["counts"]]

    @cached_property
    def results(self) -> pd.DataFrame:
        """The runs that count, with the metrics that tables and claims need (errors in percent).

        test_error: of the last step.
        train_error: the running one is noisy, so a mean over the last `LAST_PARTS` of `PARTS` parts of the run.
        train_curve: the running one's mean over the whole run.
        train_stage1 to 3: the running one's mean under each learning rate.
        early_error: the test error's mean before the first drop of the learning rate.
        response: the mean over all layers (Fig. 7).
        """
        history, runs = self.history, self.counting
        measures = {
            "train_error": _mean(history[_is_in_last_parts(history)], TRAIN_ERROR),
            "train_curve": _mean(history, TRAIN_ERROR),
            **{f"train_stage{i}": _mean(rows, TRAIN_ERROR) for i, rows in _by_stage(history, runs).items()},
            "early_error": _mean(history[_is_before_first_drop(history, runs)], TEST_ERROR),
            "response": _mean(self.responses, "std"),
        }
        columns = {name: runs["run"].map(values) for name, values in measures.items()}
        return runs.assign(test_error=runs[TEST_ERROR], **columns)

    @property
    def growing(self) -> pd.DataFrame:
        """The runs that are trained now or were interrupted, and have been evaluated."""
        is_begun = self.runs["reason"].fillna("").str.startswith(BEGUN)
        return self.runs[is_begun & self.runs["run"].isin(self.history["run"])]

    @property
    def failed(self) -> pd.DataFrame:
        """The runs that diverged or ended in their warm-up: without a result that counts, but failure is an outcome."""
        return self.runs[~self.runs["counts"] & self.runs["reason"].fillna("").str.startswith((DIVERGED, STUCK))]

    @property
    def excluded(self) -> pd.DataFrame:
        """The runs that do not count, each with its reason."""
        return self.runs[~self.runs["counts"]]


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


def _by_stage(history: pd.DataFrame, runs: pd.DataFrame) -> dict[int, pd.DataFrame]:
    """The evaluations under each of the first three learning rates, by number from 1."""
    rows = runs[["run", "dataset", "recipe"]].itertuples(index=False, name=None)
    drops = history["run"].map({run: RECIPES[dataset][recipe].drops for run, dataset, recipe in rows})
    pairs = zip(history["step"], drops, strict=True)
    stages = [1 + sum(step > drop for drop in after) if isinstance(after, tuple) else 0 for step, after in pairs]
    stage = pd.Series(stages, index=history.index, dtype=int)  # a list would select columns where there are no rows
    return {number: history[stage == number] for number in (1, 2, 3)}


def _first_drop(dataset: str, name: str) -> int:
    """The step before which a run has its first learning rate."""
    recipe = RECIPES[dataset][name]
    return recipe.drops[0] if recipe.drops else recipe.steps


def write(snapshot: Snapshot, folder: Path) -> None:
    """Write the tables; the same snapshot gives the same bytes."""
    folder.mkdir(parents=True, exist_ok=True)
    # A reason may quote an exception; a carriage return, which is not quoted, would end the row.
    plain = snapshot.runs.replace({"\r\n?": "\n"}, regex=True)
    _texts(plain, no_formula).to_csv(folder / "runs.csv", index=False)
    for name in PACKED:
        path, table = folder / f"{name}.csv.gz", getattr(snapshot, name)
        if name in PROBE_COLUMNS and table.empty:
            path.unlink(missing_ok=True)
        else:
            write_packed(table, path)
    if len(snapshot.public.networks):
        write_public(snapshot.public, folder / PUBLIC)


def read(folder: Path) -> Snapshot:
    """Read the tables back; columns that an older snapshot lacks are empty.

    Raises:
        InputError: they are not there.
    """
    if not (folder / "runs.csv").exists():
        raise InputError(f"{folder} has no snapshot; run: python -m reports gather --runs=runs --out={folder}")
    text = dict.fromkeys(("commit", "precision", "shortcut", "reason", "url", "torch", *EMPTY, *MEMBERS), str)
    missing = {column: [""] for column in RUN_COLUMNS if column != "reason"}
    runs = pd.read_csv(
        folder / "runs.csv", dtype=text, keep_default_na=False, na_values=missing, float_precision="round_trip"
    )
    runs = _texts(runs, as_it_was)
    runs = runs.reindex(columns=RUN_COLUMNS).astype(dict.fromkeys((*EMPTY, *MEMBERS), object))
    renamed, counts = _renamed(runs), runs["counts"].astype(bool)  # of no rows pandas makes objects
    recipes = runs["run"].map({run: spec.recipe for run, spec in renamed.items()}).fillna(runs["recipe"])
    names = {run: run.replace(spec.former_name or run, spec.name) for run, spec in renamed.items()}
    tables = {"runs": runs.assign(recipe=recipes, counts=counts)}
    tables |= {name: _read(folder / f"{name}.csv.gz") for name in PACKED}
    renamed_runs = {name: table.replace({"run": names}) for name, table in tables.items()}
    return Snapshot(**renamed_runs, public=read_public(folder / PUBLIC))


def _texts(table: pd.DataFrame, change: Callable[[str], str]) -> pd.DataFrame:
    """The table with every text in it changed; its columns stay of the type that they are."""
    columns = table.select_dtypes(["object", "string"])
    changed = table.copy()
    for name in columns:
        cells = [change(cell) if isinstance(cell, str) else cell for cell in columns[name]]
        changed[name] = pd.Series(cells, table.index, columns[name].dtype)
    return changed


def _renamed(runs: pd.DataFrame) -> dict[str, Spec]:
    """The cells whose recipe was renamed after the snapshot was gathered, by the old name of their run."""
    rows = runs.loc[runs["dataset"].notna(), ["run", *FACTORS]].itertuples(index=False, name=None)
    specs = {
        run: (Spec(dataset, int(depth), shortcut, recipe, int(seed)), recipe)
        for run, dataset, depth, shortcut, recipe, seed in rows
    }
    return {run: spec for run, (spec, recipe) in specs.items() if spec.recipe != recipe}


def _read(path: Path) -> pd.DataFrame:
    """A packed table. A table of probes that is not there has no rows: snapshots up to 2026-11-21 have none."""
    name = path.name.removesuffix(".csv.gz")
    return no_probes(name) if name in PROBE_COLUMNS and not path.exists() else read_packed(path)
