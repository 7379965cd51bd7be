"""A GPU's compiler accepts the kernels, without a GPU."""

from __future__ import annotations

import json

import pytest

from tests.support import run


@pytest.mark.process
def test_the_kernels_become_machine_code_and_their_registers_suffice() -> None:
    """For an H100 and an H200, compute capability 9.0, in tiles of 16 and of 64 channels."""
    pytest.importorskip("triton")
    done = run("tests.compile_kernels", "90", TRITON_INTERPRET="0")
    assert done.returncode == 0, done.stderr
    kernels = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(kernels) == 16 and all(kernel["bytes"] > 1000 for kernel in kernels)
    assert not [kernel for kernel in kernels if kernel["local"]]
