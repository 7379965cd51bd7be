"""Errors on test images in memory: a single view of the whole image (Sec. 4.2), or ten crops of it (Sec. 3.4).

single, 1crop   the whole image, at the size that the network is trained at
10crop          four corners, the centre, and their mirror images, of 7/8 of its side, as 224 of 256 pixels
"""

from __future__ import annotations

import torch
from torch import Tensor

from study.data.interface import Batches, DataSet
from study.data.sampling import evaluation_shares
from study.network import ResNet
from study.protocols.errors import Score


@torch.inference_mode()
def evaluate_in_memory(net: ResNet, images: DataSet, batches: Batches, protocol: str) -> Score:
    """Test a network on all test images, at full precision; each image is counted once.

    Args:
        net: The network, on the device of `batches`.
        images: The data set.
        batches: Its batches, as the network was trained on them.
        protocol: ``single``, ``1crop`` or ``10crop``.

    Raises:
        RuntimeError: an image was not counted, or counted twice.
    """
    net.eval()
    best_of = min(5, len(images.classes))
    top1 = top5 = total = 0
    for start, stop in evaluation_shares(batches.test_size, images.evaluation_batch, 0, 1):
        inputs, labels = batches.test_batch(start, stop)
        best = (_of_ten(net, inputs) if protocol == "10crop" else net(inputs)).topk(best_of).indices
        top1 += int((best[:, 0] != labels).sum())
        top5 += int((best != labels[:, None]).all(1).sum())
        total += len(labels)
    if total != images.test_size:
        raise RuntimeError(f"{total} test images were counted, but there are {images.test_size}")
    return Score(top1, top5, total, broken=0)


def _of_ten(net: ResNet, images: Tensor) -> Tensor:
    """Average the probabilities of ten crops: (N, classes)."""
    return torch.stack([net(crops).softmax(1) for crops in ten_crops(images)]).mean(0)


def ten_crops(images: Tensor) -> list[Tensor]:
    """Cut the ten crops out of images (N, C, H, W): each (N, C, 7/8 H, 7/8 W). The mean was subtracted before."""
    side = images.shape[-1]
    crop = side * 7 // 8
    far, middle = side - crop, (side - crop) // 2
    corners = [(0, 0), (0, far), (far, 0), (far, far), (middle, middle)]
    cuts = [images[:, :, top : top + crop, left : left + crop] for top, left in corners]
    return [*cuts, *(cut.flip(3) for cut in cuts)]
