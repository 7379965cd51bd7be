"""The verb ``probe``: what a trained network computes, written beside its run as probes.json.

The parts are measured in signals.py, blocks.py and deeper.py; display.py prints them.
"""

from __future__ import annotations

from pathlib import Path

import torch

from study.data.datasets import dataset_info, load_in_memory
from study.data.images import Images
from study.machine.device import has_cuda
from study.probes.blocks import blocks
from study.probes.deeper import copy
from study.probes.display import show
from study.probes.signals import signals
from study.recipes import recipe_for
from study.recording.files import write_json
from study.recording.record import PROBES, Record
from study.spec import InputError
from study.weights.checkpoint import load_checkpoint


def probe(folder: Path, data: Path) -> int:
    """Probe the network in a run folder, write FOLDER/probes.json, and print a summary.

    Args:
        folder: A run folder with a checkpoint.
        data: The folder that holds the data sets.

    Returns:
        The exit status.

    Raises:
        InputError: the folder holds no checkpoint, or its data set does not fit into memory or is another one.
    """
    record = _record(folder)
    images = _images(record, data)
    net, step = load_checkpoint(record.spec, record.checkpoint)
    net = net.to(images.crops.device)
    measured = {
        "run": record.spec.name,
        "step": step,
        "signals": signals(net, record.spec, images),
        "blocks": blocks(net, record.spec, images),
        "copy": copy(net, record.spec, images),
    }
    write_json(record.folder / f"{PROBES}.json", measured)
    show(measured)
    return 0


def _record(folder: Path) -> Record:
    """Open the record of a run folder, which must have a checkpoint."""
    record = Record.at(folder)
    info = dataset_info(record.spec.dataset)
    if not info.in_memory:
        raise InputError(f"{record.spec.name} is a run on {info.title}; probes are for data sets that fit into memory")
    if not record.checkpoint.exists():
        raise InputError(f"{record.folder} has no checkpoint; train it, or give the folder where it was trained")
    return record


def _images(record: Record, data: Path) -> Images:
    """Load the images that the run was trained with onto the GPU, where there is one."""
    arrays = load_in_memory(record.spec.dataset, data)
    if arrays.fingerprint != record.provenance().get("data_fingerprint"):
        raise InputError(f"{record.folder} was trained with other images; give their folder with --data=PATH")
    return arrays.on(torch.device("cuda" if has_cuda() else "cpu"), recipe_for(record.spec))
