"""The fused kernels on a CPU, by Triton's interpreter: the same source, one program after the other, in numpy.

It shows what the kernels compute and that every row is computed once. It doesn't show what a GPU's compiler makes of
them (tests/compile_kernels.py shows that it accepts them), races between programs, or any time. Where there is a GPU,
it runs the kernels itself.
"""

from __future__ import annotations

import pytest
import torch

pytest.importorskip("triton", reason="needs the package triton, which torch brings along for CUDA")

from study.training.fused import network, norm

DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")

__all__ = ["DEVICE", "network", "norm"]
