"""NVIDIA's multi-process service (MPS): several processes run kernels on one GPU at the same time.

One small network leaves most of a GPU idle. Each GPU that is shared gets a service of its own, which sees only that
GPU: a service numbers its GPUs anew, so with several of them an index would mean another GPU than its user means.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

from study.machine.gpus import VARIABLE

CONTROL = "nvidia-cuda-mps-control"
PIPES = "CUDA_MPS_PIPE_DIRECTORY"
PATIENCE = 20.0  # seconds that the service has to start, and to end before it is killed


@contextmanager
def shared_gpus(gpus: Sequence[str], is_shared: bool) -> Iterator[dict[str, dict[str, str]]]:
    """Run the service on each of these GPUs while the context is open.

    Args:
        gpus: As CUDA_VISIBLE_DEVICES names them.
        is_shared: Whether several processes will use one GPU at the same time; otherwise no service is needed.

    Yields:
        For each GPU the environment variables of a process that uses it. Where the service is not needed, not
        installed, already running, or does not start, they only name the GPU, and processes take turns on it.
    """
    is_needed = is_shared and shutil.which(CONTROL) is not None and PIPES not in os.environ
    with ExitStack() as stack:
        yield {gpu: stack.enter_context(_service(gpu)) if is_needed else {VARIABLE: gpu} for gpu in gpus}


@contextmanager
def _service(gpu: str) -> Iterator[dict[str, str]]:
    """Run the service of one GPU; yield the environment variables of its clients."""
    with TemporaryDirectory(prefix="mps", ignore_cleanup_errors=True) as folder:
        folders = {PIPES: folder, "CUDA_MPS_LOG_DIRECTORY": folder}
        own = os.environ | folders | {VARIABLE: gpu}
        has_started = _control(own, "-d")
        seen = "0" if gpu.isdecimal() else gpu  # its only GPU has index 0; a UUID stays what it is
        try:
            yield folders | {VARIABLE: seen} if has_started else {VARIABLE: gpu}
        finally:
            if not _control(own, words=b"quit\n"):
                _kill(folder)


def _control(environment: dict[str, str], *arguments: str, words: bytes | None = None) -> bool:
    """Run NVIDIA's program; return whether it succeeded in time.

    It inherits none of our files. The service that it starts keeps what it inherits, and a pipe that it kept open would
    hold us, or who reads our output, until it ends.
    """
    command = [CONTROL, *arguments]
    with subprocess.Popen(
        command,
        env=environment,
        stdin=subprocess.DEVNULL if words is None else subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,  # Ctrl-C at our terminal must not end it before the runs have written their checkpoints
    ) as process:
        try:
            process.communicate(words, timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
    return process.returncode == 0


def _kill(folder: str) -> None:
    """Kill what still runs of a service: the processes that were told of its folder."""
    for path in Path("/proc").glob("[0-9]*/environ"):
        with suppress(OSError):  # it has ended meanwhile, or is another user's
            if f"{PIPES}={folder}".encode() in path.read_bytes().split(b"\0"):
                os.kill(int(path.parent.name), signal.SIGKILL)
