"""Create a W&B sweep and start one agent per slice of the GPUs: the same grid file, handed out by W&B.

What a machine is like reaches its agents as variables (STUDY_DEVICES, STUDY_RUNS ...), never through the sweep: agents
on other nodes, with other GPUs, can join it.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

from study.machine.options import MachineOptions
from study.recording.record import CLIENT, Record, unwritable
from study.recording.wandb.account import PROJECT, check_account, resolve_mode, wandb_call
from study.spec import InputError, Spec
from study.sweeps.display import Display, print_table
from study.sweeps.grid import command
from study.sweeps.local import interrupt

STAGGER = 2.0  # seconds between two agents' starts, so that they don't ask for the same thing at once
GRACE = 120.0  # seconds that a stopped run has for its checkpoint and for W&B
CPU_AGENTS = 2
FOREIGN = (  # what a surrounding job leaves in the environment and would bind every run of this machine to one another
    *("MASTER_ADDR", "MASTER_PORT", "RANK", "LOCAL_RANK", "NODE_RANK", "GROUP_RANK", "WORLD_SIZE"),
    *("WANDB_RUN_ID", "WANDB_SWEEP_ID", "WANDB_SWEEP_PARAM_PATH", "WANDB_SERVICE"),
)


@dataclass(frozen=True)
class Slice:
    """What one agent may use."""

    name: str
    variables: Mapping[str, str]


def slices(gpus: str, per_run: int) -> list[Slice]:
    """One slice per agent: ``0,1,2,3`` by twos is two of two GPUs, ``cpu`` is two agents on the CPU.

    Raises:
        InputError: the GPUs are not numbers, are named twice, or do not divide among the runs.
    """
    if per_run < 1:
        raise InputError(f"--gpus-per-run={per_run} must be at least 1")
    if gpus == "cpu":
        threads = str(max(1, (os.cpu_count() or 1) // CPU_AGENTS))
        shared = {"CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": threads}
        return [Slice(f"cpu{i}", shared) for i in range(CPU_AGENTS)]
    numbers = gpus.split(",")
    if not all(number.isdecimal() for number in numbers) or len(set(numbers)) < len(numbers):
        raise InputError(f"--gpus={gpus} is no list of GPUs; write --gpus=0,1,2,3 or --gpus=cpu")
    if len(numbers) % per_run:
        raise InputError(f"{len(numbers)} GPUs do not divide into runs of {per_run}; change --gpus or --gpus-per-run")
    shares = [numbers[i : i + per_run] for i in range(0, len(numbers), per_run)]
    return [Slice("gpu" + "+".join(share), {"CUDA_VISIBLE_DEVICES": ",".join(share)}) for share in shares]


def launch(file: Path, specs: Sequence[Spec], fleet: Sequence[Slice], machine: MachineOptions) -> int:
    """Have W&B hand out the cells of a grid file to this machine's agents, and see that none is left over.

    A cell that was handed out but not finished (W&B never hands it out again) is trained here once the agents are done.

    Returns 0 when all cells are finished, 1 when one is not, 128 + signal when stopped: the cells that run are stopped
    after a checkpoint and no other is begun.

    Raises:
        InputError: no account, W&B cannot be reached, or the runs folder cannot be written.
    """
    runs = machine.runs
    try:
        (runs / CLIENT).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise unwritable(runs, error) from None
    sweep = create(file)
    workers = [_Worker(part, environment(part, machine), runs / CLIENT / f"agent-{part.name}.log") for part in fleet]
    records = [Record(runs, spec) for spec in specs]
    signal.signal(signal.SIGTERM, interrupt)
    try:
        for worker in workers:
            worker.commands.append([sys.executable, "-m", "wandb", "agent", "--forward-signals", sweep])
        _watch(workers, records)
        for i, record in enumerate(_unfinished(records)):
            workers[i % len(workers)].commands.append(command(record.spec, ["--wandb=online"]))
        _watch(workers, records)
    except KeyboardInterrupt as stop:
        for worker in workers:
            worker.stop()
        for worker in workers:
            worker.wait()
        return 128 + int(stop.args[0] if stop.args else signal.SIGINT)
    print_table(f"{len(specs)} cells in {runs}, sweep {sweep}", records)
    left = _unfinished(records)
    for record in left:
        print(f"study: {record.spec.name} is not finished; see {runs / CLIENT}/agent-*.log", file=sys.stderr)
    return int(bool(left))


def _unfinished(records: Sequence[Record]) -> list[Record]:
    return [record for record in records if record.state() != "finished"]


def create(file: Path) -> str:
    """Make the sweep in W&B; returns its path, ENTITY/PROJECT/SWEEP."""
    instead = f"without W&B: python -m study sweep {file}"
    resolve_mode("online")  # raises if the package is not installed
    check_account(instead)
    with wandb_call("W&B cannot make the sweep", f"fix it, or {instead}"):
        import wandb

        sweep = wandb.sweep(yaml.safe_load(file.read_text()), project=os.environ.get("WANDB_PROJECT", PROJECT))
    # wandb.sweep returns the sweep's id alone; where the server made it, the client says in these two variables only.
    return "/".join((os.environ["WANDB_ENTITY"], os.environ["WANDB_PROJECT"], sweep))


def environment(part: Slice, machine: MachineOptions) -> dict[str, str]:
    """The environment of an agent: this process's, the machine options, its slice, and where W&B's client writes."""
    kept = {name: value for name, value in os.environ.items() if name not in FOREIGN}
    own = {
        "STUDY_SLICE": part.name,
        "WANDB_DIR": str(machine.runs.absolute()),
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    }
    return {**kept, **machine.variables(), **part.variables, **own}


class _Worker:
    """A slice and the commands that it runs one after the other, its output in a log."""

    def __init__(self, part: Slice, environment: Mapping[str, str], log: Path) -> None:
        self.environment = environment
        self.name, self.log = part.name, log
        self.commands: deque[list[str]] = deque()
        self.process: subprocess.Popen[bytes] | None = None

    def is_busy(self) -> bool:
        """Whether something runs; begins the next command where nothing does."""
        if self.process and self.process.poll() is None:
            return True
        if not self.commands:
            return False
        with self.log.open("ab") as log:  # in a session of its own, which a Ctrl-C at our terminal does not reach
            self.process = subprocess.Popen(
                self.commands.popleft(), env=self.environment, stdout=log, stderr=log, start_new_session=True
            )
        return True

    def stop(self) -> None:
        """Ask what runs to checkpoint and end: an agent passes the signal on to its run."""
        self.commands.clear()
        if self.process:
            self.process.terminate()

    def wait(self) -> None:
        """Wait for it, but not for ever; what a killed agent leaves dies with it."""
        if self.process:
            try:
                self.process.wait(GRACE)
            except subprocess.TimeoutExpired:
                self.process.kill()


def _watch(workers: Sequence[_Worker], records: Sequence[Record]) -> None:
    """Show what runs where until nothing does; a line for each cell that begins or ends."""
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
    """Say when a cell begins or ends, and move its bar."""
    state, before = record.state(), states.get(record.spec.name, "missing")
    where = record.provenance().get("slice") or ""
    if state == "running":
        display.show(record, where)
    if state == before or (state == "interrupted" and before == "missing"):
        return
    states[record.spec.name] = state
    display.progress.console.print(f"{record.spec.name} {state} on {where}", highlight=False)
    if state != "running":
        display.drop(record)
