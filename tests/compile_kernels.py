"""Compile the fused kernels for GPUs that are not here, and say what they would take of them.

    python -m tests.compile_kernels 80 90 100

Triton brings the assembler along, so no driver is needed. Prints a JSON object per kernel, precision and compute
capability: bytes of machine code, and bytes of local memory per thread, which are registers that did not fit.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

from study.training.fused import kernels
from study.training.fused.norm import ELEMENTS, LAUNCH, PROGRAMS

NAMES = ("moments", "normalise", "reduce_gradients", "give_gradients")
TENSORS = ("x", "shortcut", "out", "gradient", "second", "to_x", "to_shortcut")  # in the precision of the step
KINDS = dict.fromkeys(TENSORS, "")
KINDS |= dict.fromkeys(("rows", "channels", "chunk", "programs"), "i32") | dict.fromkeys(("momentum", "eps"), "fp32")
CONSTANTS = {"HAS_SHORTCUT": True, "HAS_SECOND": True, "RECTIFIES": True, "PROGRAMS": PROGRAMS}


def compiled(name: str, precision: str, capability: int, width: int) -> dict[str, Any]:
    """One kernel for a GPU."""
    kernel = getattr(kernels, name)
    constants = {key: value for key, value in _constants(width).items() if key in kernel.arg_names}
    kinds = {key: KINDS.get(key, "*fp32") or f"*{precision}" for key in kernel.arg_names}
    places = {(kernel.arg_names.index(key),): value for key, value in constants.items()}
    source = ASTSource(kernel, kinds | dict.fromkeys(constants, "constexpr"), constexprs=places)
    binary = triton.compile(source, target=GPUTarget("cuda", capability, 32), options=LAUNCH).asm["cubin"]
    found = {"kernel": name, "precision": precision, "capability": capability, "width": width, "bytes": len(binary)}
    return found | {"local": _local(binary)}


def _constants(width: int) -> dict[str, Any]:
    return CONSTANTS | {"WIDTH": width, "TILE": ELEMENTS // width}


def _local(binary: bytes) -> int:
    """Bytes of stack and of local memory per thread, by NVIDIA's own reader of machine code."""
    tool = Path(triton.__file__).parent / "backends" / "nvidia" / "bin" / "cuobjdump"
    with TemporaryDirectory() as folder:
        path = Path(folder) / "kernel.cubin"
        path.write_bytes(binary)
        said = subprocess.run([tool, "--dump-resource-usage", path], check=True, capture_output=True, text=True).stdout
    return sum(int(size) for size in re.findall(r"(?:STACK|LOCAL):(\d+)", said))


if __name__ == "__main__":
    for chosen in map(int, sys.argv[1:]):
        for precision in ("bf16", "fp32"):
            for name in NAMES:
                for width in (16, 64):
                    print(json.dumps(compiled(name, precision, chosen, width)))
