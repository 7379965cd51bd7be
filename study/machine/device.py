"""Devices: what this machine has, what a run can use, and the settings of torch."""

from __future__ import annotations

import math
import os
import resource
import shutil
import sys
import warnings
from pathlib import Path

import torch

from study.machine.options import Precision
from study.spec import InputError

FLOAT_BYTES = 4
RECORD_BYTES = 50 * 2**20  # a record without its checkpoints is smaller
STATUS = Path("/proc/self/status")
MEMORY = Path("/proc/meminfo")
GROUP = Path("/sys/fs/cgroup")  # of this container, if it is one
DRIVER = Path("/proc/driver/nvidia/version")


def has_cuda() -> bool:
    """Whether torch can use a GPU here.

    Raises:
        InputError: There is an NVIDIA driver, but torch cannot use it; training must not fall back to the CPU.
    """
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        available = torch.cuda.is_available()
    if not available and DRIVER.exists() and os.environ.get("CUDA_VISIBLE_DEVICES") != "":
        why = str(caught[0].message).split("(")[0].strip() if caught else "torch finds no GPU"
        raise InputError(
            f"{why}; fix the driver, or, to train on the CPU, put CUDA_VISIBLE_DEVICES= before the command"
        )
    return available


def check_devices(devices: int) -> None:
    """Refuse fewer than one device, or more GPUs than there are; a CPU can run any number of processes.

    Raises:
        InputError: That number of devices is not available.
    """
    if devices < 1:
        raise InputError(f"--devices={devices} must be at least 1")
    if has_cuda() and devices > torch.cuda.device_count():
        raise InputError(f"--devices={devices} is not available; this machine has {torch.cuda.device_count()} GPUs")


def configure_torch(precision: Precision) -> None:
    """Set torch's switches: deterministic convolutions, and on GPUs TF32 unless true fp32 is requested.

    Args:
        precision: What a run is trained in, no longer ``auto``.
    """
    torch.backends.cudnn.deterministic = True  # otherwise a resumed run would end with other weights
    torch.backends.cudnn.allow_tf32 = precision != "32"
    torch.set_float32_matmul_precision("highest" if precision == "32" else "high")
    if precision == "bf16" and not has_cuda() and not has_native_bf16():
        print("study: this processor has no bf16 instructions; --precision=32 is faster here", file=sys.stderr)


def has_native_bf16() -> bool:
    """Whether this processor multiplies bf16 numbers itself (AVX-512, AMX or ARM), and torch's kernels use it."""
    known: dict[str, object] = getattr(torch.cpu, "get_capabilities", dict)()  # empty before torch 2.15
    instructions = ("avx512_bf16", "amx_bf16", "bf16", "sve_bf16")
    is_native = any(known.get(name, False) for name in instructions) if known else True
    return bool(is_native and torch.ops.mkldnn._is_mkldnn_bf16_supported())


def has_tf32() -> bool:
    """Whether the GPU computes in TF32: from compute capability 8 on."""
    return has_cuda() and torch.cuda.get_device_capability() >= (8, 0)


def check_disk(folder: Path, parameters: int) -> None:
    """Refuse a disk without room for the record and its checkpoints: the last, the one before, and the new one.

    Raises:
        InputError: The free space of the folder's disk is too small.
    """
    checkpoint = 2 * FLOAT_BYTES * parameters  # weights and momentum
    needed = 3 * checkpoint + RECORD_BYTES
    there = next(place for place in (folder, *folder.absolute().parents) if place.exists())
    free = shutil.disk_usage(there).free
    if free < needed:
        raise InputError(
            f"{folder} has {free >> 20} MiB free and a run needs {needed >> 20}; make room, or give --runs=PATH"
        )


def peak_memory_mb() -> float:
    """The peak memory of this process in MiB: of the GPU if there is one, else resident memory."""
    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated() / 2**20
    line = STATUS.read_text().partition("VmHWM:")[2] if STATUS.exists() else ""
    if line:  # not from getrusage, which on Linux begins with the peak of the process that started this one
        return int(line.split()[0]) / 2**10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)


def free_memory_mb() -> float:
    """The free memory in MiB: of the GPU if there is one, else of the machine or of this container."""
    if torch.cuda.is_available():
        return torch.cuda.mem_get_info()[0] / 2**20
    free = int(MEMORY.read_text().partition("MemAvailable:")[2].split()[0]) / 2**10 if MEMORY.exists() else math.inf
    limit = (GROUP / "memory.max").read_text().strip() if (GROUP / "memory.max").exists() else "max"
    if limit == "max":
        return free
    used = int((GROUP / "memory.current").read_text())
    cached = int((GROUP / "memory.stat").read_text().partition("inactive_file ")[2].split()[0])
    return min(free, (int(limit) - used + cached) / 2**20)
