"""What tests share: the folders, the cell that most of them train, and how processes are run and waited for."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import torch

from study.recording.record import Record
from study.spec import InputError, Spec

ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "reports" / "results"
SNAPSHOT = ROOT / "tests" / "fixtures" / "snapshot"  # of made-up runs: every network of the paper, five seeds
# One thread, as in the subprocesses: sums come in the same order everywhere, so that equal means equal to the bit.
ENVIRONMENT = {"OMP_NUM_THREADS": "1", "WANDB_MODE": "disabled"}
torch.set_num_threads(1)
if not torch.cuda.is_available():
    os.environ["TRITON_INTERPRET"] = "1"  # Triton reads it when it is imported: its kernels then run on a CPU


class Current:
    """The test that runs now, None between tests."""

    test: pytest.Item | None = None


current = Current()

# What names the data for the tests must not be an option's default in what they test; their own workers still see it.
for variable in ("STUDY_DATA", "STUDY_SAMPLE"):
    if variable in os.environ:
        os.environ[f"TESTS_{variable}"] = os.environ.pop(variable)
BESIDE = ROOT.parent / "shared" / "data"  # where real images are looked for unless a variable names a folder
UNPACK = BESIDE / "cifar10" / "unpack.py"  # writes the official CIFAR-10 into a folder


def official_cifar10() -> Path | None:
    """The folder or the script that holds the official CIFAR-10; STUDY_DATA, where it is set, is the only place."""
    data = Path(os.environ.get("TESTS_STUDY_DATA", ROOT / "data")).absolute()
    if (data / "cifar-10-batches-py" / "batches.meta").exists():
        return data
    return UNPACK if UNPACK.exists() and "TESTS_STUDY_DATA" not in os.environ else None


def real_photographs() -> list[Path]:
    """200 of ImageNet's own files, each named by its class: in STUDY_SAMPLE, else beside the repository."""
    return sorted(Path(os.environ.get("TESTS_STUDY_SAMPLE", BESIDE / "imagenet-sample")).glob("*.JPEG"))


def every(files: list[Path], count: int) -> list[Path]:
    """So many of the files that hold a whole image, evenly spaced."""
    whole = [file for file in files if not is_cut_off(file)]
    return whole[:: max(1, len(whole) // count)]


def is_cut_off(file: Path) -> bool:
    """Whether a JPEG lacks its end marker."""
    return not file.read_bytes().endswith(b"\xff\xd9")


def arrange(files: list[Path], root: Path, classes: int = 20, val: int = 1) -> None:
    """Link images as ImageNet's layout, in equal classes, the first `val` images of each to test on."""
    each = len(files) // classes
    for i in range(classes):
        wnid = files[i * each].name.split("_")[0]
        for j, file in enumerate(files[i * each : (i + 1) * each]):
            folder = root / ("val" if j < val else "train") / wnid
            folder.mkdir(parents=True, exist_ok=True)
            (folder / file.name).symlink_to(file.resolve())


def refusal(program: Callable[[list[str]], int], *arguments: str) -> str:
    """What a program says of a command line that it refuses, called in this process; it must be one line."""
    with pytest.raises(InputError) as refused:
        program(list(arguments))
    message = str(refused.value)
    assert message and "\n" not in message
    return message


def command(*arguments: str) -> list[str]:
    """``python -m ...``; only tests marked as `process` start it."""
    assert current.test is None or current.test.get_closest_marker("process"), "mark this test: @pytest.mark.process"
    return [sys.executable, "-m", *arguments]


def run(*arguments: str, timeout: float = 900, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run ``python -m ...`` to its end."""
    variables = os.environ | ENVIRONMENT | environment
    return subprocess.run(command(*arguments), env=variables, cwd=ROOT, capture_output=True, text=True, timeout=timeout)


SPEC = Spec("digits", 8, "A", "smoke", 3)
CELL = ("--dataset=digits", "--depth=8", "--shortcut=A", "--recipe=smoke", "--seed=3")
TIMED = ("images_per_second", "hours", "data_wait_ms")
Start = Callable[..., subprocess.Popen[str]]


def train(runs: Path, *more: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return run("study", "train", *CELL, f"--runs={runs}", *more, **environment)


TINY_SWEEP = """
method: grid
parameters:
  dataset: {value: digits}
  depth: {values: [8]}
  shortcut: {values: [none, A, B]}
"""


def write_sweep(folder: Path, text: str) -> Path:
    """A sweep file of that text."""
    path = folder / "sweep.yaml"
    path.write_text(text)
    return path


def values(record: Record) -> list[dict[str, Any]]:
    """The history without what a clock measured, as its raw lines have it."""
    lines = (record.folder / "metrics.jsonl").read_text().splitlines()
    return [{k: v for k, v in json.loads(line).items() if k not in TIMED} for line in lines]


def wait_for(condition: Callable[[], bool], seconds: float = 120, pause: float = 0.01) -> None:
    """Wait until the condition holds."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"still waiting after {seconds} s"
        if pause:
            time.sleep(pause)


def children(parent: int, name: str = "") -> list[int]:
    """The processes of that name, or of any, which a process started."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):  # it ended meanwhile
            pid, called, _, started_by = path.read_text().split()[:4]
            if started_by == str(parent) and name in ("", called.strip("()")):
                found.append(int(pid))
    return found


def has_stopped(pid: int) -> bool:
    """Whether a process was stopped by SIGSTOP and waits."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"
    except OSError:  # it ended meanwhile
        return False
