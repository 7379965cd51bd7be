"""Errors on test images as they are, uncropped: the single view by which CIFAR's networks are tested (Sec. 4.2)."""

from __future__ import annotations

import torch

from study.data.interface import Batches, DataSet
from study.data.sampling import evaluation_shares
from study.network import ResNet
from study.protocols.errors import Score

SINGLE = "single"  # the protocol's name on the command line and in the record


@torch.inference_mode()
def evaluate_single(net: ResNet, images: DataSet, batches: Batches) -> Score:
    """Test a network on whole test images, at full precision; each image is counted once.

    Args:
        net: The network, on the device of `batches`.
        images: The data set.
        batches: Its batches, as the network was trained on them.

    Raises:
        RuntimeError: an image was not counted, or counted twice.
    """
    net.eval()
    best_of = min(5, len(images.classes))
    top1 = top5 = total = 0
    for start, stop in evaluation_shares(batches.test_size, images.evaluation_batch, 0, 1):
        inputs, labels = batches.test_batch(start, stop)
        best = net(inputs).topk(best_of).indices
        top1 += int((best[:, 0] != labels).sum())
        top5 += int((best != labels[:, None]).all(1).sum())
        total += len(labels)
    if total != images.test_size:
        raise RuntimeError(f"{total} test images were counted, but there are {images.test_size}")
    return Score(top1, top5, total, broken=0)
