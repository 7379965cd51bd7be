from __future__ import annotations

import os

import pytest
import torch

from study import network
from study.bench.apart import Apart
from study.bench.arms import Contender
from study.data.digits import load_digits
from study.machine.memory import TORCH
from study.machine.options import MachineOptions
from study.spec import Spec
from study.training import compiling


def test_the_optimiser_is_the_recipes() -> None:
    contender = Contender(Spec("digits", 8, "A"), load_digits(), MachineOptions())
    (group,) = contender.sgd(contender.net()).param_groups
    recipe = contender.recipe
    assert (group["lr"], group["momentum"], group["weight_decay"]) == (recipe.lr, recipe.momentum, recipe.weight_decay)


class Setting:
    """An arm that tells whether its process has torch's setting for large pages."""

    def turn(self, steps: int) -> float:
        return float(os.environ.get(TORCH, 0)) + 10 * steps


@pytest.mark.process
def test_an_arm_in_a_process_of_its_own_has_not_our_memory_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(TORCH, "1")
    assert Setting().turn(3) == 31
    apart = Apart("setting", Setting)
    assert (apart.turn(3), apart.turn(4)) == (30, 40)
    assert os.environ[TORCH] == "1"


@pytest.mark.slow
def test_a_network_that_is_compiled_by_blocks_computes_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """Networks too deep to be compiled whole; evaluation does not notice."""
    monkeypatch.setattr(compiling, "WHOLE", 0)
    torch.manual_seed(0)
    net, images = network.build("digits", 14, "A"), torch.randn(4, 1, 8, 8)
    before = net(images)
    after = compiling.compile_forward(net)(images)
    torch.testing.assert_close(after, before, rtol=1e-4, atol=1e-5)
    after.sum().backward()
    assert all(weight.grad is not None for weight in net.parameters())
    assert all(part._compiled_call_impl is None for part in net.modules())
