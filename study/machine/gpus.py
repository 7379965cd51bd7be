"""The GPUs that a command may use. Imports no torch."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from itertools import takewhile
from pathlib import Path

VARIABLE = "CUDA_VISIBLE_DEVICES"
NAME = re.compile(r"\d+|(GPU|MIG)-\S+")  # as the variable takes them: an index, a GPU's UUID, a part of a GPU (MIG)
PROGRAM = "nvidia-smi"
DRIVER = Path("/proc/driver/nvidia/version")
LISTED = re.compile(r"UUID: ((?:GPU|MIG)-[^)\s]+)\)")  # of `nvidia-smi -L`: a line for a GPU, one for each of its parts
COUNT = "import torch; print(torch.cuda.device_count())"
PATIENCE = 60.0  # seconds that a driver may take to answer


def visible_gpus() -> list[str]:
    """The GPUs that this process may use, as CUDA_VISIBLE_DEVICES names them; an empty list on a CPU.

    With the variable they are those of its list, as it names them. Without it they are all that the driver lists, by
    UUID, because an index means one GPU to the driver and may mean another one to CUDA. A GPU that is divided (MIG) is
    replaced by its parts.
    """
    given = os.environ.get(VARIABLE)
    return _installed() if given is None else read_list(given)


def has_gpu() -> bool:
    """Whether there is an NVIDIA driver, and a GPU that this process may use."""
    is_driven = DRIVER.exists() or shutil.which(PROGRAM) is not None
    return is_driven and bool(visible_gpus())


def read_list(given: str) -> list[str]:
    """The GPUs of a value of CUDA_VISIBLE_DEVICES; as for CUDA, the list ends before the first word that names none.

    Example:
        >>> read_list("2,GPU-8932f937,-1,3")
        ['2', 'GPU-8932f937']
    """
    words = (word.strip() for word in given.split(","))
    return list(dict.fromkeys(takewhile(NAME.fullmatch, words)))


def _installed() -> list[str]:
    """All GPUs that the driver lists; a child process asks torch where there is a driver without its program."""
    try:
        done = subprocess.run([PROGRAM, "-L"], capture_output=True, text=True, timeout=PATIENCE)
    except (OSError, subprocess.TimeoutExpired):
        return _counted() if DRIVER.exists() else []
    return without_divided(LISTED.findall(done.stdout)) if done.returncode == 0 else []


def without_divided(names: Sequence[str]) -> list[str]:
    """The names in the driver's order without each GPU that is followed by its parts.

    Example:
        >>> without_divided(["GPU-a", "MIG-b", "MIG-c", "GPU-d"])
        ['MIG-b', 'MIG-c', 'GPU-d']
    """
    following = [*names[1:], ""]
    return [
        name for name, after in zip(names, following, strict=True) if name[:3] == "MIG" or not after.startswith("MIG")
    ]


def _counted() -> list[str]:
    """The indices of the GPUs that torch finds, in a process of its own."""
    done = subprocess.run([sys.executable, "-c", COUNT], capture_output=True, text=True)
    return [str(index) for index in range(int(done.stdout or 0))]
