from __future__ import annotations

import pytest
import torch

from study import network
from study.bench.arms import Contender
from study.data.digits import load_digits
from study.machine.options import MachineOptions
from study.spec import Spec
from study.training.step import compile_blocks


def test_the_optimiser_is_the_recipes() -> None:
    contender = Contender(Spec("digits", 8, "A"), load_digits(), MachineOptions())
    (group,) = contender.sgd(contender.net()).param_groups
    recipe = contender.recipe
    assert (group["lr"], group["momentum"], group["weight_decay"]) == (recipe.lr, recipe.momentum, recipe.weight_decay)


@pytest.mark.slow
def test_compiled_blocks_compute_the_same_and_every_block_is_compiled() -> None:
    """torch's compiler on the CPU; the arm `compiled` of the bench trains such a network."""
    torch.manual_seed(0)
    net, images = network.build("digits", 14, "A"), torch.randn(4, 1, 8, 8)
    before = net(images)
    compile_blocks(net)
    blocks = [block for i in (1, 2, 3) for block in net.get_submodule(f"stage{i}").children()]
    assert len(blocks) == 6 and all(block._compiled_call_impl is not None for block in blocks)
    assert net.get_submodule("stem")._compiled_call_impl is None
    after = net(images)
    torch.testing.assert_close(after, before, rtol=1e-4, atol=1e-5)
    after.sum().backward()
    assert all(weight.grad is not None for weight in net.parameters())
