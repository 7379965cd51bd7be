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
    from torch._inductor import config
    from torch._inductor.runtime.cache_dir_utils import default_cache_dir

    if os.environ.get(FOLDER, default_cache_dir()) == default_cache_dir():  # torch sets it where nobody has
        os.environ[FOLDER] = str(cache_folder() / "compiled")
    logging.getLogger("torch.utils.cpp_extension").setLevel(logging.ERROR)  # it misses CUDA, which is not needed

    if THREADS not in os.environ:
        config.compile_threads = min(torch.get_num_threads(), os.cpu_count() or 1)


def is_of_compiler(error: Exception) -> bool:
    """Whether torch raised an error because it could not compile something, or not load what it once compiled."""
    from torch._dynamo.exc import BackendCompilerFailed

    return isinstance(error, BackendCompilerFailed) or _unloaded(error) is not None


def forget_half(error: Exception) -> bool:
    """Remove the library that could not be loaded, if that is the error, and say whether one was removed.

    A compiler that is killed leaves half a library, which torch takes for a whole one ever after.
    """
    library = _unloaded(error)
    if library:
        library.unlink(missing_ok=True)
    return library is not None


def _unloaded(error: Exception) -> Path | None:
    """The compiled library that an error is about: an ImportError, or one inside torch's own."""
    cause = getattr(error, "inner_exception", error)
    path = cause.path if isinstance(cause, ImportError) else None
    return Path(path) if path and Path(path).is_relative_to(os.environ.get(FOLDER, "/nowhere")) else None


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
    error = _try_to_compile()
    if error and forget_half(error):
        torch._dynamo.reset()  # it remembers what failed
        error = _try_to_compile()
    return f"{_program()} failed: {first_line(error)}" if error else None


def _try_to_compile() -> Exception | None:
    try:
        torch.compile(_double, dynamic=False)(torch.zeros(64))
    except Exception as error:  # whatever the compiler, its headers or the disk lack
        return error
    return None


def _double(x: torch.Tensor) -> torch.Tensor:
    return 2 * x


def first_line(error: Exception) -> str:
    """The first line of an error that says what happened, or else its type."""
    lines = (line.strip() for line in str(error).splitlines())
    return next((line for line in lines if line and not line.endswith("raised:")), type(error).__name__)
