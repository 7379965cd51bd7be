"""The machine: what a cell may use of it, whether that is there, and what to note about it."""

from __future__ import annotations

import ctypes
import importlib.metadata
import json
import os
import platform
import resource
import shutil
import signal
import subprocess
import sys
import warnings
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

import torch

from study.recipes import per_device_batch, recipe_for
from study.spec import InputError, Spec
from study.store import Row

PR_SET_PDEATHSIG = 1  # of <sys/prctl.h>
DRIVER = Path("/proc/driver/nvidia/version")


@dataclass(frozen=True)
class Machine:
    """Where a cell runs: nothing here changes what it means (rule 3).

    `devices` are those of one node; under torchrun it says itself how many it started, and on how many nodes.
    """

    devices: int = 1
    precision: str = "32"
    runs: Path = Path("runs")
    data: Path = Path("data")
    wandb: str = "auto"
    step: str = "auto"
    checkpoint_every: int = 0

    @property
    def devices_here(self) -> int:
        """Processes of the run on this node."""
        return int(os.environ["LOCAL_WORLD_SIZE"]) if is_under_torchrun() else self.devices

    @property
    def world_size(self) -> int:
        """Processes of the run on all nodes."""
        return int(os.environ["WORLD_SIZE"]) if is_under_torchrun() else self.devices


def is_under_torchrun() -> bool:
    """Whether torchrun started this process, and not we ourselves."""
    return "TORCHELASTIC_RUN_ID" in os.environ


def is_launched() -> bool:
    """Whether `study launch` gave this process its slice of the GPUs."""
    return "STUDY_SLICE" in os.environ


def is_first_rank() -> bool:
    """Whether this process speaks and writes; known before any process group is."""
    return all(os.environ.get(name, "0") == "0" for name in ("LOCAL_RANK", "NODE_RANK", "GROUP_RANK"))


def die_with_parent() -> None:
    """Have the kernel kill this process when the one that started it ends, however it ends (Linux)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def has_cuda() -> bool:
    """Whether torch can use a GPU here.

    Raises:
        InputError: there is a GPU and a driver, but torch cannot use them: nobody wants days on the CPU by accident.
    """
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        available = torch.cuda.is_available()
    if not available and DRIVER.exists() and os.environ.get("CUDA_VISIBLE_DEVICES") != "":
        why = str(said[0].message).split("(")[0].strip() if said else "torch finds no device"
        raise InputError(f"{why}; mend the driver, or train on the CPU with CUDA_VISIBLE_DEVICES= in front")
    return available


def check_devices(devices: int) -> None:
    """Refuse more devices than there are; a CPU is as many as is asked for."""
    if devices < 1 or (has_cuda() and devices > torch.cuda.device_count()):
        have = f"{torch.cuda.device_count()} GPUs" if has_cuda() else "a CPU, which is as many devices as you ask for"
        raise InputError(f"--devices={devices} cannot be had; this machine has {have}")


def step_path(machine: Machine, dataset: str) -> str:
    """How steps are taken: as a captured ``graph`` on one GPU that holds the images, else ``plain``.

    Raises:
        InputError: a graph is asked for where there can be none.
    """
    if machine.step == "plain":
        return "plain"
    lacks = {
        "a GPU": not has_cuda(),
        "one device": machine.world_size > 1,
        "images that lie in memory": dataset == "imagenet",
    }
    missing = [what for what, is_missing in lacks.items() if is_missing]
    if machine.step == "graph" and missing:
        raise InputError(f"--step=graph needs {' and '.join(missing)}; give --step=auto, which takes what there is")
    return "plain" if missing else "graph"


def settle(precision: str) -> None:
    """Say what torch leaves open: convolutions that sum in a fixed order, and TF32 for fp32 on GPUs that have it."""
    torch.backends.cudnn.deterministic = True  # or a resumed run would end elsewhere
    torch.backends.cudnn.allow_tf32 = True
    torch.set_float32_matmul_precision("high")
    if precision == "bf16" and not has_cuda() and not torch.ops.mkldnn._is_mkldnn_bf16_supported():
        print("study: this processor has no arithmetic for bf16; --precision=32 is faster here", file=sys.stderr)


def check_disk(folder: Path, parameters: int) -> None:
    """Refuse a disk that cannot hold two checkpoints (weights and momentum) and the record."""
    need = 2 * 2 * 4 * parameters + 50 * 2**20
    free = shutil.disk_usage(folder).free
    if free < need:
        raise InputError(f"{folder} has {free >> 20} MiB free, but needs {need >> 20}; make room or give --runs=PATH")


def provenance(spec: Spec, machine: Machine, fingerprint: str) -> Row:
    """Where, when, with what and on which data a run is begun or resumed."""
    recipe = recipe_for(spec)
    packages = ("torch", "torchvision", "pytorch-lightning", "numpy", "wandb")
    return {
        "commit": _git("rev-parse", "HEAD"),
        "dirty": bool(_git("status", "--porcelain")),
        "versions": {"python": platform.python_version(), **{name: _version(name) for name in packages}},
        "device": torch.cuda.get_device_name() if has_cuda() else _processor(),
        "threads": torch.get_num_threads(),
        "world_size": machine.world_size,
        "per_device_batch": per_device_batch(recipe, machine.world_size),
        "precision": machine.precision,
        "tf32": has_cuda() and machine.precision == "32" and torch.cuda.get_device_capability() >= (8, 0),
        "step_path": step_path(machine, spec.dataset),
        "checkpoint_every": machine.checkpoint_every,
        "recipe": json.loads(json.dumps(asdict(recipe))),  # lists for tuples, as it will be read back
        "data_fingerprint": fingerprint,
        "argv": sys.argv[1:],
        "slice": os.environ.get("STUDY_SLICE"),
        "started": now(),
    }


def now() -> str:
    """The time, as records have it."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def peak_memory_mb() -> float:
    """The most memory that this process has held: on the GPU where there is one."""
    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated() / 2**20
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10


def _git(*arguments: str) -> str | None:
    try:
        command = ["git", *arguments]
        done = subprocess.run(command, cwd=Path(__file__).parent, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.strip()


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _processor() -> str:
    path = Path("/proc/cpuinfo")
    lines = path.read_text().splitlines() if path.exists() else []
    names = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
    return f"CPU {names[0] if names else platform.machine()}"
