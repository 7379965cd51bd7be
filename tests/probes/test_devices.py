"""What follows training keeps network and images on one device, whichever that is.

The device is torch's ``meta``, on which mixing with the CPU is an error, as on a GPU. It has no values: where the
product reads one, it gets a number made up here. So this shows where tensors are, and nothing about what is computed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

from study import network
from study.data.digits import load_digits
from study.data.images import Images
from study.probes.blocks import blocks
from study.probes.deeper import copy
from study.probes.signals import signals
from study.protocols.logits import probabilities
from study.recipes import recipe_for
from study.spec import Spec

META = torch.device("meta")


class Numbers(TorchDispatchMode):
    """Answers a read of one value with 1; in backward passes too."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """1 in place of the value that a meta tensor lacks."""
        if func is torch.ops.aten._local_scalar_dense.default:
            return 1.0 if args[0].dtype.is_floating_point else 1
        return func(*args, **(kwargs or {}))


class Arrays(TorchFunctionMode):
    """Answers a read of many values with 0, 1, ... up to 9, and again."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """An array in place of the values that a meta tensor lacks."""
        if func is Tensor.numpy:
            values = np.arange(args[0].numel()).reshape(args[0].shape) % 10
            return values.astype("f4" if args[0].dtype.is_floating_point else "i8")
        return func(*args, **(kwargs or {}))


@pytest.fixture
def made_up() -> Iterator[None]:
    with Numbers(), Arrays():
        yield


@pytest.mark.usefixtures("made_up")
@pytest.mark.parametrize("measure", [signals, blocks, copy])
@pytest.mark.parametrize("shortcut", ["none", "B"])
def test_a_probe_keeps_to_the_device_of_its_images(measure: Callable[..., object], shortcut: Any) -> None:
    spec = Spec("digits", 8, shortcut, "smoke")
    net = network.build(spec.dataset, spec.depth, spec.shortcut).to(META)
    assert measure(net, spec, Images(load_digits(), recipe_for(spec), META))


@pytest.mark.parametrize("protocol", ["1crop", "10crop", "dense"])
def test_a_protocol_keeps_to_the_device_of_its_views(protocol: Any) -> None:
    net = network.build("imagenet", 18, "B").to(META).eval()
    assert probabilities(protocol, net, [torch.zeros(1, 3, 256, 224, device=META)]).device == META


@pytest.mark.usefixtures("made_up")
@pytest.mark.parametrize("measure", [signals, blocks, copy])
def test_a_network_left_on_another_device_would_be_noticed(measure: Callable[..., object]) -> None:
    spec = Spec("digits", 8, "A", "smoke")
    net = network.build(spec.dataset, spec.depth, spec.shortcut)
    with pytest.raises(RuntimeError, match="device"):
        measure(net, spec, Images(load_digits(), recipe_for(spec), META))
