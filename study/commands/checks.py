"""The checks of ``study doctor``: devices, data sets, disk and W&B."""

from __future__ import annotations

import importlib.util
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import torch

from study.data.datasets import DATA_SETS
from study.data.interface import Check, checked
from study.machine.device import has_cuda
from study.recording.wandb import account

RECORD_BYTES = 2**30  # free space below which runs will soon stop: the checkpoints of ResNet-152 take 0.9 GB


def examine(data: Path, runs: Path) -> Iterator[Check]:
    """Check everything that a run may need."""
    yield checked("device", _device)
    for info in DATA_SETS:
        yield from info.check(data)
    yield _disk(runs)
    yield _wandb()


def _device() -> str:
    if not has_cuda():
        return f"CPU only, {os.cpu_count()} cores: digits and the smoke and mini recipes are within reach"
    names = {torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())}
    return f"{torch.cuda.device_count()} x {', '.join(sorted(names))}, CUDA {torch.version.cuda}"


def _disk(runs: Path) -> Check:
    there = next(folder for folder in (runs.absolute(), *runs.absolute().parents) if folder.exists())
    if not os.access(there, os.W_OK):
        return Check("runs", "unsound", f"{there} cannot be written; give another folder with --runs=PATH")
    free = shutil.disk_usage(there).free
    said = f"{free / 1e9:,.1f} GB free for {runs}"
    return Check("runs", "sound", said) if free > RECORD_BYTES else Check("runs", "unsound", f"{said}; make room")


def _wandb() -> Check:
    if importlib.util.find_spec("wandb") is None:
        return Check("wandb", "absent", "the package is not installed; runs are recorded on disk all the same")
    mode = account.resolve_mode("auto")
    if mode == "offline":
        return Check("wandb", "absent", "no API key: runs are logged offline; to see them online run: wandb login")
    return Check("wandb", "sound", f"{mode}, by WANDB_MODE or the API key that is configured")
