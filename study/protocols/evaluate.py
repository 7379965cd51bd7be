"""The verb ``test``: finished runs by the paper's protocols, into their records; others' weights, on the screen."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch.optim.swa_utils import update_bn

from study.data.imagenet import folder
from study.data.imagenet.batches import Jpegs, worker_count
from study.data.imagenet.folder import Folder
from study.machine.device import has_cuda
from study.network import ResNet
from study.protocols.views import PROTOCOLS, Score, Subject, test
from study.recipes import ImageNetRecipe, recipe_for
from study.recording.record import Record
from study.spec import InputError, Spec, check_choice
from study.weights.checkpoint import trained
from study.weights.torchvision import read_torchvision

RECALIBRATION_IMAGES = 51_200  # 200 batches of 256: "a sufficiently large training batch" (the authors' release notes)


def evaluate(subjects: Sequence[Path], protocol: str, data: Path, recalibrate: bool) -> int:
    """Test run folders or weight files, print the errors, and add those of runs to their records.

    Args:
        subjects: Run folders, or files of torchvision's weights.
        protocol: One of PROTOCOLS, or ``ensemble``: all subjects together, each by ``dense`` (Table 5).
        data: The folder that holds ``imagenet``.
        recalibrate: Replace batch norm's running averages by true averages first, as the authors did after training.

    Raises:
        InputError: a subject cannot be tested, or the images are not those it was trained with.
    """
    check_choice("protocol", protocol, (*PROTOCOLS, "ensemble"))
    if protocol == "ensemble" and len(subjects) < 2:
        raise InputError("an ensemble needs at least two run folders or weight files")
    runs = [_record(path) if path.is_dir() else None for path in subjects]
    images = folder.load(data)
    device = torch.device("cuda" if has_cuda() else "cpu")
    for record in filter(None, runs):
        _check_data(record, images)
    name = f"{protocol}-recalibrated" if recalibrate else protocol
    groups = [range(len(subjects))] if protocol == "ensemble" else [[i] for i in range(len(subjects))]
    for group in groups:
        nets = [_load(subjects[i], runs[i], images, recalibrate, device) for i in group]
        score = test(nets, "dense" if protocol == "ensemble" else protocol, images.val)
        _report([subjects[i] for i in group], [runs[i] for i in group], name, score)
    return 0


def _report(subjects: Sequence[Path], runs: Sequence[Record | None], name: str, score: Score) -> None:
    """Print one result, and add it to the record of each run that it is about."""
    members = [path.resolve().name for path in subjects]
    results = score.columns(name)
    for record in filter(None, runs):
        record.add(results | ({f"{name}/members": members} if len(members) > 1 else {}))
    print(
        f"{' + '.join(members)}: {name} top-1 {results[f'{name}/top1_error']:.3f} % ({score.top1_wrong:,} of "
        f"{score.seen:,} wrong), top-5 {results[f'{name}/top5_error']:.3f} % ({score.top5_wrong:,} wrong)"
        + (f"; {score.broken:,} files are broken" if score.broken else "")
    )


def _record(path: Path) -> Record:
    """The record in a run folder, which must be finished."""
    record = Record.at(path)
    if record.spec.dataset != "imagenet":
        raise InputError(
            f"{record.spec.name} is no ImageNet run; others are tested on the one original view when they train"
        )
    if record.summary() is None or not record.checkpoint.exists():
        raise InputError(f"{record.folder} is not finished or has no checkpoint; train it to the end first")
    return record


def _check_data(record: Record, images: Folder) -> None:
    if record.provenance()["data_fingerprint"] != images.fingerprint:
        raise InputError(
            f"{record.folder} was trained with other images or another mean; give its folder with --data=PATH"
        )


def _load(path: Path, record: Record | None, images: Folder, recalibrate: bool, device: torch.device) -> Subject:
    """The network of a run folder or of a weight file, on the device."""
    if record is None:
        if recalibrate:
            raise InputError(f"{path} is no run folder; only runs of this study are recalibrated")
        net, mean = read_torchvision(path)
        return Subject(net.to(device), torch.from_numpy(mean).to(device))
    net, _ = trained(record.spec, record.checkpoint)
    net = net.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    if recalibrate:
        recalibrated(net, record.spec, images, device)
    return Subject(net, torch.from_numpy(images.mean).to(device))


def recalibrated(net: ResNet, spec: Spec, images: Folder, device: torch.device) -> None:
    """Set batch norm's statistics to true averages over training batches, those of the run's first steps."""
    recipe = recipe_for(spec)
    assert isinstance(recipe, ImageNetRecipe)
    batches = Jpegs(images, recipe, device, worker_count(1))
    steps = max(1, min(RECALIBRATION_IMAGES, batches.train_size) // recipe.batch)
    update_bn((batches.batch(spec.seed, step)[0] for step in range(steps)), net)
