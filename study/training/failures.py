"""What a machine does to a run: a disk that is full, too little memory, a rank that is gone; each becomes one line."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import distributed

from study.machine.options import MachineOptions
from study.recording.lock import Lost
from study.recording.record import Record
from study.spec import MachineError
from study.training.ranks import rank_timeout

DISK = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO, errno.ESTALE, errno.ENOENT, errno.EACCES}
AGAIN = "give the same command again: it goes on from the last checkpoint"
NO_MEMORY = "can't allocate memory"  # how torch says it on a CPU, in a plain RuntimeError


@contextmanager
def machine_errors(record: Record, machine: MachineOptions) -> Iterator[None]:
    """Turn what the machine did to a run into a MachineError; any other exception passes.

    Args:
        record: The run.
        machine: Where and how it is trained.
    """
    try:
        yield
    except Lost as error:
        raise MachineError(f"{record.spec.name}: {error}; nothing more is recorded by this process") from None
    except OSError as error:
        if error.errno not in DISK:
            raise
        what = f"{error.filename or record.folder}: {error.strerror}"
        raise MachineError(f"{record.spec.name}: {what}; make room or mend it, and {AGAIN}") from None
    except (MemoryError, torch.OutOfMemoryError):
        raise _no_memory(record, machine) from None
    except RuntimeError as error:
        if NO_MEMORY in str(error):
            raise _no_memory(record, machine) from None
        if is_of_ranks(error):
            raise MachineError(f"{record.spec.name}: {_lost_rank(error)}; {AGAIN}") from None
        raise


def is_of_ranks(error: RuntimeError) -> bool:
    """Whether an exception says that the connection between ranks broke, or that one did not answer in time."""
    return isinstance(error, distributed.DistError) or any(word in str(error) for word in ("gloo", "NCCL"))


def _lost_rank(error: RuntimeError) -> str:
    if "timed out" in str(error).lower() or "timeout" in str(error).lower():
        return f"another rank has not answered for {rank_timeout().total_seconds():,.0f} s"
    return "another rank has ended"


def _no_memory(record: Record, machine: MachineOptions) -> MachineError:
    """What would make the run fit."""
    ways = {
        "--precision=bf16": machine.precision != "bf16",
        "--checkpoint-every=10": machine.checkpoint_every == 0,
        f"--devices={2 * machine.devices}": True,
    }
    offered = ", ".join(way for way, is_new in ways.items() if is_new)
    return MachineError(f"{record.spec.name} does not fit into the memory; give it less to hold: {offered}")
