"""Whether somebody stopped a run or its sweep in W&B: asked when a run is told to end, and not for long.

W&B's client and its agent only send a signal, which a scheduler that takes the machine away sends, too. The client has
no public way to ask; the queries are those of W&B's own sweep controller.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from threading import Thread
from typing import TYPE_CHECKING, Any, TypeVar

from study.spec import FACTORS, InputError, Spec

if TYPE_CHECKING:
    from wandb import Run

T = TypeVar("T")
PATIENCE = 8  # seconds; a machine that is taken away says so 30 s before, or more
STOPPED = "stopped"  # the tag of a run that somebody stopped, so that it is told from one that was interrupted
CANCELLED = "CANCELED"  # W&B's spelling
RUN = """
query StudyRun($entity: String, $project: String, $run: String!) {
  project(name: $project, entityName: $entity) { run(name: $run) { shouldStop stopped } }
}"""
SWEEP = """
query StudySweep($entity: String, $project: String, $sweep: String!) {
  project(name: $project, entityName: $entity) {
    sweep(sweepName: $sweep) { state runs { edges { node { name config shouldStop stopped } } } }
  }
}"""


@dataclass(frozen=True)
class SweepState:
    """How a sweep stands in W&B.

    Attributes:
        state: RUNNING, PAUSED, FINISHED (by itself or by ``wandb sweep --stop``) or CANCELED.
        cells: The cells that were handed out.
        stopped: The ids of the runs that somebody stopped.
    """

    state: str
    cells: frozenset[Spec]
    stopped: frozenset[str]


def why_stopped(run: Run) -> str:
    """Why W&B wants a run to end, in a few words; empty if it does not, or does not answer within `PATIENCE`."""

    def ask() -> str:
        found = _ask(RUN, entity=run.entity, project=run.project, run=run.id)["run"] or {}
        if found.get("shouldStop") or found.get("stopped"):
            return "stopped in W&B"
        sweep = run.sweep_id and _ask(SWEEP, entity=run.entity, project=run.project, sweep=run.sweep_id)["sweep"]
        return "stopped in W&B, with its sweep" if sweep and sweep["state"].upper() == CANCELLED else ""

    return _within(PATIENCE, ask) or ""


def sweep_state(path: str) -> SweepState | None:
    """How the sweep ENTITY/PROJECT/SWEEP stands; None if W&B does not answer within `PATIENCE`."""
    entity, project, name = path.split("/")

    def ask() -> SweepState:
        found = _ask(SWEEP, entity=entity, project=project, sweep=name)["sweep"]
        nodes = [edge["node"] for edge in found["runs"]["edges"]]
        cells = {spec for node in nodes if (spec := _cell(node["config"]))}
        stopped = {node["name"] for node in nodes if node["shouldStop"] or node["stopped"]}
        return SweepState(found["state"].upper(), frozenset(cells), frozenset(stopped))

    return _within(PATIENCE, ask)


def _ask(query: str, **variables: str) -> Any:
    import wandb

    return wandb.Api(timeout=PATIENCE)._service_api.execute_graphql(query, variables=variables)["project"]


def _cell(config: str | None) -> Spec | None:
    """The cell of a run, from the configuration that the sweep gave it; None if it is of another study."""
    given = {name: held["value"] for name, held in json.loads(config or "{}").items() if name in FACTORS}
    try:
        return Spec(**given | {"shortcut": given.get("shortcut") or "none"})
    except (InputError, TypeError):
        return None


def _within(seconds: float, ask: Callable[[], T]) -> T | None:
    """The answer to a question; None if it fails, or takes longer: W&B's client can wait for ever."""
    answers: list[T] = []

    def run() -> None:
        try:
            answers.append(ask())
        except Exception:  # the client's errors have no base class in common
            return

    asking = Thread(target=run, daemon=True)
    asking.start()
    asking.join(seconds)
    return answers[0] if answers else None
