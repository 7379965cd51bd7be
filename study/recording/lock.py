"""One trainer for a run: on this host by a lock of the kernel, between hosts that share a folder by a heartbeat."""

from __future__ import annotations

import os
import socket
import sys
import time
from contextlib import suppress
from pathlib import Path

from filelock import FileLock, SoftFileLease, Timeout

FILES = {".lock", ".lease"}
MOMENT = 1.0  # seconds; `RunLock.holder` of another process takes the lock for a moment
GLANCE = 0.2  # seconds that it waits itself, so that two who look at once do not take each other for a trainer
LEASE = 60.0  # seconds without a heartbeat after which a process on another host counts as dead


class Taken(Exception):
    """Another process holds the lock; the text says which."""


class Lost(OSError):
    """The folder of a run was removed while it was trained, or another process has taken the run over."""


class RunLock:
    """The lock of a run's folder.

    The kernel releases its own lock when a process dies, however it dies. It may not reach other hosts that share the
    folder, so a second file names host and process and is touched three times in each `LEASE`. A process that is gone
    from this host is recognised at once, one on another host when its heartbeat has been missing for a whole `LEASE`.

    Args:
        folder: The run's folder, which need not exist yet.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / ".lock"
        self._local = FileLock(self._path, thread_local=False)
        self._lease = SoftFileLease(folder / ".lease", lease_duration=LEASE, thread_local=False)
        self._inode = 0

    def acquire(self) -> None:
        """Take the lock, unless it is held; if another host may hold it, after waiting for its next heartbeat.

        Raises:
            Taken: Another process holds it.
            OSError: The folder cannot be written.
        """
        if self._local.is_locked:
            return
        try:
            self._take()
            if elsewhere := self._holder_elsewhere():
                print(f"study: {elsewhere} may hold {self._path.parent}; waiting for its heartbeat", file=sys.stderr)
            self._lease.acquire(timeout=LEASE + MOMENT)
        except Timeout:
            self.release()
            raise Taken(self.holder() or "another process") from None
        self._inode = self._path.stat().st_ino

    def _take(self) -> None:
        """Take the kernel's lock. A process that could not start may remove the folder meanwhile: it is made again."""
        until = time.monotonic() + MOMENT
        while not self._local.is_locked:
            try:
                self._local.acquire(timeout=MOMENT)
            except FileNotFoundError:
                if time.monotonic() > until:
                    raise

    def check(self) -> None:
        """Make sure that a folder that was locked is still there, and still this process's.

        Raises:
            Lost: It is not.
        """
        if not self._inode:
            return
        try:
            is_there = os.stat(self._path).st_ino == self._inode
        except FileNotFoundError:
            is_there = False
        if self._lease.compromise is not None or not is_there:
            raise Lost(f"{self._path.parent} was removed, or taken over by another process")

    def remove(self) -> None:
        """Give the lock back, if it is held, and remove its files."""
        if not self._local.is_locked:
            return
        self._lease.release()
        with suppress(OSError):
            self._path.unlink()  # while it is held: a process that waits for it makes another
        self._local.release()

    def release(self) -> None:
        """Give the lock back, if it is held."""
        self._lease.release()
        self._local.release()

    def holder(self) -> str | None:
        """The process that holds the lock, in words; None if there is none, or the folder cannot be written."""
        owner = self._lease.owner
        try:
            with FileLock(self._path, timeout=GLANCE):
                return self._holder_elsewhere()
        except Timeout:
            return f"process {owner.pid} on {owner.hostname}" if owner else "another process"
        except OSError:  # a read-only folder, as on a colleague's disk
            return None

    def _holder_elsewhere(self) -> str | None:
        """The process of another host whose heartbeat was heard lately, by the clocks of both; None without one."""
        owner = self._lease.owner
        if owner is None or owner.hostname.partition("?")[0] == socket.gethostname():
            return None
        with suppress(FileNotFoundError):
            if time.time() - os.stat(self._lease.lock_file).st_mtime < LEASE:
                return f"process {owner.pid} on {owner.hostname}"
        return None
