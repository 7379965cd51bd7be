"""Which test images a network gets wrong, and the filters of its first layer."""

from __future__ import annotations

import torch

from study.data.images import Images
from study.data.sampling import evaluation_shares
from study.network import ResNet
from study.probes.batches import PART
from study.recording.evaluation import Row
from study.spec import Spec


@torch.no_grad()
def mistakes(net: ResNet, spec: Spec, images: Images) -> Row:
    """Find the test images that are taken for another class.

    Returns:
        seen: the number of test images. classes: their names. wrong: for each of those that are wrong its number in the
        test set, its class and the class that was predicted.
    """
    net.eval()
    wrong: list[list[int]] = []
    for start, stop in evaluation_shares(images.test_size, PART, 0, 1):
        tests, labels = images.test_batch(start, stop)
        predicted = net(tests).argmax(1)
        numbers = (predicted != labels).nonzero().flatten()
        wrong += torch.stack([start + numbers, labels[numbers], predicted[numbers]], 1).tolist()
    return {"seen": images.test_size, "classes": list(images.classes), "wrong": wrong}


def filters(net: ResNet, spec: Spec, images: Images) -> list[list[list[list[float]]]]:
    """The weights of the first layer, to three digits: (filters, channels, height, width)."""
    weights = net.stem.get_submodule("conv").get_parameter("weight").detach()
    scale = 10 ** (2 - float(weights.abs().max().log10().floor()))
    return ((weights * scale).round() / scale).double().tolist()
