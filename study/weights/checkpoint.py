"""A run's checkpoint, loaded as a network, and the mean that its inputs lack."""

from __future__ import annotations

import os
from pathlib import Path
from pickle import UnpicklingError

import torch

from study.data.datasets import load_dataset
from study.data.interface import DataSet
from study.machine.options import DEFAULTS
from study.recipes import recipe_for
from study.recording.record import Record
from study.spec import InputError, Spec
from study.weights.pretrained import Preprocess, TrainedResNet

UNREADABLE = (OSError, EOFError, RuntimeError, UnpicklingError, LookupError, AttributeError, TypeError)


def load_run(folder: Path) -> tuple[TrainedResNet, Record]:
    """Load the network of a run folder: on the CPU, in evaluation mode.

    Raises:
        InputError: the folder does not hold a run, or the run has no checkpoint, or the checkpoint cannot be read.
    """
    record = Record.at(folder)
    if not record.checkpoint.exists():
        raise InputError(f"{folder} has no checkpoint; train it first, or give the folder where it was trained")
    try:
        net, _ = load_checkpoint(record.spec, record.checkpoint)
    except UNREADABLE:
        raise InputError(f"{record.checkpoint} is not a checkpoint of {record.spec.name}, or is damaged") from None
    return net.eval(), record


def load_checkpoint(spec: Spec, checkpoint: Path) -> tuple[TrainedResNet, int]:
    """Load the network of a checkpoint onto the CPU, in training mode, with the number of steps it has taken."""
    net = TrainedResNet(spec.dataset, spec.depth, spec.shortcut)
    saved = torch.load(checkpoint, map_location="cpu", weights_only=True)
    net.load_state_dict({name.removeprefix("net."): tensor for name, tensor in saved["state_dict"].items()})
    return net, saved["cell"]["step"]


def check_images(record: Record, images: DataSet) -> None:
    """Make sure that images are those that a run was trained with.

    Raises:
        InputError: They are others.
    """
    if images.fingerprint != record.provenance().get("data_fingerprint"):
        raise InputError(f"{record.folder} was trained with other images; give their folder with --data=PATH")


def mean_of_run(record: Record, data: Path | None = None) -> Preprocess:
    """Take the per-pixel mean of the images that a run was trained on.

    Args:
        record: The run.
        data: The folder of the data sets; by default ``STUDY_DATA``, else ``data``.

    Raises:
        InputError: the images are not there, or are not those that the run was trained on.
    """
    place = data or Path(os.environ.get("STUDY_DATA", DEFAULTS["data"]))
    dataset = load_dataset(record.spec, place)
    if dataset.fingerprint != record.provenance()["data_fingerprint"]:
        raise InputError(f"{record.folder} was trained on other images than those in {place}; give their folder")
    mean = torch.from_numpy(dataset.mean(recipe_for(record.spec)))
    return Preprocess(mean.permute(2, 0, 1).contiguous(), dataset.peak)
