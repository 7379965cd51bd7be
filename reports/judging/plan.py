"""The plan of the verdicts, read from reports/plan.toml: tests, margins, levels and seeds of every claim.

plan().claims["C21"].alpha        0.01
plan().digest                     the SHA-256 that training writes into every run's provenance
"""

from __future__ import annotations

import hashlib
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any, Literal

from study.spec import FIRST_BOTTLENECK_DEPTH, InputError, check_choice

FILE = Path(__file__).parent.parent / "plan.toml"
TESTS = ("trend", "pooled t", "welch t", "equivalence", "one-sample t", "count")
RANKS = ("primary", "secondary")
CAPS = ("interim", "inconclusive")
NET = re.compile(r"(plain|ResNet)-(\d+)(?: ([ABC]))?(?: \(([a-z0-9]+)\))?")

Rank = Literal["primary", "secondary"]
Cap = Literal["interim", "inconclusive"]
Kind = type[Any] | tuple[type[Any], ...]


@dataclass(frozen=True)
class PlannedNet:
    """A network that a claim names: depth, shortcut, and the recipe if it is not the comparison's own."""

    depth: int
    shortcut: str
    recipe: str | None = None

    @property
    def is_plain(self) -> bool:
        """Whether the network has no shortcuts."""
        return self.shortcut == "none"


@dataclass(frozen=True)
class Planned:
    """One entry of the plan: how one claim is judged. The head of plan.toml says what each key means."""

    id: str
    says: str
    where: str
    dataset: str
    nets: tuple[PlannedNet, ...]
    metrics: tuple[str, ...]
    estimand: str
    test: tuple[str, ...]
    margins: tuple[float, ...]
    margin_reason: str
    alpha: float
    seeds: int
    rank: Rank
    contradicted: str
    sweeps: tuple[str, ...]

    @property
    def margin(self) -> float:
        """The first margin; most claims have one."""
        return self.margins[0]


@dataclass(frozen=True)
class Amendment:
    """One change of the plan: when, what, and which runs existed then."""

    date: date
    what: str
    runs: str


@dataclass(frozen=True)
class Plan:
    """The whole plan.

    Attributes:
        written: The day on which it was written.
        digest: The SHA-256 of the file.
        claims: By the claim's number.
        not_judged: Claims that are left out, each with what it says and why.
        amendments: Changes, oldest first.
        chance_error: The error of guessing, by data set.
        resolution: The least standard deviation that is believed, by data set and metric.
        spread: Assumed standard deviations between seeds, by metric and network, for the power table.
        mixing: The most that a verdict can be where two networks have no value of a column in common, by column.
        replication_margin: In points of error: how far our error may lie from the paper's and still replicate it.
    """

    written: date
    digest: str
    claims: Mapping[str, Planned]
    not_judged: tuple[tuple[str, str, str], ...]
    amendments: tuple[Amendment, ...]
    chance_error: Mapping[str, float]
    resolution: Mapping[str, Mapping[str, float]]
    spread: Mapping[str, Mapping[str, float]]
    mixing: Mapping[str, Cap]
    replication_margin: float


@cache
def plan(path: Path = FILE) -> Plan:
    """Read the plan.

    Raises:
        InputError: the file is missing or malformed; the message names the entry and the key.
    """
    if not path.exists():
        raise InputError(f"{path} is missing: the plan of the verdicts")
    content = path.read_bytes()
    try:
        table = tomllib.loads(content.decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{path.name} is not TOML: {error}") from None
    whole = _Entry(path.name, "the file", table)
    return Plan(
        whole.get("written", date),
        hashlib.sha256(content).hexdigest(),
        {id: _planned(_Entry(path.name, f"claim {id}", entry), id) for id, entry in whole.get("claims", dict).items()},
        tuple(_not_judged(_Entry(path.name, id, entry), id) for id, entry in whole.get("not_judged", dict).items()),
        tuple(_amendment(_Entry(path.name, "an amendment", entry)) for entry in whole.get("amendments", list)),
        whole.get("chance_error", dict),
        whole.get("resolution", dict),
        whole.get("spread", dict),
        _mixing(path.name, whole.get("mixing", dict)),
        float(_Entry(path.name, "replication", whole.get("replication", dict)).get("margin", (int, float))),
    )


@dataclass(frozen=True)
class _Entry:
    """A table of the file, read key by key, so that a message can name both."""

    file: str
    name: str
    table: Mapping[str, Any]

    def get(self, key: str, kind: Kind) -> Any:
        if key not in self.table:
            raise InputError(f"{self.file}: {self.name} has no key {key!r}; add it")
        if isinstance(self.table[key], bool) or not isinstance(self.table[key], kind):
            kinds = kind if isinstance(kind, tuple) else (kind,)
            wanted = " or ".join(k.__name__ for k in kinds)
            raise self.wrong(key, f"must be of type {wanted}")
        return self.table[key]

    def words(self, key: str) -> tuple[str, ...]:
        values = self.get(key, list)
        if not all(isinstance(value, str) for value in values):
            raise self.wrong(key, "must be a list of strings")
        return tuple(values)

    def wrong(self, key: str, why: str) -> InputError:
        return InputError(f"{self.file}: {self.name}: key {key!r} is {self.table[key]!r}, but {why}")


def _planned(entry: _Entry, id: str) -> Planned:
    unknown = set(entry.table) - {field.name for field in fields(Planned)} - {"margin"} | set(entry.table) & {"margins"}
    if unknown:
        raise InputError(f"{entry.file}: {entry.name} has an unknown key {min(unknown)!r}; remove it or correct it")
    dataset = entry.get("dataset", str)
    return Planned(
        id,
        entry.get("says", str),
        entry.get("where", str),
        dataset,
        tuple(_net(entry, dataset, name) for name in entry.words("nets")),
        entry.words("metrics"),
        entry.get("estimand", str),
        _tests(entry),
        _margins(entry),
        entry.get("margin_reason", str),
        _alpha(entry),
        entry.get("seeds", int),
        _rank(entry),
        entry.get("contradicted", str),
        entry.words("sweeps"),
    )


def _net(entry: _Entry, dataset: str, name: str) -> PlannedNet:
    """A network by its name in the paper: ``plain-56``, ``ResNet-34 B``, ``ResNet-110 (nowarmup)``."""
    if not (match := NET.fullmatch(name)):
        raise entry.wrong("nets", f"{name!r} is not a network such as 'plain-56' or 'ResNet-34 B'")
    kind, depth, option, recipe = match.groups()
    only = "B" if dataset == "imagenet" and int(depth) >= FIRST_BOTTLENECK_DEPTH else "A"
    return PlannedNet(int(depth), "none" if kind == "plain" else option or only, recipe)


def _tests(entry: _Entry) -> tuple[str, ...]:
    tests = entry.words("test")
    for test in tests:
        check_choice(f"{entry.file}: {entry.name}: test", test, TESTS)
    return tests


def _margins(entry: _Entry) -> tuple[float, ...]:
    margin = entry.get("margin", (int, float, list))
    values = margin if isinstance(margin, list) else [margin]
    if not values or not all(isinstance(value, int | float) for value in values):
        raise entry.wrong("margin", "must be a number or a list of numbers")
    return tuple(float(value) for value in values)


def _alpha(entry: _Entry) -> float:
    alpha = float(entry.get("alpha", float))
    if not 0 < alpha < 0.5:
        raise entry.wrong("alpha", "must lie between 0 and 0.5")
    return alpha


def _rank(entry: _Entry) -> Rank:
    rank: Rank = entry.get("rank", str)
    if rank not in RANKS:
        raise entry.wrong("rank", f"must be one of {', '.join(RANKS)}")
    return rank


def _mixing(file: str, table: Mapping[str, Any]) -> Mapping[str, Cap]:
    for column, cap in table.items():
        check_choice(f"{file}: mixing: {column}", cap, CAPS)
    return table


def _not_judged(entry: _Entry, id: str) -> tuple[str, str, str]:
    return id, entry.get("says", str), entry.get("why", str)


def _amendment(entry: _Entry) -> Amendment:
    return Amendment(entry.get("date", date), entry.get("what", str), entry.get("runs", str))
