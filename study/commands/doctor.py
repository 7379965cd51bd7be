"""``study doctor``: what this machine can run, what is missing or unsound, and what to do about it."""

from __future__ import annotations

import importlib.util
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from rich.console import Console
from rich.markup import escape

from study.data import images as datasets
from study.data.imagenet import folder
from study.machine.device import has_cuda
from study.recording.wandb import account
from study.spec import InputError

Health = Literal["sound", "absent", "unsound"]
STYLE = {"sound": "green", "absent": "yellow", "unsound": "red"}
RECORD_BYTES = 2**30  # free space below which runs will soon stop: the checkpoints of ResNet-152 take 0.9 GB


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at."""

    what: str
    health: Health
    said: str


def examine(data: Path, runs: Path) -> Iterator[Finding]:
    """Look at everything that a cell may need."""
    yield from _checked("device", _device)
    yield Finding("digits", "sound", "come with scikit-learn")
    yield from _cifar10(data)
    yield from _imagenet(data)
    yield _disk(runs)
    yield _wandb()


def _checked(what: str, say: Callable[[], str]) -> Iterator[Finding]:
    try:
        yield Finding(what, "sound", say())
    except InputError as error:
        yield Finding(what, "unsound", str(error))


def _device() -> str:
    if not has_cuda():
        return f"CPU only, {os.cpu_count()} cores: digits and the smoke and mini recipes are within reach"
    names = {torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())}
    return f"{torch.cuda.device_count()} x {', '.join(sorted(names))}, CUDA {torch.version.cuda}"


def _cifar10(data: Path) -> Iterator[Finding]:
    if not (data / "cifar-10-batches-py").exists():
        yield Finding("cifar10", "absent", f"not under {data}; run: python -m study prepare cifar10 --data={data}")
        return

    def check() -> str:
        datasets.check_cifar10(data)
        return f"whole under {data}, every file has its official MD5"

    yield from _checked("cifar10", check)


def _imagenet(data: Path) -> Iterator[Finding]:
    root = folder.home(data)
    if not root.exists():
        yield Finding("imagenet", "absent", f"not under {data}; put or link train and val into {root}")
        return
    subset = folder.declared_subset(data)
    found = list(folder.problems(data, subset))
    yield from (Finding("imagenet", "unsound", problem) for problem in found)
    if found:
        return

    def check() -> str:
        images = folder.load(data)
        whole = "a declared subset" if images.subset else "whole"
        counts = f"{len(images.train):,} and {len(images.val):,} images, {len(images.classes):,} classes"
        return f"{whole} under {root}: {counts}"

    yield from _checked("imagenet", check)


def _disk(runs: Path) -> Finding:
    there = next(folder for folder in (runs.absolute(), *runs.absolute().parents) if folder.exists())
    if not os.access(there, os.W_OK):
        return Finding("runs", "unsound", f"{there} cannot be written; give another folder with --runs=PATH")
    free = shutil.disk_usage(there).free
    said = f"{free / 1e9:,.1f} GB free for {runs}"
    return Finding("runs", "sound", said) if free > RECORD_BYTES else Finding("runs", "unsound", f"{said}; make room")


def _wandb() -> Finding:
    if importlib.util.find_spec("wandb") is None:
        return Finding("wandb", "absent", "the package is not installed; runs are recorded on disk all the same")
    mode = account.mode("auto")
    if mode == "offline":
        return Finding("wandb", "absent", "no API key: runs are logged offline; to see them online run: wandb login")
    return Finding("wandb", "sound", f"{mode}, by WANDB_MODE or the API key that is configured")


def doctor(data: Path, runs: Path) -> int:
    """Print all findings; returns 0 when what is there is sound, else 2."""
    findings = list(examine(data, runs))
    console = Console(highlight=False)
    for finding in findings:
        mark = f"[{STYLE[finding.health]}]{finding.health:8}[/]"
        console.print(f"{finding.what:9} {mark} {escape(finding.said)}", soft_wrap=True)
    return 2 if any(finding.health == "unsound" for finding in findings) else 0
