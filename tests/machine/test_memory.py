from __future__ import annotations

import os
import subprocess
import sys

import pytest

from study.machine.memory import GLIBC, TORCH, has_glibc
from tests.support import ROOT

glibc = pytest.mark.skipif(not has_glibc(), reason="needs glibc")

# Ten times what a step does: take eight blocks of 16 MB, use every page, give them back.
WORK = """
import ctypes, resource, sys
exec(sys.argv[1])
c = ctypes.CDLL(None)
c.malloc.restype, c.malloc.argtypes, c.free.argtypes = ctypes.c_void_p, [ctypes.c_size_t], [ctypes.c_void_p]
def step():
    blocks = [c.malloc(2**24) for _ in range(8)]
    for block in blocks:
        ctypes.memset(block, 1, 2**24)
    for block in reversed(blocks):
        c.free(block)
for _ in range(3):
    step()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(10):
    step()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""
TUNED = "from study.machine.memory import keep_memory; keep_memory()"


def faults(first: str, **variables: str) -> int:
    """Page faults of that work in a process of its own."""
    environment = {name: value for name, value in os.environ.items() if name not in (GLIBC, TORCH)} | variables
    done = subprocess.run(
        [sys.executable, "-c", WORK, first], cwd=ROOT, env=environment, capture_output=True, text=True
    )
    return int(done.stdout)


@glibc
@pytest.mark.process
def test_memory_is_kept_from_step_to_step() -> None:
    pages = 10 * 8 * 2**24 // 2**12
    assert faults("pass") > pages / 10, "glibc by itself gives it back"
    assert faults(TUNED) < pages / 100
    assert faults(TUNED, **{GLIBC: "glibc.malloc.trim_threshold=0"}) > pages / 10, "what the user has set decides"
