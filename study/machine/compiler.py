"""torch's compiler for processors (Inductor): whether it works here, and where it keeps what it compiled."""

from __future__ import annotations

import logging
import os
import shutil
import sys
from functools import cache
from pathlib import Path

import torch

FOLDER = "TORCHINDUCTOR_CACHE_DIR"  # torch's own variable
THREADS = "TORCHINDUCTOR_COMPILE_THREADS"  # torch's own variable
PROGRAM = "resnet-study"


def cache_folder() -> Path:
    """The folder of what this machine's user need not compute twice: compiled code, choices of `--step=auto`."""
    from platformdirs import user_cache_path

    return user_cache_path(PROGRAM)


def prepare_compiler() -> None:
    """Keep compiled code on disk, and compile in this process with as many threads as it computes with.

    The variables of torch, where they are set, decide instead.
    """
    os.environ.setdefault(FOLDER, str(cache_folder() / "compiled"))
    logging.getLogger("torch.utils.cpp_extension").setLevel(logging.ERROR)  # it misses CUDA, which is not needed
    from torch._inductor import config

    if THREADS not in os.environ:
        config.compile_threads = min(torch.get_num_threads(), os.cpu_count() or 1)


def has_compiler() -> bool:
    """Whether the C++ compiler that torch would call is installed; `compiler_problem` finds out whether it works."""
    return shutil.which(_program()) is not None


def _program() -> str:
    return os.environ.get("CXX") or ("clang++" if sys.platform == "darwin" else "g++")


@cache
def compiler_problem() -> str | None:
    """Why nothing can be compiled for the processor here, in a few words; None if a small function was."""
    if not has_compiler():
        return f"there is no C++ compiler {_program()}"
    prepare_compiler()
    if " " in os.environ[FOLDER]:
        return f"torch cannot compile in {os.environ[FOLDER]!r}, whose name has a space; set {FOLDER}"
    try:
        torch.compile(_double, dynamic=False)(torch.zeros(64))
    except Exception as error:  # whatever the compiler, its headers or the disk lack
        return f"{_program()} failed: {_first_line(error)}"
    return None


def _double(x: torch.Tensor) -> torch.Tensor:
    return 2 * x


def _first_line(error: Exception) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
