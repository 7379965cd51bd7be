"""Reading ahead: worker processes read the next batches from disk while the device computes."""

from __future__ import annotations

import atexit
import os
import signal
from collections.abc import Iterator, Sequence
from time import perf_counter
from typing import Any
from weakref import WeakSet

from torch.utils.data import DataLoader, Dataset

from study.data.imagenet.readers import Batch

AHEAD = 4  # batches that each worker keeps ready
MOST_WORKERS = 16  # for one device


class ReadAhead:
    """Reads batches in the order in which they will be needed.

    Attributes:
        workers: Number of worker processes; 0 reads in this process.
        pin: Whether batches are put into pinned memory, from which copies to a GPU are faster.
        waited: Seconds spent waiting for batches.
    """

    def __init__(self, workers: int, pin: bool) -> None:
        self.workers, self.pin = workers, pin
        self.waited = 0.0
        self._reader: Dataset[Batch] | None = None
        self._coming: Sequence[Any] = ()
        self._batches: Iterator[Batch] | None = None
        _READERS.add(self)

    def get(self, reader: Dataset[Batch], key: Any, coming: Sequence[Any]) -> Batch:
        """Return one batch and have the next ones read.

        Args:
            reader: Reads the batch of a key.
            key: Of the batch to return.
            coming: The keys that will be needed, in order, `key` first.
        """
        since = perf_counter()
        if self._batches is None or reader != self._reader or self._coming[0] != key:
            self.close()
            self._reader, self._coming = reader, coming
            self._batches = iter(self._loader(reader, coming))
        batch = next(self._batches)
        self._coming = self._coming[1:]
        if not self._coming:
            self.close()
        self.waited += perf_counter() - since
        return batch

    def close(self) -> None:
        """End the worker processes; the next `get` starts others."""
        self._batches = None

    def _loader(self, reader: Dataset[Batch], keys: Sequence[Any]) -> DataLoader[Batch]:
        return DataLoader(
            reader,
            batch_size=None,
            sampler=keys,
            num_workers=self.workers,
            prefetch_factor=AHEAD if self.workers else None,
            pin_memory=self.pin,
            worker_init_fn=_ignore_signals,
        )


_READERS: WeakSet[ReadAhead] = WeakSet()


@atexit.register
def _end_workers() -> None:
    """End all workers before multiprocessing waits for them at exit, for ever, as they ignore its SIGTERM."""
    for reader in list(_READERS):
        reader.close()


def _ignore_signals(_: int) -> None:
    """Leave a signal to the whole process group to the trainer, which writes a checkpoint and then ends its workers."""
    for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1, signal.SIGHUP):
        signal.signal(signum, signal.SIG_IGN)


def worker_count(devices: int) -> int:
    """Choose the number of worker processes for each device of this machine: its share of the cores but one."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(MOST_WORKERS, max(1, cores // devices - 1))
