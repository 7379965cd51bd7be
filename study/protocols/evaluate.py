"""The verb ``test``: ImageNet runs, or other people's weights, tested by the paper's protocols.

The errors of a run are added to its record; those of weight files are printed only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch.optim.swa_utils import update_bn

from study.data.imagenet import folder
from study.data.imagenet.batches import ImageNet
from study.data.imagenet.folder import Folder
from study.machine.device import has_cuda
from study.network import ResNet
from study.protocols.errors import Candidate, Score, evaluate_protocol
from study.protocols.views import PROTOCOLS, Protocol
from study.recipes import recipe_for
from study.recording.record import Record
from study.spec import InputError, Spec, check_choice
from study.weights.checkpoint import load_checkpoint
from study.weights.torchvision import read_torchvision

RECALIBRATION_IMAGES = 51_200  # 200 batches of 256: "a sufficiently large training batch" (the authors' release notes)


@dataclass(frozen=True)
class Subject:
    """A run folder or a weight file that is to be tested.

    Attributes:
        path: As the user gave it.
        record: The run's record; None for a weight file.
    """

    path: Path
    record: Record | None

    @property
    def name(self) -> str:
        """The folder's or the file's own name."""
        return self.path.resolve().name


def evaluate(paths: Sequence[Path], protocol: str, data: Path, recalibrate: bool) -> int:
    """Test run folders or weight files, print the errors, and add those of runs to their records.

    Args:
        paths: Run folders, or files of torchvision's weights.
        protocol: One of PROTOCOLS, or ``ensemble``: all of them together, each by ``dense`` (Table 5).
        data: The folder that holds ``imagenet``.
        recalibrate: Replace batch norm's running averages by true averages first, as the authors did after training.

    Returns:
        The exit status.

    Raises:
        InputError: one of the paths cannot be tested, or the images are not those it was trained with.
    """
    check_choice("protocol", protocol, (*PROTOCOLS, "ensemble"))
    if protocol == "ensemble" and len(paths) < 2:
        raise InputError("an ensemble needs at least two run folders or weight files")
    subjects = [Subject(path, _record(path) if path.is_dir() else None) for path in paths]
    images = folder.load(data)
    for subject in subjects:
        _check_data(subject, images)
    name = f"{protocol}-recalibrated" if recalibrate else protocol
    groups = [subjects] if protocol == "ensemble" else [[subject] for subject in subjects]
    of_each: Protocol = "dense" if protocol == "ensemble" else protocol  # type: ignore[assignment]
    for group in groups:
        candidates = [_load(subject, images, recalibrate) for subject in group]
        _report(group, name, evaluate_protocol(candidates, of_each, images.val))
    return 0


def _report(subjects: Sequence[Subject], name: str, score: Score) -> None:
    """Print one result, and add it to the record of each run that it is about."""
    members = [subject.name for subject in subjects]
    results: dict[str, object] = dict(score.columns(name))
    if len(members) > 1:
        results[f"{name}/members"] = members
    for subject in subjects:
        if subject.record is not None:
            subject.record.add(results)
    broken = f"; {score.broken:,} files are broken" if score.broken else ""
    print(
        f"{' + '.join(members)}: {name} top-1 {results[f'{name}/top1_error']:.3f} % ({score.top1_wrong:,} of "
        f"{score.seen:,} wrong), top-5 {results[f'{name}/top5_error']:.3f} % ({score.top5_wrong:,} wrong){broken}"
    )


def _record(path: Path) -> Record:
    """The record in a run folder, which must be finished."""
    record = Record.at(path)
    if record.spec.dataset != "imagenet":
        raise InputError(
            f"{record.spec.name} is not an ImageNet run; runs on other data sets are tested while they train"
        )
    if record.summary() is None or not record.checkpoint.exists():
        raise InputError(f"{record.folder} is not finished or has no checkpoint; train it to the end first")
    return record


def _check_data(subject: Subject, images: Folder) -> None:
    if subject.record and subject.record.provenance()["data_fingerprint"] != images.fingerprint:
        raise InputError(
            f"{subject.record.folder} was trained with other images or another mean; give its folder with --data=PATH"
        )


def _load(subject: Subject, images: Folder, recalibrate: bool) -> Candidate:
    """The network of a run folder or of a weight file, on the GPU where there is one."""
    device = torch.device("cuda" if has_cuda() else "cpu")
    if subject.record is None:
        if recalibrate:
            raise InputError(f"{subject.path} is not a run folder; only runs of this study can be recalibrated")
        net, mean = read_torchvision(subject.path)
        return Candidate(net.to(device), torch.from_numpy(mean).to(device))
    spec = subject.record.spec
    net, _ = load_checkpoint(spec, subject.record.checkpoint)
    net = net.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    if recalibrate:
        recalibrated(net, spec, images, device)
    return Candidate(net, torch.from_numpy(images.mean).to(device))


def recalibrated(net: ResNet, spec: Spec, images: Folder, device: torch.device) -> None:
    """Set batch norm's statistics to true averages over training batches, those of the run's first steps."""
    recipe = recipe_for(spec)
    batches = ImageNet(images).on(device, recipe)
    steps = max(1, min(RECALIBRATION_IMAGES, batches.train_size) // recipe.batch)
    update_bn((batches.batch(spec.seed, step)[0] for step in range(steps)), net)
