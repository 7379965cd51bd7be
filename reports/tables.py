"""From results to tables in the paper's shape, ours beside theirs; every cell is text."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from reports import paper
from reports.claims import Claim, Finding, cell
from reports.stats import mean_std
from study.recipes import DEPARTURES, RECIPES
from study.spec import title

NONE = "–"


@dataclass(frozen=True)
class Group:
    """Runs that may be compared: one data set under one recipe."""

    dataset: str
    recipe: str

    @property
    def name(self) -> str:
        """As the report calls it."""
        return f"{self.dataset}, recipe {self.recipe}"

    @property
    def scale(self) -> str:
        """`full` for the paper's own protocol, `toy` for what is scaled down."""
        return RECIPES[self.dataset][self.recipe].scale

    def of(self, results: pd.DataFrame) -> pd.DataFrame:
        """This group's rows."""
        return results[(results["dataset"] == self.dataset) & (results["recipe"] == self.recipe)]


@dataclass(frozen=True)
class Table:
    """Headings, rows of text, a title and what must be known to read it."""

    title: str
    columns: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]
    caption: str = ""
    right: frozenset[int] = field(default_factory=frozenset)  # columns of numbers


FULL = Group("cifar10", "paper")


def groups(results: pd.DataFrame) -> list[Group]:
    """The groups with runs, the paper's own protocol first; without runs it comes last and shows what is missing."""
    present = {Group(*pair) for pair in results[["dataset", "recipe"]].itertuples(index=False)}
    others = sorted(present - {FULL}, key=lambda g: (g.scale, g.name))
    return [FULL, *others] if FULL in present else [*others, FULL]


def spread(values: pd.Series) -> str:
    """``8.71 ± 0.12 (n = 5)``, ``8.71 (n = 1)`` or a dash."""
    if values.empty:
        return NONE
    mean, std = mean_std(list(values))
    return f"{mean:.2f} (n = 1)" if len(values) == 1 else f"{mean:.2f} ± {std:.2f} (n = {len(values)})"


def duration(hours: float) -> str:
    """``21 s``, ``12.3 min`` or ``4.5 h``."""
    if hours < 1 / 60:
        return f"{3600 * hours:.0f} s"
    return f"{60 * hours:.1f} min" if hours < 1 else f"{hours:.1f} h"


OURS = (
    "Ours: the last step's test error, and the running training error over the last 10 of 64 parts of the run; "
    "mean ± sample standard deviation over n seeds. "
)
THEIRS = "The paper: plain nets as digitised from Fig. 6; 110 layers as best (mean ± std) of five runs."


def error_table(results: pd.DataFrame, group: Group) -> Table:
    """Table 6's shape: a row per network with parameters, test error and training error, ours and the paper's."""
    theirs = {(r.depth, r.shortcut): r for r in paper.CIFAR10} if group == FULL else {}
    ours = group.of(results)
    present = set(zip(ours["depth"].astype(int), ours["shortcut"], strict=True))
    cells = sorted(present | set(theirs), key=lambda c: (c[1] != "none", c[1], c[0]))
    rows = [_error_row(cell(ours, *key), title(group.dataset, *key), theirs.get(key)) for key in cells]
    return Table(
        "Table 6: errors on CIFAR-10" if group == FULL else f"Errors on {group.name}",
        tuple(rows[0]),
        [tuple(row.values()) for row in rows],
        OURS + (THEIRS if theirs else ""),
        frozenset(range(1, len(rows[0]))),
    )


def _error_row(runs: pd.DataFrame, name: str, theirs: paper.CifarResult | None) -> dict[str, str]:
    """One network: headings and texts, the paper's beside ours where it has any."""
    millions = runs["parameters"].iloc[0] / 1e6 if len(runs) else theirs.parameters_millions if theirs else 0.0
    return {
        "network": name,
        "parameters": f"{millions:.2f} M",
        "test error %": spread(runs["test_error"]),
        **({"paper": theirs.shown} if theirs else {}),
        "training error %": spread(runs["train_error"]),
        **({"paper (digitised)": f"{theirs.train_error:.2f}"} if theirs else {}),
        "time": duration(runs["hours"].mean()) if len(runs) else NONE,
        "images/s": f"{runs['images_per_second'].mean():,.0f}" if len(runs) else NONE,
    }


def command_table(results: pd.DataFrame, group: Group) -> Table:
    """The networks of the paper that have no run yet, with the command that fills each."""
    ours = group.of(results)
    empty = [r for r in paper.CIFAR10 if cell(ours, r.depth, r.shortcut).empty]
    flags = f"--dataset={group.dataset} --depth={{}} --shortcut={{}} --recipe={group.recipe} --seed=0"
    rows = [
        (title(group.dataset, r.depth, r.shortcut), f"python -m study train {flags.format(r.depth, r.shortcut)}")
        for r in empty
    ]
    return Table("Networks without a run", ("network", "command"), rows)


def claim_table(findings: list[tuple[Claim, Finding]]) -> Table:
    """A row per claim: the verdict and what it rests on."""
    rows = [(c.id, f"{c.statement} ({c.where})", _verdict(f), _effect(f), _p(f), f.sentence) for c, f in findings]
    return Table(
        "Claims of the paper",
        ("claim", "statement", "verdict", "difference (95 % interval)", "p", "what the runs say"),
        rows,
        "Differences in percentage points. p: exact permutation test over seeds, one-sided. Missing: a run is absent.",
    )


def _verdict(finding: Finding) -> str:
    return f"{finding.verdict}: {finding.direction}" if finding.verdict in ("toy", "inconclusive") else finding.verdict


def _effect(finding: Finding) -> str:
    if pd.isna(finding.effect):
        return NONE
    interval = "" if pd.isna(finding.low) else f" ({finding.low:+.2f} to {finding.high:+.2f})"
    return f"{finding.effect:+.2f}{interval}"


def _p(finding: Finding) -> str:
    return NONE if pd.isna(finding.p) else f"{finding.p:.3f}"


def run_table(runs: pd.DataFrame) -> Table:
    """A row per run that counts: what its numbers rest on."""
    columns = ("run", "wrong of seen", "device", "precision", "devices", "commit", "data", "weights")
    rows = [_run_row(run) for run in runs.to_dict("records")]
    return Table("Runs that count", columns, rows, "Data and weights: the first ten digits of their SHA-256.")


def _run_row(run: dict[Hashable, Any]) -> tuple[str, ...]:
    commit = (
        f"{str(run['commit'])[:10]}{' (modified)' if run['dirty'] else ''}" if pd.notna(run["commit"]) else "unknown"
    )
    return (
        run["run"],
        f"{run['test/wrong']:.0f} of {run['test/seen']:.0f}",
        str(run["device"]),
        str(run["precision"]),
        f"{run['world_size']:.0f}",
        commit,
        str(run["data_fingerprint"])[:10],
        str(run["weights_sha256"])[:10],
    )


def excluded_table(runs: pd.DataFrame) -> Table:
    """A row per run that does not count, with the reason."""
    return Table(
        "Runs that do not count", ("run", "reason"), [(r["run"], r["reason"]) for r in runs.to_dict("records")]
    )


def departure_table() -> Table:
    """Where the study differs from the paper."""
    return Table(
        "Departures from the paper",
        ("what", "the paper", "this study"),
        [(d.what, d.paper, d.ours) for d in DEPARTURES],
    )
