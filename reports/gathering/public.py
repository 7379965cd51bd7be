"""Networks that others published, tested by us: tables of their own, which no run of ours enters.

DIR/public/networks.csv     a row per network: where it comes from, how it was trained, its errors as we counted them
DIR/public/responses.csv.gz, signals.csv.gz, blocks.csv.gz, ...  as of our runs
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from reports.gathering.tables import PUBLIC_PROBES, RESPONSE_COLUMNS, ProbeTables, read_packed, write_packed

FOLDER = "public"
SPLITS = ("test", "train", "train_augmented")
NETWORK_COLUMNS = [
    "run",
    "repository",
    "dataset",
    "depth",
    "shortcut",
    *(f"{split}/{count}" for split in SPLITS for count in ("wrong", "seen")),
    "protocol",
    "border",
    "commit",
    "file",
    "sha256",
    "measured",
    "measured_by",
    "torch",
]
LAYERS = ("responses", *PUBLIC_PROBES)


@dataclass(frozen=True)
class Public(ProbeTables):
    """What was measured of public networks.

    Attributes:
        networks: A row per network; `run` names it, as in ``a-martyn/resnet plain-20``.
        responses: A row per network and layer (Fig. 7).
    """

    networks: pd.DataFrame = field(default_factory=lambda: pd.DataFrame(columns=NETWORK_COLUMNS))
    responses: pd.DataFrame = field(default_factory=lambda: pd.DataFrame(columns=RESPONSE_COLUMNS))


def count(public: Public) -> str:
    """How many networks there are: ``20 of 3 repositories``."""
    repositories = public.networks["repository"].nunique()
    return f"{len(public.networks)} of {repositories} {'repository' if repositories == 1 else 'repositories'}"


def join(before: Public, given: Public) -> tuple[Public, list[str]]:
    """Add networks to those that are there; one that is given again replaces what was there of it.

    Returns:
        All networks, in the order of their repositories, plain before residual; and a line for each that was replaced
        by a file with other weights.
    """
    old, new = (part.networks.set_index("run")["sha256"] for part in (before, given))
    changed = [name for name in new.index if name in old.index and old[name] != new[name]]
    tables = {table: _joined(getattr(before, table), getattr(given, table), set(new.index)) for table in LAYERS}
    networks = _joined(before.networks, given.networks, set(new.index))
    order = networks.assign(residual=networks["shortcut"] != "none").sort_values(["repository", "residual", "depth"])
    lines = [f"{name} was measured on other weights before; these replace them" for name in changed]
    return Public(order[NETWORK_COLUMNS].reset_index(drop=True), **tables), lines


def _joined(before: pd.DataFrame, given: pd.DataFrame, names: set[str]) -> pd.DataFrame:
    both = pd.concat([before[~before["run"].isin(names)].astype(object), given.astype(object)], ignore_index=True)
    return both.sort_values("run", kind="stable", ignore_index=True)


def write_public(public: Public, folder: Path) -> None:
    """Write the tables; the same networks give the same bytes."""
    folder.mkdir(parents=True, exist_ok=True)
    public.networks.to_csv(folder / "networks.csv", index=False)
    for name in LAYERS:
        if len(table := getattr(public, name)):
            write_packed(table, folder / f"{name}.csv.gz")


def read_public(folder: Path) -> Public:
    """Read the tables back; a folder that is not there has no networks."""
    if not folder.exists():
        return Public()
    text = dict.fromkeys(("shortcut", "commit", "sha256", "measured_by", "border"), str)
    missing = {name: [""] for name in NETWORK_COLUMNS}
    networks = pd.read_csv(folder / "networks.csv", dtype=text, keep_default_na=False, na_values=missing)
    return Public(
        networks, **{name: read_packed(path) for name in LAYERS if (path := folder / f"{name}.csv.gz").exists()}
    )
