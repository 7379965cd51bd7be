"""The choice of `--step=auto` on a GPU: its decision from recorded lines, and children that crash, hang and refuse."""

from __future__ import annotations

import json
import sys

import pytest
import torch

from study.bench import choose_gpu
from study.bench.choose_gpu import CANDIDATES, LONG, candidates, commands, decide, measure
from study.machine.options import MachineOptions, StepMode
from study.recording.bench_lines import Line
from study.spec import Spec

AUTO = MachineOptions(precision="bf16")
PAPER = Spec("cifar10", 110, "A")


def lines(candidate: str, ratio: float, width: float = 0.02, loss: float = 2.3) -> list[Line]:
    """What a candidate's process prints: the losses of plain steps are all 2.3."""
    return [
        {"what": "losses", "plain": [2.3] * 20, "own": [2.3] * 9 + [loss] * 11},
        {"what": "machine"},
        {"what": "step", "arm": "ours", "ms_per_step": 4.0},
        {"what": "step", "arm": candidate, "ms_per_step": 4.0 * ratio},
        {"what": "ratio", "ours_to": candidate, "times_as_fast": ratio, "interval": [ratio - width, ratio + width]},
    ]


@pytest.mark.parametrize(
    ("compiled", "fused", "chosen"),
    [
        (lines("compiled-graph", 0.8), lines("fused-graph", 0.7), "fused-graph"),
        (lines("compiled-graph", 0.7), lines("fused-graph", 0.8), "compiled-graph"),
        (lines("compiled-graph", 1.1), lines("fused-graph", 0.99), "graph"),
        (lines("compiled-graph", 0.8), lines("fused-graph", 0.7, loss=2.36), "compiled-graph"),
        (lines("compiled-graph", 0.8), lines("fused-graph", 0.7, loss=float("nan")), "compiled-graph"),
        ("it was ended by SIGSEGV", lines("fused-graph", 0.7), "fused-graph"),
        ("it took more than 600 s", [{"what": "machine"}], "graph"),
    ],
)
def test_the_fastest_whose_losses_are_right_is_taken(
    compiled: list[Line] | str, fused: list[Line] | str, chosen: str
) -> None:
    choice = decide({"compiled-graph": compiled, "fused-graph": fused}, "bf16")
    assert choice["chosen"] == chosen and choice["why"]
    assert set(choice["candidates"]) == set(CANDIDATES)
    if isinstance(compiled, list) and len(compiled) > 1:
        assert choice["seconds_a_step"]["graph"] == 0.004, "kept for the next run"


def test_in_fp32_losses_must_be_nearer() -> None:
    near = {"fused-graph": lines("fused-graph", 0.7, loss=2.34)}
    assert decide(near, "bf16")["chosen"] == "fused-graph"
    apart = [2.3 + 1e-3, *[2.3] * 19]
    first: dict[StepMode, list[Line] | str] = {"fused-graph": [line | {"own": apart} for line in near["fused-graph"]]}
    assert decide(first, "bf16")["chosen"] == "fused-graph" and decide(first, "32")["chosen"] == "graph"


def test_why_nothing_is_taken_names_each_reason() -> None:
    choice = decide({"compiled-graph": "it was ended by SIGSEGV", "fused-graph": lines("fused-graph", 1.2)}, "bf16")
    assert "compiled-graph: it was ended by SIGSEGV" in choice["why"]
    assert "fused-graph: not clearly faster, 1.20 (1.18 to 1.22) times" in choice["why"]


@pytest.mark.process
def test_a_child_that_crashes_hangs_or_ends_without_a_word_costs_the_run_nothing() -> None:
    crash = [sys.executable, "-c", "import os, signal; os.kill(os.getpid(), signal.SIGSEGV)"]
    hang = [sys.executable, "-c", "import time; time.sleep(60)"]
    choice = measure({"compiled-graph": crash, "fused-graph": hang}, "bf16", limit=3)
    assert choice["chosen"] == "graph" and "seconds_a_step" not in choice, "not kept: the next run tries again"
    assert [line["refused"] for line in choice["candidates"].values()] == [
        "it was ended by SIGSEGV",
        "it took more than 3 s",
    ]
    printed = "".join(json.dumps(line) + "\n" for line in lines("fused-graph", 0.7))
    tells = [sys.executable, "-c", f"print({printed!r}, end='')"]
    choice = measure({"compiled-graph": [sys.executable, "-c", "exit(3)"], "fused-graph": tells}, "bf16")
    assert choice["chosen"] == "fused-graph" and choice["seconds_a_step"]["fused-graph"] == pytest.approx(0.0028)
    assert choice["candidates"]["compiled-graph"]["refused"] == "it ended with status 3"


@pytest.mark.skipif(torch.cuda.is_available(), reason="the refusal of a machine without a GPU")
@pytest.mark.process
def test_the_measuring_command_refuses_what_cannot_be_done() -> None:
    command = commands(Spec("digits", 8, "A"), AUTO)["fused-graph"]
    choice = measure({"fused-graph": command}, "bf16")
    assert choice["chosen"] == "graph" and "needs a GPU" in choice["why"]


def test_a_short_run_and_a_given_way_are_not_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("triton")
    assert candidates(PAPER, AUTO) == CANDIDATES
    short = Spec("cifar10", 20, "A"), Spec("cifar10", 110, "A", "smoke")
    assert all(spec.depth * choose_gpu.recipe_for(spec).steps < LONG and not candidates(spec, AUTO) for spec in short)
    for only in (
        MachineOptions(step="graph"),
        MachineOptions(devices=2),
        MachineOptions(checkpoint_every=3),
    ):
        assert candidates(PAPER, only) == ()
