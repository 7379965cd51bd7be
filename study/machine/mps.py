"""NVIDIA's multi-process service: kernels of several processes at a time on one GPU, which small nets leave idle."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from tempfile import TemporaryDirectory

CONTROL = "nvidia-cuda-mps-control"


@contextmanager
def shared_gpu(processes: int) -> Iterator[dict[str, str]]:
    """Serve the processes started inside.

    Yields:
        The environment that they need; empty for one process, where there is no such service, or where one runs.
        Processes then take turns on the GPU.
    """
    if processes == 1 or shutil.which(CONTROL) is None or "CUDA_MPS_PIPE_DIRECTORY" in os.environ:
        yield {}
        return
    with TemporaryDirectory(prefix="mps") as folder:
        variables = {"CUDA_MPS_PIPE_DIRECTORY": folder, "CUDA_MPS_LOG_DIRECTORY": folder}
        started = subprocess.run([CONTROL, "-d"], env=os.environ | variables, capture_output=True)
        try:
            yield {} if started.returncode else variables
        finally:
            subprocess.run([CONTROL], input=b"quit\n", env=os.environ | variables, capture_output=True)
