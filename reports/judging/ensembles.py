"""The ensembles that `study test --protocol=ensemble` has added to the records of their members (Table 5)."""

from __future__ import annotations

import json
from dataclasses import dataclass

from reports.gathering.tables import MEMBERS
from reports.judging.evidence import Evidence


@dataclass(frozen=True)
class Ensemble:
    """Several networks whose probabilities were averaged, tested on the validation set.

    Attributes:
        members: The names of the run folders or weight files.
        averages: How batch norm was evaluated: `running` averages, or `true` ones.
        top1_error: In percent.
        top5_error: In percent.
    """

    members: tuple[str, ...]
    averages: str
    top1_error: float
    top5_error: float


def ensembles(e: Evidence) -> list[Ensemble]:
    """Every ensemble with a run of the comparison, each once though all members record it; large ones first."""
    runs = e.comparison.of(e.results)
    found = {ensemble for run in runs.to_dict("records") for ensemble in _of_run(run)}
    return sorted(found, key=lambda one: (-len(one.members), one.members, one.averages, one.top5_error))


def _of_run(run: dict[object, object]) -> list[Ensemble]:
    """The ensembles in one row: by running and by true averages."""
    found = []
    for column, averages in zip(MEMBERS, ("running", "true"), strict=True):
        names, protocol = run.get(column), column.removesuffix("/members")
        if isinstance(names, str):
            top1, top5 = (float(str(run[f"{protocol}/{top}_error"])) for top in ("top1", "top5"))
            found.append(Ensemble(tuple(json.loads(names)), averages, top1, top5))
    return found
