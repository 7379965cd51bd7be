"""A real Slurm with one node, this machine, in a folder of its own: started for a test, and stopped after it.

Debian's packages slurmctld, slurmd, munge and slurm-client bring the programs. The system's configuration is neither
read nor written. The node says that it has two GPUs, which no process can use.
"""

from __future__ import annotations

import os
import re
import secrets
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from getpass import getuser
from pathlib import Path

from tests.support import ENVIRONMENT, ROOT, wait_for

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "srun", "scontrol")
SCRIPTS = ROOT / "docs" / "slurm"
SBIN = "/usr/sbin"  # where daemons are, which is not on every user's path
ENDED = {"COMPLETED", "FAILED", "CANCELLED", "TIMEOUT", "NODE_FAIL"}
# A requeued job waits for as long as credentials are valid, by default two minutes.
CONFIGURATION = """
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={controller}
SlurmdPort={daemon}
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket,cred_expire=5
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerType=sched/builtin
SchedulerParameters=sched_interval=1
GresTypes=gpu
ReturnToService=2
NodeName={host} NodeAddr=127.0.0.1 CPUs=2 Gres=gpu:2
PartitionName=main Nodes={host} Default=YES MaxTime=INFINITE State=UP
"""
GPUS = "NodeName={host} Name=gpu File=/dev/null\nNodeName={host} Name=gpu File=/dev/zero\n"


@dataclass(frozen=True)
class Job:
    """What Slurm says of a job, or of one task of an array."""

    state: str
    restarts: int
    exit_code: str


@dataclass(frozen=True)
class Cluster:
    """A running Slurm."""

    folder: Path

    @property
    def environment(self) -> dict[str, str]:
        """The variables of whoever uses it, which reach the jobs, too."""
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}:{SBIN}"
        own = {"SLURM_CONF": str(self.folder / "slurm.conf"), "PATH": path, "PYTHONPATH": str(ROOT)}
        return os.environ | ENVIRONMENT | own

    def call(self, *words: str, cwd: Path | None = None, **variables: str) -> str:
        """Run one of Slurm's commands and return what it prints."""
        done = subprocess.run(
            words, env=self.environment | variables, cwd=cwd, capture_output=True, text=True, timeout=60
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def submit(self, folder: Path, script: str, *words: str, **variables: str) -> str:
        """Submit one of the study's scripts from a folder, where it logs; returns the number of the job.

        Options of sbatch in `words` replace those in the script; what is no option is handed to the script.
        """
        options = [word for word in words if word.startswith("-")]
        rest = [word for word in words if not word.startswith("-")]
        submit = ("sbatch", "--parsable", *options, str(SCRIPTS / script), *rest)
        return self.call(*submit, cwd=folder, **variables).strip()

    def jobs(self, job: str) -> list[Job]:
        """The tasks of a job in the order of their numbers, or the job itself."""
        lines = self.call("scontrol", "show", "job", "--oneliner", job).splitlines()
        rows = [dict(re.findall(r"(\w+)=(\S*)", line)) for line in lines if line]
        rows.sort(key=lambda row: int(row.get("ArrayTaskId", "0").split("-")[0]))
        return [Job(row["JobState"], int(row["Restarts"]), row["ExitCode"]) for row in rows]

    def warn(self, job: str, signal: str = "USR1") -> None:
        """Send what Slurm sends before a time limit."""
        self.call("scancel", "--batch", f"--signal={signal}", job)

    def wait_for_requeue(self, job: str, restarts: int) -> None:
        """Wait until the first task of a job has been requeued so many times."""
        wait_for(lambda: self.jobs(job)[0].restarts == restarts, 150, pause=0.2)

    def wait(self, job: str, seconds: float = 400) -> list[Job]:
        """Wait until all tasks of a job have ended."""
        wait_for(lambda: all(one.state in ENDED for one in self.jobs(job)), seconds, pause=0.5)
        return self.jobs(job)


@contextmanager
def cluster(folder: Path) -> Iterator[Cluster]:
    """Start Slurm; all its processes, and those of its jobs, are gone at the end."""
    host = socket.gethostname().split(".")[0]
    for name in ("state", "spool"):
        (folder / name).mkdir()
    (folder / "munge.key").write_bytes(secrets.token_bytes(64))
    (folder / "munge.key").chmod(0o600)
    names = {"folder": folder, "host": host, "user": getuser()}
    with socket.socket() as one, socket.socket() as other:
        for free in (one, other):
            free.bind(("127.0.0.1", 0))
        names |= {"controller": one.getsockname()[1], "daemon": other.getsockname()[1]}
    (folder / "slurm.conf").write_text(CONFIGURATION.format(**names))
    (folder / "gres.conf").write_text(GPUS.format(**names))
    made = Cluster(folder)
    munge = [f"--{name}-file={folder}/munge.{name}" for name in ("key", "pid", "log", "seed")]
    munge += ["--foreground", "--force", f"--socket={folder}/munge.socket"]
    with ExitStack() as stack:
        stack.enter_context(_running(made, folder / "munge.socket", "munged", *munge))
        stack.enter_context(_running(made, folder / "slurmctld.pid", "slurmctld", "-D", "-i"))
        stack.enter_context(_running(made, folder / "slurmd.pid", "slurmd", "-D", "-N", host))
        wait_for(lambda: "idle" in made.call("sinfo", "--noheader", "--format=%T"), 60, pause=0.2)
        stack.callback(_cancel_all, made)
        yield made


def _cancel_all(made: Cluster) -> None:
    made.call("scancel", f"--user={getuser()}")
    wait_for(lambda: not made.call("squeue", "--noheader").strip(), 60, pause=0.2)


@contextmanager
def _running(made: Cluster, sign: Path, *words: str) -> Iterator[None]:
    """A program that is ready once it has made a file."""
    log = made.folder / f"{words[0]}.out"
    with log.open("wb") as output:
        process = subprocess.Popen(words, env=made.environment, stdout=output, stderr=output, start_new_session=True)
    try:
        wait_for(lambda: sign.exists() or process.poll() is not None, 30)
        assert process.poll() is None, log.read_text()
        yield
    finally:
        process.terminate()
        process.wait(30)


def missing() -> list[str]:
    """The programs of Slurm that are not installed here."""
    path = f"{os.environ['PATH']}:{SBIN}"
    return [program for program in PROGRAMS if shutil.which(program, path=path) is None]
