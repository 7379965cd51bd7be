"""A trained network made deeper without changing its outputs, from which a run starts (``study deepen``).

The paper argues in Sec. 1 that such a network exists, so that a deeper one need not be worse; here it is trained on.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import torch

from study.data.datasets import dataset_info, load_in_memory
from study.network import ResNet
from study.probes.batches import evaluation_images, unseen_batch
from study.probes.deeper import block_counts, deeper
from study.recipes import recipe_for
from study.recording.evaluation import Row
from study.spec import InputError
from study.weights.checkpoint import check_images, load_run
from study.weights.digest import weights_sha256


class Copy(NamedTuple):
    """A network that computes what its parent does, and what the provenance says of the parent."""

    net: ResNet
    parent: Row


def deepened(folder: Path, depth: int, data: Path) -> Copy:
    """Add blocks that return their input to the network of a run, until it is as deep as this.

    Args:
        folder: The run folder of the parent, with a checkpoint.
        depth: Of the new network.
        data: The folder of the data sets; a batch of the parent's says what its plain blocks must let through.

    Raises:
        InputError: There is no such run or network, or the images are not those that the parent was trained on.
    """
    net, record = load_run(folder)
    spec = record.spec
    info = dataset_info(spec.dataset)
    if not info.in_memory:
        raise InputError(f"{spec.name} is a run on {info.title}; only networks on images in memory can be deepened")
    arrays = load_in_memory(spec.dataset, data)
    check_images(record, arrays)
    images = arrays.on(torch.device("cpu"), recipe_for(spec))
    deep = deeper(net, spec, block_counts(spec, depth), unseen_batch(spec, images, 1)[0])
    tests, _ = evaluation_images(images)
    with torch.no_grad():
        difference = float((net.eval()(tests) - deep.eval()(tests)).abs().max())
    summary = record.summary() or {}
    parent = {"run": spec.name, "step": summary.get("step"), "weights_sha256": weights_sha256(net)}
    return Copy(deep, parent | {"error": summary.get("test/top1_error"), "difference": difference})
