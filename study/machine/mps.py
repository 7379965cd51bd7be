"""NVIDIA's multi-process service (MPS): several processes run kernels on one GPU at the same time.

One small network leaves most of a GPU idle.
"""

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
    """Run the service while the context is open.

    Args:
        processes: Number of processes that will share the GPU; one needs no service.

    Yields:
        The environment variables that those processes need. Empty if the service is not needed, not installed, already
        running, or does not start; without a service the processes take turns on the GPU.
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
