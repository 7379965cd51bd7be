"""A run's checkpoint, loaded as a network: ``study.load(folder)``."""

from __future__ import annotations

from os import PathLike
from pathlib import Path
from pickle import UnpicklingError

import torch

from study import network
from study.network import ResNet
from study.recording.record import Record
from study.spec import InputError, Spec

UNREADABLE = (OSError, EOFError, RuntimeError, UnpicklingError, KeyError, AttributeError, TypeError)


def load(folder: str | PathLike[str]) -> ResNet:
    """Load the network of a run folder: on the CPU, in evaluation mode, ready for images (N, C, H, W).

    The network of an interrupted run is that of its last checkpoint. Inputs are normalised as in training: less the
    per-pixel mean of the training images, on [0, 1].

    Args:
        folder: A run folder, as in ``runs/digits-8-A-mini-s3``.

    Raises:
        InputError: the folder does not hold a run, or the run has no checkpoint, or the checkpoint cannot be read.
    """
    record = Record.at(Path(folder))
    if not record.folder.is_dir():
        raise InputError(f"{folder} does not exist; give the folder of a run")
    if not record.checkpoint.exists():
        raise InputError(f"{folder} has no checkpoint; train it first, or give the folder where it was trained")
    try:
        net, _ = load_checkpoint(record.spec, record.checkpoint)
    except UNREADABLE:
        raise InputError(f"{record.checkpoint} is not a checkpoint of {record.spec.name}, or is damaged") from None
    return net.eval()


def load_checkpoint(spec: Spec, checkpoint: Path) -> tuple[ResNet, int]:
    """Load the network of a checkpoint onto the CPU, in training mode, with the number of steps it has taken."""
    net = network.build(spec.dataset, spec.depth, spec.shortcut)
    saved = torch.load(checkpoint, map_location="cpu", weights_only=True)
    net.load_state_dict({name.removeprefix("net."): tensor for name, tensor in saved["state_dict"].items()})
    return net, saved["cell"]["step"]
