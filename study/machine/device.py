"""Devices: what this machine has, what a run may use of it, and how torch is set up for it."""

from __future__ import annotations

import ctypes
import os
import resource
import shutil
import signal
import sys
import warnings
from pathlib import Path

import torch

from study.machine.options import MachineOptions
from study.spec import InputError

PR_SET_PDEATHSIG = 1  # of <sys/prctl.h>
DRIVER = Path("/proc/driver/nvidia/version")


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
        raise InputError(f"{why}; fix the driver, or train on the CPU with CUDA_VISIBLE_DEVICES= in front")
    return available


def check_devices(devices: int) -> None:
    """Refuse more devices than there are; a CPU is as many as is asked for."""
    if devices < 1 or (has_cuda() and devices > torch.cuda.device_count()):
        have = f"{torch.cuda.device_count()} GPUs" if has_cuda() else "a CPU, which is as many devices as you ask for"
        raise InputError(f"--devices={devices} cannot be had; this machine has {have}")


def step_mode(machine: MachineOptions, in_memory: bool) -> str:
    """Choose how steps are taken: as a captured ``graph`` on one GPU that holds the images, else ``plain``.

    Raises:
        InputError: A graph is requested where none can be captured.
    """
    if machine.step == "plain":
        return "plain"
    lacks = {
        "a GPU": not has_cuda(),
        "one device": machine.world_size > 1,
        "images that lie in memory": not in_memory,
    }
    missing = [what for what, is_missing in lacks.items() if is_missing]
    if machine.step == "graph" and missing:
        raise InputError(f"--step=graph needs {' and '.join(missing)}; give --step=auto, which takes what there is")
    return "plain" if missing else "graph"


def configure_torch(precision: str) -> None:
    """Set torch's switches: deterministic convolutions, and TF32 for fp32 on GPUs that have it."""
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


def peak_memory_mb() -> float:
    """The most memory that this process has held: on the GPU where there is one."""
    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated() / 2**20
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10
