"""Which networks have been trained under which protocol: seeds run of those planned, and the command for the next."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, cast

from reports.gathering.snapshot import Snapshot
from reports.judging.claims import CLAIMS
from reports.judging.comparison import Comparison, Net
from reports.judging.evidence import Evidence
from reports.tables.cifar import in_order, trained
from study.spec import Dataset, InputError, Shortcut, Spec


class Cell(NamedTuple):
    """One network under one protocol.

    Attributes:
        text: ``2 of 5``, ``2`` where no number is planned, or nothing for a network that the protocol does not need.
        done: Whether seeds are missing: ``all``, ``some``, ``none``, or empty where none is planned.
        command: What trains the next seed; empty where nothing is missing.
    """

    text: str
    done: str
    command: str


class Row(NamedTuple):
    """One protocol: its title, and a cell for each network."""

    title: str
    cells: tuple[Cell, ...]


class Coverage(NamedTuple):
    """The table: the networks of one data set's family, and a row for each protocol."""

    nets: tuple[str, ...]
    rows: tuple[Row, ...]


def coverage(snapshot: Snapshot, comparisons: Sequence[Comparison]) -> Coverage:
    """The coverage of comparisons whose networks are of one family.

    Args:
        snapshot: The runs.
        comparisons: The paper's own comparison and those that have runs, in the report's order.
    """
    evidence = [Evidence.of(snapshot, comparison) for comparison in comparisons]
    nets = in_order({net for e in evidence for net in trained(e) | set(e.comparison.networks)})
    rows = tuple(Row(e.comparison.title, tuple(_cell(e, net) for net in nets)) for e in evidence)
    return Coverage(tuple(evidence[0].title(net) for net in nets), rows)


def _cell(e: Evidence, net: Net) -> Cell:
    run, planned = len(e.net(net)) + len(e.failures(net)), planned_seeds(e.comparison, net)
    if not planned:
        return Cell(str(run) if run else "", "all" if run else "", "")
    done = "all" if run >= planned else "some" if run else "none"
    return Cell(f"{run} of {planned}", done, "" if done == "all" else next_command(e, net))


def planned_seeds(comparison: Comparison, net: Net) -> int:
    """The most seeds that a claim of the plan needs of a network; 0 for a protocol that decides no claim."""
    named = [
        claim.planned.seeds
        for claim in CLAIMS
        for planned in claim.planned.nets
        if claim.planned.dataset == comparison.dataset
        and (planned.depth, planned.shortcut) == net
        and (planned.recipe or claim.comparison.recipe) == comparison.recipe
    ]
    return max(named, default=1 if net in comparison.networks else 0)


def next_command(e: Evidence, net: Net) -> str:
    """The command that trains the first seed that has no run; nothing where there is no such cell."""
    taken = {*e.net(net)["seed"], *(e.failures(net)["seed"] if len(e.failures(net)) else ())}
    seed = next(seed for seed in range(len(taken) + 1) if seed not in taken)
    dataset, recipe = cast(Dataset, e.comparison.dataset), e.comparison.recipe
    try:
        cell = Spec(dataset, net[0], cast(Shortcut, net[1]), recipe, seed)
    except InputError:
        return ""
    return f"python -m study train {' '.join(cell.flags)}"
