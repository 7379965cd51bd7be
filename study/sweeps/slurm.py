"""``study sweep --slurm``: submit the cells of a sweep file as one Slurm array job, through submitit.

Slurm warns each job shortly before its time limit, or before it preempts it. The run then writes a checkpoint, and
submitit requeues the job, which resumes from there. What is submitted is the command ``python -m study train`` alone.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import sys
from collections.abc import Sequence
from contextlib import redirect_stderr
from dataclasses import replace
from difflib import get_close_matches
from importlib.util import find_spec
from io import StringIO
from pathlib import Path
from subprocess import CalledProcessError
from typing import TYPE_CHECKING

from study.machine.options import MachineOptions
from study.recipes import check_batches
from study.recording.folders import JOBS
from study.recording.record import Record, unwritable
from study.spec import InputError, Spec, shown
from study.sweeps.grid import command

if TYPE_CHECKING:
    from submitit import SlurmExecutor
    from submitit.helpers import DelayedSubmission

KEYS = {  # of --slurm, and submitit's names of the same
    "time": "time",
    "partition": "partition",
    "account": "account",
    "qos": "qos",
    "constraint": "constraint",
    "gpus": "gpus_per_node",
    "cpus": "cpus_per_task",
    "mem": "mem",
    "parallel": "array_parallelism",
}
COUNTS = ("gpus", "cpus", "parallel")  # whole numbers from 1
WARNING = 300  # seconds before the time limit at which a run is told to write a checkpoint
MOST_REQUEUES = 1_000  # at time limits; a run that makes no progress fails long before
TIME = re.compile(r"(?:(?P<days>\d+)-)?(?P<hours>\d+):(?P<minutes>\d\d):(?P<seconds>\d\d)")


def read_request(text: str) -> dict[str, str | int]:
    """Read the value of ``--slurm``: what each job asks Slurm for.

    Args:
        text: Keys of `KEYS` and their values; ``time`` is required.

    Returns:
        The values by key, ``time`` in minutes.

    Raises:
        InputError: A key is unknown, a value is not of its kind, or there is no time.

    Example:
        >>> read_request("partition=gpu,time=1-00:30:00,gpus=1")
        {'partition': 'gpu', 'time': 1470, 'gpus': 1}
    """
    request = {}
    for part in text.split(","):
        key, _, value = part.partition("=")
        request[key] = _value(key, value)
    if "time" not in request:
        raise InputError("--slurm needs the time limit of a job, as in --slurm=time=24:00:00")
    return request


def _value(key: str, value: str) -> str | int:
    if key not in KEYS:
        close = get_close_matches(key, KEYS, n=1)
        hint = f"did you mean {close[0]}?" if close else f"there are: {', '.join(KEYS)}"
        raise InputError(f"--slurm: key {shown(key)} is unknown; {hint}")
    if key == "time":
        return _minutes(value)
    if key in COUNTS:
        if not value.isdecimal() or int(value) < 1:
            raise InputError(f"--slurm: {key}={value} is not a whole number from 1")
        return int(value)
    if not value:
        raise InputError(f"--slurm: {key} has no value; write {key}=VALUE")
    return value


def _minutes(text: str) -> int:
    """A time limit in minutes, rounded up."""
    if text.isdecimal() and int(text):
        return int(text)
    found = TIME.fullmatch(text)
    seconds = 0
    if found:
        days, hours, minutes, rest = (int(part or 0) for part in found.groups())
        seconds = ((24 * days + hours) * 60 + minutes) * 60 + rest
    if not seconds:
        raise InputError(f"--slurm: time={text} is not a time limit; write minutes, HH:MM:SS or DAYS-HH:MM:SS")
    return -(-seconds // 60)


def submit(specs: Sequence[Spec], machine: MachineOptions, request: dict[str, str | int]) -> int:
    """Submit the cells that nobody has trained or trains now, and say which job they are and where it logs.

    Args:
        specs: The cells.
        machine: Where and how each is trained; GPUs that are asked for are its devices.
        request: What `read_request` returned.

    Returns:
        0 once Slurm has the job.

    Raises:
        InputError: submitit or Slurm is missing here, a batch does not divide by the GPUs, the folder cannot be
            written, or Slurm refuses the job.
    """
    _check_installed()
    machine = replace(machine, devices=int(request.get("gpus", machine.devices)))
    check_batches(specs, machine.devices)
    open_states = ("missing", "interrupted", *(("stopped",) if machine.again else ()))
    left = [spec for spec in specs if Record(machine.runs, spec).state() in open_states]
    if not left:
        print(f"nothing to submit: each of the {len(specs)} cells in {machine.runs} has ended or is running")
        return 0
    logs = machine.runs.absolute() / JOBS
    try:
        logs.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise unwritable(machine.runs, error) from None
    jobs = _submit(executor(logs, request), [Training(command(spec, machine.flags())) for spec in left])
    print(f"job {jobs[0].partition('_')[0]}: {len(left)} of {len(specs)} cells")
    for spec, job in zip(left, jobs, strict=True):
        print(f"  {spec.name}  {logs}/{job}_0_log.out")
    return 0


def _check_installed() -> None:
    if find_spec("submitit") is None:
        raise InputError("--slurm needs the package submitit; run: pip install 'resnet-study[slurm]'")
    if not (shutil.which("sbatch") and shutil.which("srun")):
        raise InputError("--slurm submits with sbatch, which is not here; run it on a login node of the cluster")


def executor(logs: Path, request: dict[str, str | int]) -> SlurmExecutor:
    """What submits the jobs.

    The batch shell becomes the process that runs a `Training`, without `srun`, and Slurm's warning goes to it alone.
    Otherwise Slurm would send it to every process of the job, W&B's own among them.
    """
    from submitit import JobEnvironment, SlurmExecutor

    made = SlurmExecutor(logs, max_num_timeout=MOST_REQUEUES, python=f"exec {sys.executable}")
    warning = min(WARNING, 30 * int(request["time"]))  # of a short limit its half
    more = {"signal": f"B:{JobEnvironment.USR_SIG}@{warning}", "requeue": True}
    asked = {KEYS[key]: value for key, value in request.items()}
    made.update_parameters(
        job_name="resnet-study", use_srun=False, stderr_to_stdout=True, additional_parameters=more, **asked
    )
    return made


def _submit(made: SlurmExecutor, trainings: Sequence[Training]) -> list[str]:
    from submitit.core.utils import FailedJobError, FailedSubmissionError

    try:
        with redirect_stderr(StringIO()):  # which would hold the same words again
            return [job.job_id for job in made.submit_array(trainings)]
    except (FailedJobError, FailedSubmissionError, CalledProcessError) as error:
        said = str(error).strip().splitlines() or ["no reason given"]
        raise InputError(f"Slurm refuses the job: {said[-1].removeprefix('sbatch: ')}") from None


class Training:
    """The command of a cell, as a job that submitit runs and requeues.

    Args:
        command: The words of the command. It stops after a checkpoint at SIGTERM, and resumes when it is run again.
    """

    def __init__(self, command: Sequence[str]) -> None:
        self.command = list(command)
        self.pid = 0

    def __call__(self) -> None:
        """Run the command to its end; the job ends with its status."""
        self.pid = os.spawnv(os.P_NOWAIT, self.command[0], self.command)
        signal.signal(signal.SIGTERM, lambda *_: os.kill(self.pid, signal.SIGTERM))  # preempted or cancelled
        sys.exit(self._wait())

    def checkpoint(self) -> DelayedSubmission:
        """Stop the command after a checkpoint, for submitit to requeue the job; one that has ended stays ended."""
        from submitit.helpers import DelayedSubmission

        os.kill(self.pid, signal.SIGTERM)
        status = self._wait()
        if status not in (128 + signal.SIGTERM, -signal.SIGTERM):
            sys.exit(status)
        return DelayedSubmission(Training(self.command))

    def _wait(self) -> int:
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
