"""The fused forward of whole networks beside `study.network`, which is the reference."""

from __future__ import annotations

from copy import deepcopy

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from study.network import Architecture, ResNet, Shortcut, build, initialise
from tests.training.fused.interpreted import DEVICE, norm
from tests.training.fused.interpreted import network as fused

SMALL = Architecture(3, 10, (8, 16), (2, 1), bottleneck=True)


@pytest.fixture(autouse=True)
def few_programs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(norm, "PROGRAMS", 2)


def make(shortcut: Shortcut, bottleneck: bool) -> ResNet:
    torch.manual_seed(0)
    if not bottleneck:
        return build("digits", 8, shortcut).to(DEVICE, memory_format=torch.channels_last)
    net = ResNet(SMALL, shortcut)
    initialise(net, torch.Generator().manual_seed(0))
    return net.to(DEVICE, memory_format=torch.channels_last)


def gradients(net: nn.Module) -> Tensor:
    """All of them, in one row of 64 bits."""
    return torch.cat([p.grad.flatten().double() for p in net.parameters() if p.grad is not None])


def learn(net: ResNet, forward: nn.Module | fused.Forward, half: bool = False) -> Tensor:
    channels = net.stem.get_submodule("conv").in_channels
    images = torch.randn(8, channels, 8, 8, generator=torch.Generator().manual_seed(1))
    with torch.autocast(DEVICE.type, torch.bfloat16, enabled=half, cache_enabled=False):
        loss = F.cross_entropy(forward(images.to(net.head.weight)), torch.arange(8, device=DEVICE))
        loss.backward()
    return loss.detach()


@pytest.mark.parametrize("bottleneck", [False, True], ids=["basic", "bottleneck"])
@pytest.mark.parametrize("shortcut", ["none", "A", "B", "C"])
def test_loss_gradients_and_statistics_are_the_networks(shortcut: Shortcut, bottleneck: bool) -> None:
    net = make(shortcut, bottleneck)
    other = deepcopy(net)
    torch.testing.assert_close(learn(other, fused.fused(other)), learn(net, net), rtol=1e-6, atol=0)
    torch.testing.assert_close(gradients(other), gradients(net), rtol=1e-4, atol=1e-6)
    assert len(gradients(other)) == sum(weight.numel() for weight in net.parameters())
    for (name, found), expected in zip(other.named_buffers(), net.buffers(), strict=True):
        if "running" in name:
            torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("shortcut", ["none", "A", "B"])
def test_in_bf16_it_is_as_near_to_64_bits_as_the_network_is(shortcut: Shortcut) -> None:
    net = make(shortcut, bottleneck=False)
    other, exact = deepcopy(net), deepcopy(net).double()
    learn(net, net, half=True)
    learn(other, fused.fused(other), half=True)
    learn(exact, exact)
    own, ours = (float((gradients(each) - gradients(exact)).norm()) for each in (net, other))
    assert ours < 1.2 * own
    assert all(p.grad is not None and p.grad.dtype == torch.float32 for p in other.parameters())
