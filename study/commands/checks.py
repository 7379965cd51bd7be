"""The checks of ``study doctor``: devices, data sets, disk and W&B."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import torch

from study.bench.choices import kept_choices
from study.data.datasets import DATA_SETS
from study.data.interface import Check, checked
from study.machine.compiler import cache_folder
from study.machine.device import has_cuda, has_native_bf16
from study.recording.wandb import account

NEEDED_BYTES = 2**30  # with less free space runs will soon stop: the checkpoints of ResNet-152 take 0.9 GB


def examine(data: Path, runs: Path) -> Iterator[Check]:
    """Check everything that a run may need."""
    yield checked("device", _device)
    yield _steps()
    for info in DATA_SETS:
        yield from info.check(data)
    yield _disk(runs)
    yield _wandb()


def _device() -> str:
    if not has_cuda():
        half = "computes bf16 itself" if has_native_bf16() else "has no bf16 instructions"
        return f"CPU only, {os.cpu_count()} cores, {half}; enough for digits and for the recipes smoke and mini"
    names = {torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())}
    return f"{torch.cuda.device_count()} x {', '.join(sorted(names))}, CUDA {torch.version.cuda}"


def _steps() -> Check:
    """What `--step=auto` has chosen for long runs on this machine."""
    folder = cache_folder() / "steps"
    chosen = [f"{one['for']['dataset']}-{one['for']['depth']} {one['chosen']}" for one in kept_choices()]
    if not chosen:
        return Check(
            "steps", "sound", f"--step=auto measures before the first long run, and keeps its choice in {folder}"
        )
    return Check("steps", "sound", f"--step=auto has chosen: {', '.join(chosen)}; to measure again, remove {folder}")


def _disk(runs: Path) -> Check:
    folder = _nearest(runs.absolute())
    if not folder.is_dir() or not os.access(folder, os.W_OK):
        return Check("runs", "unsound", f"{folder} is not a folder that can be written; give another with --runs=PATH")
    free = shutil.disk_usage(folder).free
    report = f"{free / 1e9:,.1f} GB free for {runs}"
    if free < NEEDED_BYTES:
        return Check("runs", "unsound", f"{report}; make room, or give another folder with --runs=PATH")
    return Check("runs", "sound", report)


def _nearest(path: Path) -> Path:
    """The path if it exists, else the nearest of its parents that does."""
    return next(folder for folder in (path, *path.parents) if folder.exists())


def _wandb() -> Check:
    if not account.has_client():
        return Check("wandb", "absent", "not installed; runs are recorded on disk all the same")
    mode = account.resolve_mode("auto")
    if account.preset_mode() == mode:
        says = "as WANDB_MODE says" if os.environ.get("WANDB_MODE") else f"as the command `wandb {mode}` has set"
        return Check("wandb", "sound", f"{mode}, {says}, at {account.address()}")
    if mode == "offline":
        login = "wandb login" if account.address() == account.PUBLIC else f"wandb login --host={account.address()}"
        return Check("wandb", "absent", f"no API key, so runs are logged offline; to log them online run: {login}")
    return Check("wandb", "sound", f"online at {account.address()}, with the API key that is configured")
