"""The checks of ``study doctor``: devices, data sets, disk and W&B."""

from __future__ import annotations

import importlib.util
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch

from study.data.cifar10 import check_cifar10
from study.data.imagenet import folder
from study.machine.device import has_cuda
from study.recording.wandb import account
from study.spec import InputError

Health = Literal["sound", "absent", "unsound"]
RECORD_BYTES = 2**30  # free space below which runs will soon stop: the checkpoints of ResNet-152 take 0.9 GB


@dataclass(frozen=True)
class Check:
    """One thing that was checked: its name, how it is, and a sentence that says so with what to do."""

    subject: str
    health: Health
    report: str


def examine(data: Path, runs: Path) -> Iterator[Check]:
    """Check everything that a run may need."""
    yield from _checked("device", _device)
    yield Check("digits", "sound", "come with scikit-learn")
    yield from _cifar10(data)
    yield from _imagenet(data)
    yield _disk(runs)
    yield _wandb()


def _checked(subject: str, say: Callable[[], str]) -> Iterator[Check]:
    try:
        yield Check(subject, "sound", say())
    except InputError as error:
        yield Check(subject, "unsound", str(error))


def _device() -> str:
    if not has_cuda():
        return f"CPU only, {os.cpu_count()} cores: digits and the smoke and mini recipes are within reach"
    names = {torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())}
    return f"{torch.cuda.device_count()} x {', '.join(sorted(names))}, CUDA {torch.version.cuda}"


def _cifar10(data: Path) -> Iterator[Check]:
    if not (data / "cifar-10-batches-py").exists():
        yield Check("cifar10", "absent", f"not under {data}; run: python -m study prepare cifar10 --data={data}")
        return

    def check() -> str:
        check_cifar10(data)
        return f"whole under {data}, every file has its official MD5"

    yield from _checked("cifar10", check)


def _imagenet(data: Path) -> Iterator[Check]:
    root = folder.home(data)
    if not root.exists():
        yield Check("imagenet", "absent", f"not under {data}; put or link train and val into {root}")
        return
    subset = folder.declared_subset(data)
    found = list(folder.problems(data, subset))
    yield from (Check("imagenet", "unsound", problem) for problem in found)
    if found:
        return

    def check() -> str:
        images = folder.load(data)
        whole = "a declared subset" if images.subset else "whole"
        counts = f"{len(images.train):,} and {len(images.val):,} images, {len(images.classes):,} classes"
        return f"{whole} under {root}: {counts}"

    yield from _checked("imagenet", check)


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
