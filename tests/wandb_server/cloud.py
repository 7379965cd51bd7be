"""What the server holds, and how a sweep hands out its cells."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import product
from typing import TYPE_CHECKING, Any

import yaml

if TYPE_CHECKING:
    from tests.wandb_server.artifacts import Artifact

Json = dict[str, Any]
ENTITY = "loopback"
NOW = datetime.now(UTC).isoformat()


class Unknown(Exception):
    """Something that this server does not know or no longer has, with the HTTP status to say so."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


@dataclass
class Run:
    """One run as the server holds it."""

    id: str
    project: str
    fields: Json = field(default_factory=dict)
    history: list[str] = field(default_factory=list)
    events: list[str] = field(default_factory=list)
    alerts: list[tuple[str, str]] = field(default_factory=list)
    summary: str = "{}"
    started: bool = False
    exit_code: int | None = None
    preempting: bool = False
    should_stop: bool = False  # somebody pressed Stop
    is_silent: bool = False  # for the five minutes after which W&B takes a run for dead
    files: dict[str, bytes] = field(default_factory=dict)

    @property
    def rows(self) -> list[Json]:
        """The logged rows."""
        return [json.loads(line) for line in self.history]

    @property
    def config(self) -> Json:
        """The configuration, without W&B's own keys."""
        return {k: v["value"] for k, v in json.loads(self.fields.get("config") or "{}").items() if k != "_wandb"}

    @property
    def state(self) -> str:
        """What W&B calls it."""
        if self.exit_code is None:
            return "crashed" if self.is_silent else "running" if self.started else "pending"
        if self.exit_code == 0:
            return "finished"
        return "preempted" if self.preempting else "killed" if self.should_stop else "failed"

    def take(self, body: Json) -> None:
        """Take what the file stream brings: lines at an offset, so that what is sent twice is held once."""
        for name, target in (("wandb-history.jsonl", self.history), ("wandb-events.jsonl", self.events)):
            if part := body.get("files", {}).get(name):
                target[part["offset"] :] = part["content"]
        if part := body.get("files", {}).get("wandb-summary.json"):
            self.summary = part["content"][-1]
        self.preempting |= bool(body.get("preempting"))
        if body.get("complete"):
            self.exit_code = body.get("exitcode")


@dataclass
class Sweep:
    """A grid, and which of its cells were handed out; a preempted run is handed out again."""

    id: str
    project: str
    config: str
    cells: Iterator[Json]
    runs: list[Run] = field(default_factory=list)
    state: str = "RUNNING"

    def next_command(self) -> Json:
        """What an agent that has nothing to do is told."""
        if self.state != "RUNNING":
            return {"type": "exit"}
        for run in self.runs:
            if run.state == "preempted":
                run.exit_code, run.preempting = None, False
                return self._command("resume", run)
        cell = next(self.cells, None)
        if cell is None:
            if all(run.state not in ("pending", "running") for run in self.runs):
                self.state = "FINISHED"
            return {"type": "exit"}
        config = json.dumps({key: {"value": value} for key, value in cell.items()})
        self.runs.append(Run(f"{self.id}{len(self.runs):02d}", self.project, {"config": config, "sweep": self.id}))
        return self._command("run", self.runs[-1])

    def _command(self, kind: str, run: Run) -> Json:
        arguments = {key: {"value": run.config[key]} for key in yaml.safe_load(self.config)["parameters"]}
        return {"type": kind, "run_id": run.id, "program": yaml.safe_load(self.config)["program"], "args": arguments}


class Cloud:
    """Everything that outlives the server's process: it may go away and come back."""

    def __init__(self) -> None:
        self.runs: dict[str, Run] = {}
        self.sweeps: dict[str, Sweep] = {}
        self.agents: dict[str, Sweep] = {}
        self.views: dict[str, Json] = {}
        self.artifacts: dict[str, Artifact] = {}
        self.deleted: set[str] = set()
        self.lost = 0  # how many cells are still to be handed out to nobody, as when an answer is lost on its way
        self.forbidden: set[str] = set()  # runs whose histories may not be read
        self.truncated: set[str] = set()  # runs whose histories come without their last row
        self.refused: set[str] = set()  # files of runs that may not be uploaded
        self.is_full = False  # whether artifacts are refused, as when the storage of an account is used up
        self.address = ""

    def delete(self, run: Run) -> None:
        """Delete a run, as somebody does in the dashboard; its id is never free again."""
        del self.runs[run.id]
        self.deleted.add(run.id)

    def add_sweep(self, config: str, project: str) -> Sweep:
        """A new grid: names sorted, the last fastest."""
        grid = yaml.safe_load(config)["parameters"]
        names = sorted(grid)
        values = [grid[name]["values"] if "values" in grid[name] else [grid[name]["value"]] for name in names]
        cells = (dict(zip(names, cell, strict=True)) for cell in product(*values))
        sweep = Sweep(f"sweep{len(self.sweeps)}", project, config, cells)
        self.sweeps[sweep.id] = sweep
        return sweep

    def heartbeat(self, agent: str, running: Json) -> list[Json]:
        """What an agent is to do now."""
        sweep = self.agents[agent]
        if sweep.state == "CANCELED":
            return [{"type": "exit"}]
        stops = [name for name, runs in running.items() if runs and self.runs[name].should_stop]
        if any(running.values()) or sweep.state == "PAUSED":
            return [{"type": "stop", "run_id": name} for name in stops]
        while self.lost:
            self.lost -= 1
            self.agents[agent].next_command()
        command = self.agents[agent].next_command()
        if command["type"] == "run":
            run = self.agents[agent].runs[-1]
            self.runs[run.id] = run
        return [command]
