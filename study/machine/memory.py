"""Memory of the host: large pages, and memory that is kept instead of given back to the system after every step.

A step allocates and frees hundreds of megabytes of activations. By default the C library returns them to the system,
which hands out empty pages of 4 KB again at the next step. Only glibc on Linux has these settings. Imports no torch.
"""

from __future__ import annotations

import ctypes
import os
import platform
import sys
from collections.abc import Iterator
from contextlib import contextmanager

KEPT = 2**31 - 1  # bytes of free memory at the top of the heap that are not returned: the largest value there is
LARGEST_ON_HEAP = 32 * 2**20  # bytes; larger blocks have a mapping of their own, and glibc allows no higher limit
PADDING = 64 * 2**20  # bytes by which the heap grows
MALLOPT = {-1: KEPT, -2: PADDING, -3: LARGEST_ON_HEAP}  # M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_THRESHOLD of <malloc.h>
TORCH = "THP_MEM_ALLOC_ENABLE"  # torch then asks for pages of 2 MB for every tensor that fills one
GLIBC = "GLIBC_TUNABLES"


def has_glibc() -> bool:
    """Whether this is Linux with the GNU C library."""
    return sys.platform == "linux" and platform.libc_ver()[0] == "glibc"


def keep_memory() -> None:
    """Make this process keep its memory, in large pages where it can; call it before torch is imported.

    Variables of torch and of glibc that are set decide instead.
    """
    if not has_glibc():
        return
    os.environ.setdefault(TORCH, "1")
    if GLIBC not in os.environ:
        mallopt = ctypes.CDLL(None).mallopt
        for parameter, value in MALLOPT.items():
            mallopt(parameter, value)


@contextmanager
def default_memory() -> Iterator[None]:
    """Start processes inside that have torch's own setting; those of the C library are not inherited."""
    setting = os.environ.pop(TORCH, None)
    try:
        yield
    finally:
        if setting is not None:
            os.environ[TORCH] = setting
