"""The verb ``probe``: what trained networks compute, written part by part beside each run as probes.json."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import torch
from rich.console import Console

from study.data.datasets import dataset_info, load_in_memory
from study.data.images import Arrays, Images
from study.machine.device import has_cuda
from study.network import ResNet, architecture
from study.probes.display import show
from study.probes.measures import MEASURES
from study.probes.similarity import COMPARED, SIMILARITY, compared, with_other
from study.recipes import Recipe, recipe_for
from study.recording.evaluation import Row
from study.recording.files import write_json
from study.recording.record import PROBES, Record
from study.recording.schema import PROBE_PARTS
from study.recording.wandb.sync import refresh
from study.spec import InputError, Spec
from study.sweeps.about import about
from study.weights.checkpoint import check_images, load_checkpoint
from study.weights.digest import weights_sha256


@dataclass(frozen=True)
class Subject:
    """A trained network and the images that it was trained with, on one device."""

    record: Record
    net: ResNet
    step: int
    images: Images
    weights: str

    @property
    def spec(self) -> Spec:
        """Its cell."""
        return self.record.spec

    def found(self) -> Row:
        """What is on record of this network; what was measured at another step or of other weights is not counted."""
        kept = self.record.measurement(PROBES) or {}
        named = {"run": self.spec.name, "step": self.step, "weights_sha256": self.weights}
        is_same = all(kept.get(key, value) == value for key, value in named.items())  # older files name no weights
        return kept | named if is_same else named

    def keep(self, part: str, value: Any) -> None:
        """Add a part to probes.json."""
        write_json(self.record.folder / f"{PROBES}.json", self.found() | {part: value}, indent=None)


def probe(folders: Sequence[Path], data: Path, only: Sequence[str] = PROBE_PARTS) -> int:
    """Probe the networks in run folders, write FOLDER/probes.json, and print a summary.

    A part that is on record already is not measured again, so that a probe that was interrupted goes on.

    Args:
        folders: Run folders with checkpoints.
        data: The folder that holds the data sets.
        only: The parts that are measured.

    Returns:
        The exit status.

    Raises:
        InputError: A folder holds no checkpoint, or its data set does not fit into memory or is another one.
    """
    subjects = [_subject(folder, data) for folder in folders]
    for subject in subjects:
        found = subject.found()
        for part in [part for part in MEASURES if part in only and part not in found]:
            _say(f"{subject.spec.name}: {part}")
            subject.keep(part, MEASURES[part](subject.net, subject.spec, subject.images))
    if SIMILARITY in only:
        for number, subject in enumerate(subjects):
            for other in subjects[number:]:
                _compare(subject, other)
    for subject in subjects:
        show(subject.found())
    refresh([subject.record for subject in subjects], about)
    return 0


def _say(what: str) -> None:
    """Say what is being measured, on a terminal."""
    console = Console(stderr=True)
    if console.is_terminal:
        console.print(what)


def _subject(folder: Path, data: Path) -> Subject:
    record = _record(folder)
    images = _images(record, data)
    net, step = load_checkpoint(record.spec, record.checkpoint)
    net.to(images.crops.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    return Subject(record, net, step, images, weights_sha256(net))


def _compare(subject: Subject, other: Subject) -> None:
    """Add the similarity of two networks to the record of the first, unless it is there or their images differ."""
    if subject.record.provenance()["data_fingerprint"] != other.record.provenance()["data_fingerprint"]:
        return

    def measure() -> Row:
        _say(f"{subject.spec.name} and {other.spec.name}: {SIMILARITY}")
        tests, theirs = (one.images.test_batch(0, min(COMPARED, one.images.test_size))[0] for one in (subject, other))
        return compared(subject.net, other.net, tests, theirs)

    kept = subject.found().get(SIMILARITY, [])
    named = {"with": other.spec.name, "weights_sha256": other.weights}
    if (rows := with_other(kept, named, measure)) != kept:
        subject.keep(SIMILARITY, rows)


def _record(folder: Path) -> Record:
    """Open the record of a run folder, which must have a checkpoint."""
    record = Record.at(folder)
    info = dataset_info(record.spec.dataset)
    if not info.in_memory:
        raise InputError(f"{record.spec.name} is a run on {info.title}; probes are for data sets that fit into memory")
    if architecture(record.spec.dataset, record.spec.depth).bottleneck:
        raise InputError(f"{record.spec.name} has bottleneck blocks; probes are for networks of basic blocks")
    if not record.checkpoint.exists():
        raise InputError(f"{record.folder} has no checkpoint; train it, or give the folder where it was trained")
    return record


def _images(record: Record, data: Path) -> Images:
    """Load the images that the run was trained with onto the GPU, where there is one."""
    check_images(record, _arrays(record.spec.dataset, data))
    return _batches(record.spec.dataset, data, replace(recipe_for(record.spec), warmup_error=None))


# Several networks share what is large: CIFAR-10 takes half a gigabyte.


@cache
def _arrays(dataset: str, data: Path) -> Arrays:
    return load_in_memory(dataset, data)


@cache
def _batches(dataset: str, data: Path, recipe: Recipe) -> Images:
    return _arrays(dataset, data).on(torch.device("cuda" if has_cuda() else "cpu"), recipe)
