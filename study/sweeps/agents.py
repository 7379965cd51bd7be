"""``study launch``: create a W&B sweep and start one agent per slice of this machine's GPUs.

The machine options reach the agents as environment variables (STUDY_DEVICES, STUDY_RUNS ...), never through the sweep,
so agents on other nodes with other GPUs can join it.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections import Counter, deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import yaml

from study.machine.gpus import VARIABLE, read_list
from study.machine.mps import shared_gpus
from study.machine.options import MachineOptions
from study.recording.record import CLIENT, Record, unwritable
from study.recording.wandb.account import PROJECT, check_account, resolve_mode, wandb_call
from study.spec import InputError, Spec
from study.sweeps.display import Display, print_table
from study.sweeps.grid import command
from study.sweeps.local import interrupt

STAGGER = 2.0  # seconds between the starts of two agents, so that they do not ask the server at the same moment
GRACE = 120.0  # seconds that a stopped run has to write its checkpoint and to finish with W&B
CPU_AGENTS = 2
FOREIGN = (  # variables of a surrounding job, which would make all runs of this machine parts of that job
    "MASTER_ADDR",
    "MASTER_PORT",
    "RANK",
    "LOCAL_RANK",
    "NODE_RANK",
    "GROUP_RANK",
    "WORLD_SIZE",
    "WANDB_RUN_ID",
    "WANDB_SWEEP_ID",
    "WANDB_SWEEP_PARAM_PATH",
    "WANDB_SERVICE",
)


@dataclass(frozen=True)
class Slice:
    """The part of the machine that one agent uses.

    Attributes:
        name: As in the record of a run and in the name of the agent's log: ``gpu0+1``.
        variables: The environment variables that restrict a process to it.
    """

    name: str
    variables: Mapping[str, str]


def slices(gpus: str, per_run: int, runs_per_gpu: int = 1) -> list[Slice]:
    """Divide the GPUs into one slice per agent; ``cpu`` gives two agents on the CPU.

    Args:
        gpus: ``cpu``, or the GPUs with commas between them: their indices, or their UUIDs, also of parts (MIG).
        per_run: Number of devices of one run.
        runs_per_gpu: Number of agents that share each GPU.

    Raises:
        InputError: The GPUs are not names, are named twice, or do not divide into runs of `per_run`.

    Example:
        >>> [part.name for part in slices("0,1,2,3", 2)]
        ['gpu0+1', 'gpu2+3']
        >>> [part.name for part in slices("0,1", 1, runs_per_gpu=2)]
        ['gpu0.1', 'gpu0.2', 'gpu1.1', 'gpu1.2']
    """
    if min(per_run, runs_per_gpu) < 1:
        raise InputError(f"--gpus-per-run={per_run} and --runs-per-gpu={runs_per_gpu} must be at least 1")
    if gpus == "cpu":
        return _cpu_slices()
    names = gpus.split(",")
    if read_list(gpus) != names:
        raise InputError(
            f"--gpus={gpus} is not a list of different GPUs; write --gpus=0,1,2,3 or --gpus=cpu, "
            "and --runs-per-gpu=2 for two runs at a time on each"
        )
    if len(names) % per_run:
        raise InputError(f"{len(names)} GPUs do not divide into runs of {per_run}; change --gpus or --gpus-per-run")
    shares = [names[i : i + per_run] for i in range(0, len(names), per_run)]
    ends = [f".{i + 1}" for i in range(runs_per_gpu)] if runs_per_gpu > 1 else [""]
    return [Slice(_name(share) + end, {VARIABLE: ",".join(share)}) for share in shares for end in ends]


def _cpu_slices() -> list[Slice]:
    threads = str(max(1, (os.cpu_count() or 1) // CPU_AGENTS))
    shared = {VARIABLE: "", "OMP_NUM_THREADS": threads}
    return [Slice(f"cpu{i}", shared) for i in range(CPU_AGENTS)]


def _name(gpus: Sequence[str]) -> str:
    """``gpu0+1`` for ``0`` and ``1``; it becomes the name of a log, so a MIG name has no slashes there."""
    return ("gpu" if gpus[0].isdecimal() else "") + "+".join(gpus).replace("/", "-")


@contextmanager
def with_service(fleet: Sequence[Slice]) -> Iterator[list[Slice]]:
    """Run MPS on every single GPU that several slices share; yield the slices, with the variables of its clients."""
    uses = Counter(part.variables[VARIABLE] for part in fleet)
    shared = [gpu for gpu, count in uses.items() if count > 1 and gpu and "," not in gpu]
    with shared_gpus(shared, is_shared=True) as variables:
        yield [replace(part, variables=variables.get(part.variables[VARIABLE], part.variables)) for part in fleet]


def launch(file: Path, specs: Sequence[Spec], fleet: Sequence[Slice], machine: MachineOptions) -> int:
    """Create the W&B sweep of a file, run one agent per slice, and finish what they leave.

    W&B never hands out a cell twice. A cell that no agent finished is trained here after the agents have ended.

    Returns:
        0 if all cells are finished, 1 if one is not, 128 + signal if stopped. Then the running cells stop too, each
        after a checkpoint, and no other starts.

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
        workers = [_Worker(part, environment(part, machine), logs / f"agent-{part.name}.log") for part in parts]
        try:
            _run(workers, records, sweep)
        except KeyboardInterrupt as stop:
            _stop(workers)
            return 128 + int(stop.args[0] if stop.args else signal.SIGINT)
    print_table(f"{len(specs)} cells in {machine.runs}, sweep {sweep}", records)
    unfinished = _unfinished(records)
    for record in unfinished:
        print(f"study: {record.spec.name} is not finished; see {logs}/agent-*.log", file=sys.stderr)
    return 1 if unfinished else 0


def _stop(workers: Sequence[_Worker]) -> None:
    """Tell all workers to stop, then wait for each."""
    for worker in workers:
        worker.stop()
    for worker in workers:
        worker.wait()


def _run(workers: Sequence[_Worker], records: Sequence[Record], sweep: str) -> None:
    """Run the agents until they end, then train what they left unfinished."""
    for worker in workers:
        worker.commands.append([sys.executable, "-m", "wandb", "agent", "--forward-signals", sweep])
    _watch(workers, records)
    for i, record in enumerate(_unfinished(records)):
        workers[i % len(workers)].commands.append(command(record.spec, ["--wandb=online"]))
    _watch(workers, records)


def _unfinished(records: Sequence[Record]) -> list[Record]:
    return [record for record in records if record.state() != "finished"]


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

        sweep = wandb.sweep(yaml.safe_load(file.read_text()), project=os.environ.get("WANDB_PROJECT", PROJECT))
    # wandb.sweep returns the sweep's id only; it sets these two variables to the server's answer.
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
    """Runs commands on one slice, one after the other; their output goes to a log."""

    def __init__(self, part: Slice, environment: Mapping[str, str], log: Path) -> None:
        self.environment = environment
        self.name, self.log = part.name, log
        self.commands: deque[list[str]] = deque()
        self.process: subprocess.Popen[bytes] | None = None

    def is_busy(self) -> bool:
        """Whether a command is running; if none is, start the next one."""
        if self.process and self.process.poll() is None:
            return True
        if not self.commands:
            return False
        with self.log.open("ab") as log:  # a session of its own: Ctrl-C at our terminal must not reach it directly
            self.process = subprocess.Popen(
                self.commands.popleft(), env=self.environment, stdout=log, stderr=log, start_new_session=True
            )
        return True

    def stop(self) -> None:
        """Tell the running command to write a checkpoint and exit; an agent passes the signal on to its run."""
        self.commands.clear()
        if self.process:
            self.process.terminate()

    def wait(self) -> None:
        """Wait until the command has ended; kill it after `GRACE` seconds, and its run ends with it."""
        if self.process:
            try:
                self.process.wait(GRACE)
            except subprocess.TimeoutExpired:
                self.process.kill()


def _watch(workers: Sequence[_Worker], records: Sequence[Record]) -> None:
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
