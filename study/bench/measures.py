"""What the bench measures besides steps: the loop's own time, evaluation and start-up."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter, process_time, sleep

import torch
from torch import Tensor, nn

from study.bench.arms import Arm, Bare, Contender, Ours
from study.data.datasets import load_in_memory
from study.data.interface import Batches
from study.machine.options import MachineOptions, StepMode
from study.recording.bench_lines import Line
from study.recording.record import Record
from study.spec import Spec
from study.training.step import STEPS_PER_CALL


class Nothing(nn.Module):
    """A network that computes nothing, so that a step takes the time of the loop around it."""

    def __init__(self) -> None:
        super().__init__()
        self.scores = nn.Parameter(torch.zeros(1, 10))

    def forward(self, images: Tensor) -> Tensor:
        """Images (B, C, H, W) -> logits (B, 10), equal for all images."""
        return self.scores.expand(len(images), 10)


def overhead(rounds: int = 15, steps: int = 400) -> Line:
    """Measure the milliseconds per step that Lightning and our bookkeeping add to a bare loop.

    The network computes nothing. Processor time is measured, not wall time, since other processes on the machine would
    disturb so small a time too much.
    """
    contender = Contender(
        Spec("digits", 8, "A"), load_in_memory("digits", Path()), MachineOptions(), Nothing, process_time
    )
    step_mode: StepMode = "graph" if contender.device.type == "cuda" else "plain"
    arms: dict[str, Arm] = {
        "at_once": Ours(contender, step_mode),
        "one_by_one": Ours(contender, "plain", steps_per_call=1),
        "bare": Bare(contender),
    }
    turns = [{name: 1e3 * arm.turn(steps) / steps for name, arm in arms.items()} for _ in range(rounds)]
    added = {name: median(turn[name] - turn["bare"] for turn in turns) for name in ("at_once", "one_by_one")}
    return {"bare_ms": median(turn["bare"] for turn in turns), "added_ms": added, "steps_at_once": STEPS_PER_CALL}


def evaluation(contender: Contender, source: Batches) -> Line:
    """Measure the test images per second on one batch of `source`, after one uncounted batch."""
    net = contender.net().to(memory_format=torch.channels_last).eval()
    images = min(contender.arrays.evaluation_batch, source.test_size)
    with torch.inference_mode(), contender.autocast():
        net(source.test_batch(0, images)[0])
        since = contender.clock()
        net(source.test_batch(0, images)[0])
        seconds = contender.clock() - since
    return {"images_per_second": images / seconds, "whole_test_set_seconds": source.test_size * seconds / images}


def start_up() -> Line:
    """Measure the seconds from `study train` on digits to its first row: imports, images, five steps, an evaluation."""
    cell = ("--dataset=digits", "--depth=8", "--shortcut=A", "--wandb=disabled")
    with TemporaryDirectory() as folder:
        record, since = Record(Path(folder), Spec("digits", 8, "A")), perf_counter()
        process = subprocess.Popen([sys.executable, "-m", "study", "train", *cell, f"--runs={folder}"])
        while not record.history() and process.poll() is None:
            sleep(0.02)
        seconds = perf_counter() - since
        process.kill()
        process.wait()
    return {"seconds_to_first_row": seconds}
