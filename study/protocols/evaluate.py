"""The verb ``test``: test finished runs, or published weights, by the paper's protocols.

The errors of a run are added to its record. Those of weight files are only printed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch.optim.swa_utils import update_bn

from study.data.datasets import dataset_info
from study.data.imagenet.dataset import ImageNet
from study.data.interface import DataSet
from study.machine.device import has_cuda
from study.network import ResNet
from study.protocols.errors import Candidate, Score, evaluate_protocol
from study.protocols.in_memory import evaluate_in_memory
from study.protocols.views import Protocol
from study.recipes import recipe_for
from study.recording.record import Record
from study.recording.wandb.sync import refresh
from study.spec import InputError, Spec, check_choice
from study.sweeps.about import about
from study.weights.checkpoint import load_checkpoint
from study.weights.torchvision import DATASET, read_torchvision

RECALIBRATION_IMAGES = 51_200  # 200 batches of 256: "a sufficiently large training batch" (the authors' release notes)


@dataclass(frozen=True)
class Subject:
    """A run folder or a weight file to test.

    Attributes:
        path: As given on the command line.
        record: The run's record; None for a weight file.
    """

    path: Path
    record: Record | None

    @property
    def name(self) -> str:
        """The name of the folder or file, without those above it."""
        return self.path.resolve().name


def evaluate(paths: Sequence[Path], protocol: str | None, data: Path, recalibrate: bool) -> int:
    """Test run folders or weight files, print the errors, and add those of runs to their records.

    Args:
        paths: Run folders, or files of torchvision's weights.
        protocol: One that the data set has, or None for its usual one. ``ensemble`` is all of them together, each by
            ``dense`` (Table 5).
        data: The folder that holds the data sets.
        recalibrate: Whether batch norm's running averages are replaced by true averages first, as the authors did after
            training.

    Returns:
        The exit status.

    Raises:
        InputError: one of the paths cannot be tested, or its network was trained with other images.
    """
    dataset = _dataset(paths)
    protocol = _protocol(dataset, protocol)
    if protocol == "ensemble" and len(paths) < 2:
        raise InputError("an ensemble needs at least two run folders or weight files")
    subjects = [Subject(path, _record(path) if path.is_dir() else None) for path in paths]
    images = dataset_info(dataset).load(data)
    for subject in subjects:
        _check_data(subject, images)
    name = f"{protocol}-recalibrated" if recalibrate else protocol
    groups = [subjects] if protocol == "ensemble" else [[subject] for subject in subjects]
    for group in groups:
        _report(group, name, _score(group, protocol, images, recalibrate))
    refresh([subject.record for subject in subjects if subject.record], about)
    return 0


def _dataset(paths: Sequence[Path]) -> str:
    """The data set that all subjects were trained on."""
    names = {Record.at(path).spec.dataset if path.is_dir() else DATASET for path in paths}
    if len(names) > 1:
        raise InputError(f"runs on {' and '.join(sorted(names))} cannot be tested together; give them one at a time")
    return names.pop()


def _protocol(dataset: str, protocol: str | None) -> str:
    """The protocol that is used: the one that was given, if the data set has it, else the data set's first choice."""
    usual, *others = dataset_info(dataset).protocols
    check_choice(f"protocol for {dataset}", protocol or usual, (usual, *others))
    return protocol or usual


def _score(group: Sequence[Subject], protocol: str, images: DataSet, recalibrate: bool) -> Score:
    """Test one subject, or several as an ensemble."""
    if isinstance(images, ImageNet):
        of_each: Protocol = "dense" if protocol == "ensemble" else protocol  # type: ignore[assignment]
        candidates = [_load(subject, images, recalibrate) for subject in group]
        return evaluate_protocol(candidates, of_each, images.folder.val)
    (subject,) = group
    assert subject.record is not None, "weight files are ImageNet's"
    net, device = _trained(subject.record, images, recalibrate)
    return evaluate_in_memory(net, images, images.on(device, recipe_for(subject.record.spec)), protocol)


def _report(subjects: Sequence[Subject], name: str, score: Score) -> None:
    """Print one result, and add it to the records of the runs that were tested."""
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
    """Open the record of a finished run that can be tested."""
    record = Record.at(path)
    if record.summary() is None or not record.checkpoint.exists():
        raise InputError(f"{record.folder} is not finished or has no checkpoint; train it to the end first")
    return record


def _check_data(subject: Subject, images: DataSet) -> None:
    if subject.record and subject.record.provenance()["data_fingerprint"] != images.fingerprint:
        raise InputError(
            f"{subject.record.folder} was trained with other images or another mean; give its folder with --data=PATH"
        )


def _load(subject: Subject, images: ImageNet, recalibrate: bool) -> Candidate:
    """Load the network of a run folder or weight file onto the GPU, where there is one."""
    if subject.record is None:
        if recalibrate:
            raise InputError(f"{subject.path} is not a run folder; only runs of this study can be recalibrated")
        net, mean = read_torchvision(subject.path)
        device = _device()
        return Candidate(net.to(device), torch.from_numpy(mean).to(device))
    net, device = _trained(subject.record, images, recalibrate)
    return Candidate(net, torch.from_numpy(images.folder.mean).to(device))


def _trained(record: Record, images: DataSet, recalibrate: bool) -> tuple[ResNet, torch.device]:
    """The network of a run on its device, with true averages in batch norm if they are asked for."""
    device = _device()
    net, _ = load_checkpoint(record.spec, record.checkpoint)
    net = net.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    if recalibrate:
        recalibrated(net, record.spec, images, device)
    return net, device


def _device() -> torch.device:
    return torch.device("cuda" if has_cuda() else "cpu")


def recalibrated(net: ResNet, spec: Spec, images: DataSet, device: torch.device) -> None:
    """Set batch norm's statistics to averages over training batches, in place.

    Args:
        net: The network, on `device`.
        spec: Its cell.
        images: The images it was trained on; the batches of the run's first steps are used.
        device: Where the network is.
    """
    recipe = recipe_for(spec)
    batches = images.on(device, recipe)
    steps = max(1, min(RECALIBRATION_IMAGES, batches.train_size) // recipe.batch)
    update_bn((batches.batch(spec.seed, step)[0] for step in range(steps)), net)
