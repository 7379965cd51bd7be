"""What a machine does to a run: a full disk, little memory, a compiler or a rank that is gone; each is one line."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import distributed

from study.machine.compiler import first_line, forget_half, is_of_compiler
from study.machine.options import MachineOptions
from study.recording.lock import Lost
from study.recording.record import Record
from study.spec import MachineError
from study.training.ranks import rank_timeout

DISK = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO, errno.ESTALE, errno.ENOENT, errno.EACCES}
AGAIN = "give the same command again: it goes on from the last checkpoint"
PLAIN = "if it fails again, train without it: --step=plain --changes=accept"
# How torch says, in a plain RuntimeError, that a CPU's memory is full, and that a worker of a loader has ended.
NO_MEMORY, NO_READER = "can't allocate memory", "DataLoader worker"


@contextmanager
def machine_errors(record: Record, machine: MachineOptions) -> Iterator[None]:
    """Turn what the machine did to a run into a MachineError; any other exception passes.

    Args:
        record: The run.
        machine: Where and how it is trained.
    """
    try:
        yield
    except (OSError, MemoryError, RuntimeError, ImportError) as error:
        sentence = _of_disk(error, record) or _of_compiler(error) or _of_memory(error, machine) or _of_processes(error)
        if sentence:
            raise MachineError(f"{record.spec.name}: {sentence}") from None
        raise


def _of_disk(error: Exception, record: Record) -> str:
    if isinstance(error, Lost):
        return f"{error}; nothing more is recorded by this process"
    if isinstance(error, OSError) and error.errno in DISK:
        return f"{error.filename or record.folder}: {error.strerror}; make room or fix it, and {AGAIN}"
    return ""


def _of_compiler(error: Exception) -> str:
    """Why the step could not be compiled, or not be loaded, as when an earlier run was killed while it compiled."""
    if not is_of_compiler(error):
        return ""
    what = f"torch could not compile the step ({first_line(error)})"
    return f"{what}; half a library was removed, so {AGAIN}" if forget_half(error) else f"{what}; {PLAIN}"


def _of_memory(error: Exception, machine: MachineOptions) -> str:
    """What would make a run fit into the memory."""
    if not isinstance(error, MemoryError | torch.OutOfMemoryError) and NO_MEMORY not in str(error):
        return ""
    ways = {
        "--precision=bf16": machine.precision != "bf16",
        "--checkpoint-every=10": machine.checkpoint_every == 0,
        f"--devices={2 * machine.devices}": True,
    }
    offered = ", ".join(way for way, is_new in ways.items() if is_new)
    return f"it does not fit into the memory; give it less to hold: {offered}"


def _of_processes(error: Exception) -> str:
    """Which other process of the run is gone, or does not answer."""
    text = str(error)
    if NO_READER in text:
        return f"a process that reads images has ended, as when the machine lacks memory; {AGAIN}"
    if not isinstance(error, distributed.DistError) and "gloo" not in text and "NCCL" not in text:
        return ""
    if "timed out" in text.lower() or "timeout" in text.lower():
        return f"another rank has not answered for {rank_timeout().total_seconds():,.0f} s; {AGAIN}"
    return f"another rank has ended; {AGAIN}"
