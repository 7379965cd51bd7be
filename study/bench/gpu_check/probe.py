"""What a check looks at itself, each in a process of its own; results as JSON lines on standard output.

python -m study.bench.gpu_check.probe versions
python -m study.bench.gpu_check.probe data --data=data
python -m study.bench.gpu_check.probe losses --dataset=cifar10 --step=graph --precision=32 --steps=20
python -m study.bench.gpu_check.probe profile --dataset=cifar10 --step=graph --precision=tf32
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
from pathlib import Path

import torch

from study.bench.gpu_check.losses import losses, profile
from study.data.datasets import dataset_info
from study.machine.device import DRIVER, has_cuda
from study.machine.options import MachineOptions
from study.machine.resolve import step_mode
from study.recording.bench_lines import say
from study.recording.version import commit, is_modified, release
from study.spec import InputError, Spec
from study.training.train import quiet

PACKAGES = ("torch", "torchvision", "pytorch-lightning", "numpy", "triton")
ABSENT = 3  # exit status: the data are not there


def versions(_: argparse.Namespace) -> int:
    """Say what is installed, which device there is, and which batch norm torch takes on it."""
    packages = {name: release(name) for name in PACKAGES}
    say("versions", python=platform.python_version(), **packages, commit=commit(), modified=is_modified())
    driver = DRIVER.read_text().splitlines()[0] if DRIVER.exists() else None
    say("device", name=_device_name(), driver=driver, cuda=torch.version.cuda, cores=os.cpu_count(), **_gpu())
    for dtype in (torch.float32, torch.bfloat16, torch.float16):
        say("batch_norm", precision=str(dtype).removeprefix("torch."), backend=_batch_norm(dtype))
    return 0


def _device_name() -> str:
    return torch.cuda.get_device_name() if has_cuda() else "no GPU"


def _gpu() -> dict[str, object]:
    if not has_cuda():
        return {}
    free, total = torch.cuda.mem_get_info()
    return {
        "gpus": torch.cuda.device_count(),
        "capability": ".".join(map(str, torch.cuda.get_device_capability())),
        "memory_gb": total / 1e9,
        "free_gb": free / 1e9,
        "cudnn": torch.backends.cudnn.version(),  # type: ignore[no-untyped-call]
    }


def _batch_norm(dtype: torch.dtype) -> str:
    """The library that computes batch norm in training, channels last; torch's own function says it."""
    select = getattr(torch._C, "_select_batch_norm_backend", None)
    if select is None:
        return "unknown to this torch"
    device = "cuda" if has_cuda() else "cpu"
    images = torch.zeros(4, 16, 8, 8, device=device, dtype=dtype).to(memory_format=torch.channels_last)
    weight = torch.ones(16, device=device)
    return str(select(images, weight, weight, weight, weight, True, 1e-5)).rpartition(".")[2]


def data(options: argparse.Namespace) -> int:
    """Check the files of CIFAR-10; the exit status is 0, 1 if one is broken, or 3 if one is missing."""
    folder = options.data / "cifar-10-batches-py"
    names = [*(f"data_batch_{number}" for number in range(1, 6)), "test_batch", "batches.meta"]
    missing = [name for name in names if not (folder / name).exists()]
    (check,) = dataset_info("cifar10").check(options.data)
    say("data", health=check.health, report=check.report, missing=missing)
    if missing:
        return ABSENT
    return 0 if check.health == "sound" else 1


def show_losses(options: argparse.Namespace) -> int:
    """Print the training loss of each of the first steps of a cell, and how its steps were taken."""
    machine = _machine(options)
    mode = step_mode(machine, in_memory=True)
    found = losses(_cell(options), machine, mode, options.steps)
    line = {"dataset": options.dataset, "depth": options.depth, "step_path": mode, "device": _device_name()}
    print(json.dumps({"what": "losses", **line, "losses": found}))  # to all digits, which `say` would cut off
    return 0


def show_profile(options: argparse.Namespace) -> int:
    """Print which operations take the device's time during some steps."""
    machine = _machine(options)
    for line in profile(_cell(options), machine, step_mode(machine, in_memory=True), options.steps):
        say("operation", **line)
    return 0


def _cell(options: argparse.Namespace) -> Spec:
    return Spec(options.dataset, options.depth, "A", "mini")


def _machine(options: argparse.Namespace) -> MachineOptions:
    return MachineOptions(step=options.step, precision=options.precision, data=options.data)


VERBS = {"versions": versions, "data": data, "losses": show_losses, "profile": show_profile}


def parser() -> argparse.ArgumentParser:
    """The parser of the command line above."""
    parser = argparse.ArgumentParser(prog="study.bench.gpu_check.probe")
    parser.add_argument("verb", choices=VERBS)
    parser.add_argument("--dataset", default="digits")
    parser.add_argument("--depth", default=20, type=int)
    parser.add_argument("--steps", default=20, type=int)
    parser.add_argument("--step", default="plain")
    parser.add_argument("--precision", default="32")
    parser.add_argument("--data", default=Path("data"), type=Path)
    return parser


def main() -> int:
    """Run this process's own arguments and return the exit status; 2 for what cannot be done here."""
    options = parser().parse_args()
    quiet()
    try:
        return VERBS[options.verb](options)
    except InputError as error:
        print(f"study: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
