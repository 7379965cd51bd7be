"""The floor under a step, by hand: a clock that advances by one second at each reading makes every rate known."""

from __future__ import annotations

from itertools import count

import pytest
import torch

from study import network
from study.bench.arms import Contender
from study.bench.floor import convolution_outputs, floor, kernels
from study.bench.gpu_model.kernels import step_kernels
from study.data.digits import load_digits
from study.machine.options import MachineOptions, Precision
from study.spec import Spec

SPEC = Spec("digits", 8, "A")


@pytest.mark.skipif(torch.cuda.is_available(), reason="the sizes of the CPU's matrix product and copy")
@pytest.mark.parametrize(("precision", "size"), [("32", 4), ("bf16", 2)])
def test_the_floor_is_arithmetic_and_traffic_worked_out_by_hand(precision: Precision, size: int) -> None:
    ticks = count()
    contender = Contender(SPEC, load_digits(), MachineOptions(precision=precision), seconds=lambda: next(ticks))
    # 3x3 layers on 8x8, 4x4 and 2x2 pixels, the stem from one channel; head of 64 x 10.
    multiply_adds = 9 * (64 * (1 * 16 + 2 * 16 * 16) + 16 * (16 * 32 + 32 * 32) + 4 * (32 * 64 + 64 * 64)) + 640
    arithmetic = 6 * multiply_adds * 64 / (2 * 2048**3)  # batches of 64
    outputs = 64 * 16 * 3 + 16 * 32 * 2 + 4 * 64 * 2
    traffic = 4 * outputs * size * 64 / (2 * 2**26 * 4)  # conv and ReLU outputs, written and read
    found = floor(contender)
    assert found == pytest.approx(
        {
            "arithmetic_ms": 1e3 * arithmetic,
            "traffic_ms": 1e3 * traffic,
            "launches_ms": 0.0,
            "floor_ms": 1e3 * max(arithmetic, traffic),
        }
    )


@pytest.mark.parametrize("depth", [20, 56])
def test_convolutions_compute_as_many_values_as_the_network_itself_does(depth: int) -> None:
    sizes: list[int] = []
    with torch.device("meta"):
        net = network.build("cifar10", depth, "A")
        for layer in net.modules():
            if isinstance(layer, torch.nn.Conv2d):
                layer.register_forward_hook(lambda *args: sizes.append(args[2].numel()))
        net.eval()(torch.empty(1, 3, 32, 32))
    assert convolution_outputs(depth, 32 * 32) == sum(sizes)


@pytest.mark.parametrize("precision", ["tf32", "bf16"])
@pytest.mark.parametrize("shortcut", ["none", "A"])
def test_kernels_are_those_of_a_step(shortcut: network.Shortcut, precision: Precision) -> None:
    """Counted on the step itself; torch's own batch norm, which bf16 takes, has seven where cuDNN's has two."""
    for depth in (20, 44):
        counted = step_kernels(depth, precision == "bf16", "graph", shortcut)
        assert kernels(Spec("cifar10", depth, shortcut), precision) == len(counted)
