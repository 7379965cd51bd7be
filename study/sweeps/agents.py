"""``study launch``: create a W&B sweep and start one agent per slice of this machine's GPUs.

The machine options reach the agents as environment variables (STUDY_DEVICES, STUDY_RUNS ...), never through the sweep,
so agents on other nodes with other GPUs can join it.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import yaml

from study.machine.options import MachineOptions
from study.recording.record import CLIENT, Record, unwritable
from study.recording.wandb.account import PROJECT, check_account, resolve_mode, wandb_call
from study.recording.wandb.stops import CANCELLED, SweepState, sweep_state
from study.spec import Spec
from study.sweeps.display import Display, print_table
from study.sweeps.grid import command
from study.sweeps.local import OUTCOMES, interrupt
from study.sweeps.slices import Slice, with_service
from study.sweeps.workers import Worker, inherited, stop_all

STAGGER = 2.0  # seconds between the starts of two agents, so that they do not ask the server at the same moment


def launch(file: Path, specs: Sequence[Spec], fleet: Sequence[Slice], machine: MachineOptions) -> int:
    """Create the W&B sweep of a file, run one agent per slice, and finish what they leave.

    W&B never hands out a cell twice. A cell that was handed out and that no agent finished is trained here after the
    agents have ended, unless somebody stopped it or ended the sweep in W&B.

    Returns:
        0 if all cells have an outcome, 1 if one has none, 128 + signal if stopped. Then the running cells stop too,
        each after a checkpoint, and no other starts.

    Raises:
        InputError: There is no account, W&B cannot be reached, or the runs folder cannot be written.
    """
    logs = machine.runs / CLIENT
    try:
        logs.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise unwritable(machine.runs, error) from None
    sweep = create(file)
    records = [Record(machine.runs, spec) for spec in specs]
    signal.signal(signal.SIGTERM, interrupt)
    with with_service(fleet) as parts:
        workers = [Worker(part, environment(part, machine), logs / f"agent-{part.name}.log") for part in parts]
        try:
            why = _run(workers, records, sweep)
        except KeyboardInterrupt as stop:
            stop_all(workers)
            return 128 + int(stop.args[0] if stop.args else signal.SIGINT)
    print_table(f"{len(specs)} cells in {machine.runs}, sweep {sweep}", records)
    left = _unfinished(records)
    if left and why:
        print(f"study: {why}; {len(left)} cells left; go on with: study launch {file} --again ...", file=sys.stderr)
    for record in left:
        is_stopped = record.state() == "stopped"
        said = f"was {record.stopped()}" if is_stopped else f"is not finished; see {logs}/agent-*.log"
        print(f"study: {record.spec.name} {said}", file=sys.stderr)
    return 1 if left else 0


def _run(workers: Sequence[Worker], records: Sequence[Record], sweep: str) -> str:
    """Run the agents until they end, then train what W&B has lost; returns why cells were left, if W&B says so."""
    for worker in workers:
        worker.commands.append([sys.executable, "-m", "wandb", "agent", "--forward-signals", sweep])
    _watch(workers, records)
    if not (left := _unfinished(records)):
        return ""
    if (found := sweep_state(sweep)) is None:
        return f"W&B does not say how the sweep {sweep} stands"
    note_stopped(left, found)
    if why := why_left(found, left):
        return f"the sweep {sweep} {why} in W&B"
    lost = [record for record in left if record.spec in found.cells and record.state() != "stopped"]
    for i, record in enumerate(lost):
        workers[i % len(workers)].commands.append(command(record.spec, ["--wandb=online"]))
    _watch(workers, records)
    return ""


def _unfinished(records: Sequence[Record]) -> list[Record]:
    return [record for record in records if record.state() not in OUTCOMES]


def note_stopped(left: Sequence[Record], found: SweepState) -> None:
    """Note which runs were stopped in W&B: an agent that is told to exit kills its run, which cannot note it itself."""
    for record in left:
        if record.state() != "interrupted":
            continue
        is_cancelled = found.state == CANCELLED and record.spec in found.cells
        if is_cancelled or record.provenance().get("wandb_id") in found.stopped:
            record.reserve()
            record.stop("stopped in W&B, with its sweep" if is_cancelled else "stopped in W&B")
            record.close()


def why_left(found: SweepState, left: Sequence[Record]) -> str:
    """What somebody did to the sweep so that its cells are to be left alone; empty if nobody did anything."""
    if found.state == "FINISHED" and any(record.spec not in found.cells for record in left):
        return "was stopped"
    return {CANCELLED: "was cancelled", "PAUSED": "is paused"}.get(found.state, "")


def create(file: Path) -> str:
    """Create the sweep in W&B and return its path, ENTITY/PROJECT/SWEEP.

    Raises:
        InputError: W&B is not installed, there is no account, or W&B cannot be reached.
    """
    instead = f"run it without W&B: python -m study sweep {file}"
    resolve_mode("online")  # raises if the package is not installed
    check_account(instead)
    with wandb_call("W&B cannot create the sweep", f"fix it, or {instead}"):
        import wandb

        grid = yaml.safe_load(file.read_text())
        entity = os.environ.get("WANDB_ENTITY") or grid.get("entity")  # as the command `wandb sweep` takes them
        project = os.environ.get("WANDB_PROJECT") or grid.get("project") or PROJECT
        sweep = wandb.sweep(grid | {"project": project}, entity, project)
    # wandb.sweep returns the sweep's id only; it sets these two variables to the server's answer.
    return "/".join((os.environ["WANDB_ENTITY"], os.environ["WANDB_PROJECT"], sweep))


def environment(part: Slice, machine: MachineOptions) -> dict[str, str]:
    """The environment of an agent: this process's, the machine options, its slice, and where W&B's client writes."""
    own = {
        "WANDB_DIR": str(machine.runs.absolute()),
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    }
    return {**inherited(part), **machine.variables(), **own}


def _watch(workers: Sequence[Worker], records: Sequence[Record]) -> None:
    """Start the agents and wait until all have ended; print a line for each cell that starts or ends."""
    states: dict[str, str] = {}
    with Display(len(records)) as display:
        for worker in workers:
            if worker.is_busy() and worker is not workers[-1]:
                time.sleep(STAGGER)
        while any([worker.is_busy() for worker in workers]):
            time.sleep(0.5)
            for record in records:
                _show(record, states, display)


def _show(record: Record, states: dict[str, str], display: Display) -> None:
    """Print a line if the state of a cell has changed, and update its progress bar."""
    begun, before = record.provenance(), states.get(record.spec.name, "missing")
    state = record.state() if begun else "missing"  # a run is reserved some seconds before it says where it is trained
    where = begun.get("slice") or ""
    if state == "running":
        display.show(record, where)
    if state == before or (state == "interrupted" and before == "missing"):
        return
    states[record.spec.name] = state
    display.progress.console.print(f"{record.spec.name} {state} on {where}", highlight=False)
    if state != "running":
        display.drop(record)
