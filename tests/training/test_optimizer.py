"""What decays, by recipe."""

from __future__ import annotations

import pytest
import torch

from study import network
from study.recipes import RECIPES, decays_norms
from study.spec import Spec
from study.training.optimizer import sgd


@pytest.mark.parametrize("recipe", ["eighth", "nodecaybn"])
def test_what_decays_is_what_the_recipe_says(recipe: str) -> None:
    """A step without gradients is decay alone: each weight shrinks by rate times decay, or stays."""
    spec = Spec("cifar10", 20, "B", recipe)
    net = network.build(spec.dataset, spec.depth, spec.shortcut)
    for parameter in net.parameters():
        torch.nn.init.ones_(parameter)
        parameter.grad = torch.zeros_like(parameter)
    rule = RECIPES["cifar10"][recipe]
    sgd(net, rule, decays_norms(spec)).step()
    shrunk = {name for name, p in net.named_parameters() if float(p.detach().max()) < 1}
    everything = {name for name, _ in net.named_parameters()}
    norms = {name for name, p in net.named_parameters() if p.ndim == 1}
    assert shrunk == (everything if recipe == "eighth" else everything - norms)
    assert len(norms) == 2 * 21 + 1, "the scales and biases of 21 batch norms, and the biases of the last layer"
    assert float(net.head.weight.detach()[0, 0]) == pytest.approx(1 - rule.lr * rule.weight_decay)
