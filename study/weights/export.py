"""``study export``: a trained network as a folder that others can load, with a model card and a digest.

What was written is read back: its outputs must be those of the network before the folder counts as exported.
"""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, get_args

import torch
from torch import Tensor

from study.data.datasets import dataset_info, load_dataset
from study.data.images import Arrays
from study.recipes import recipe_for
from study.recording.progress import progress
from study.recording.record import Record
from study.spec import InputError, Spec, check_choice
from study.weights.card import card
from study.weights.checkpoint import load_run, mean_of_run
from study.weights.digest import weights_sha256
from study.weights.formats import WRITERS, Format, Source, by_onnx, by_torchscript, logits_of, noise
from study.weights.load import is_wandb_run, load_artifact
from study.weights.pretrained import CARD, CONFIG, Config, Counted, TrainedResNet, read_exported, sha256

Dtype = Literal["float32", "bfloat16", "float16"]
CHECKED_IMAGES = 100  # whose outputs are compared after writing
TOLERANCE = 1e-4  # of logits, between torch and another runtime
COVARIATES = ("commit", "dirty", "device", "world_size", "per_device_batch", "precision", "step_path")


def export(folder: Path, out: Path, kind: str, dtype: str, data: Path) -> Config:
    """Export the network of a finished run, or of an exported folder in another format.

    Args:
        folder: A run folder, a folder that was exported before, or ENTITY/PROJECT/RUN of a run in W&B.
        out: The folder to write; it is made.
        kind: The format of the file: ``safetensors``, ``torchscript`` or ``onnx``.
        dtype: The type in which the weights are stored. Rounding them changes some answers; errors are counted again.
        data: The folder of the data sets: the mean is that of the training images, errors are those on the test images.

    Returns:
        The description that was written.

    Raises:
        InputError: the run is not finished, or is not in W&B, its images are not there, a package is missing, or `out`
            cannot be written.
    """
    check_choice("format", kind, get_args(Format))
    check_choice("dtype", dtype, get_args(Dtype))
    source = _source(folder, data)
    rounded = _rounded(source, getattr(torch, dtype))
    try:
        out.mkdir(parents=True, exist_ok=True)
        file = WRITERS[kind](out, rounded, getattr(torch, dtype))
    except OSError as error:
        raise InputError(f"{out} cannot be written ({error.strerror}); give another folder with --out=DIR") from None
    is_new = dtype != source.config.dtype or source.config.measured is None
    measured = _measure(rounded, data) if is_new else source.config.measured
    config = replace(source.config, dtype=dtype, measured=measured, file=file.name, sha256=sha256(file))
    config.write(out)
    is_copy = config == source.config and source.net.card  # its card may be of a study with fewer departures
    (out / CARD).write_text(source.net.card if is_copy else card(config))
    _check(out, rounded)
    return config


def _source(folder: Path, data: Path) -> Source:
    if (folder / CONFIG).exists():
        return _exported(read_exported(folder))
    return _exported(load_artifact(str(folder))) if is_wandb_run(folder) else _trained(folder, data)


def _exported(net: TrainedResNet) -> Source:
    """A network that was exported before."""
    assert net.config is not None
    return Source(net, net.preprocess, net.config)


def _trained(folder: Path, data: Path) -> Source:
    """Read the network of a finished run, and describe it by its record."""
    net, record = load_run(folder)
    summary = record.summary()
    if summary is None:
        raise InputError(f"{folder} is not finished; train it to the end first")
    if summary["weights_sha256"] != weights_sha256(net):
        raise InputError(f"the checkpoint of {folder} is not the one that its summary describes; it cannot be exported")
    preprocess, info = mean_of_run(record, data), dataset_info(record.spec.dataset)
    net.make_preprocess = lambda: preprocess
    config = Config(
        **record.spec.factors,  # type: ignore[arg-type]
        name=record.spec.name,
        stride_in="1x1",
        image_size=info.image_size,
        peak=preprocess.peak,
        classes=load_dataset(record.spec, data).classes,
        dtype="float32",
        recorded=Counted(summary["test/wrong"], summary["test/seen"]),
        measured=None,
        trained=_training(record, summary),
        file="",
        sha256="",
    )
    return Source(net, preprocess, config)


def _training(record: Record, summary: dict[str, Any]) -> dict[str, Any]:
    """How a run was trained, for its card: from the record, nothing else."""
    provenance = record.provenance()
    recipe = recipe_for(record.spec)
    keys = ("batch", "steps", "lr", "decay", "drops", "ramp", "warmup_error", "momentum", "weight_decay", "pad", "flip")
    return {
        **{key: provenance["recipe"].get(key) for key in keys},
        "scale": recipe.scale,
        "train_images": provenance["recipe"].get("train_images"),
        "train_top1_error": summary["train/top1_error"],
        "weights_sha256": summary["weights_sha256"],
        **{key: provenance.get(key) for key in COVARIATES},
        "torch": provenance["versions"]["torch"],
        "data_fingerprint": provenance["data_fingerprint"],
        "sessions": 1 + len(provenance["resumed"]),
    }


def _rounded(source: Source, dtype: torch.dtype) -> Source:
    """The network with its weights rounded to a type, in float32 again: what a reader of the file gets."""
    net = deepcopy(source.net)
    with torch.no_grad():
        for weights in net.parameters():
            weights.copy_(weights.to(dtype))
    return replace(source, net=net)


def _measure(source: Source, data: Path) -> Counted | None:
    """Count the errors of a network on the test images; None where `study test` does, by the paper's crops."""
    if not dataset_info(source.config.dataset).in_memory:
        return None
    spec = Spec(*(getattr(source.config, key) for key in ("dataset", "depth", "shortcut", "recipe", "seed")))
    dataset = load_dataset(spec, data)
    assert isinstance(dataset, Arrays)
    images = torch.from_numpy(dataset.test_images).permute(0, 3, 1, 2)
    labels = torch.from_numpy(dataset.test_labels)
    parts = range(0, len(labels), dataset.evaluation_batch)
    wrong = 0
    for start in progress(parts, f"errors of {spec.title}"):
        part = slice(start, start + dataset.evaluation_batch)
        wrong += int((logits_of(source, images[part]).argmax(1) != labels[part]).sum())
    return Counted(wrong, len(labels))


def _check(out: Path, source: Source) -> None:
    """Compare the outputs of what was written with those of the network, on images of random levels.

    Raises:
        RuntimeError: they differ; nobody should use the file.
    """
    images = noise(source, CHECKED_IMAGES)
    expected = logits_of(source, images)
    found = outputs(out, images)
    if not torch.allclose(found, expected, rtol=0, atol=TOLERANCE * max(1.0, float(expected.abs().max()))):
        difference = float((found - expected).abs().max())
        raise RuntimeError(f"the outputs of {out} differ from the network's by {difference:.2g}")


def outputs(folder: Path, images: Tensor) -> Tensor:
    """The logits of an exported network, by the runtime of its format, for images of levels (N, C, H, W) as floats."""
    path = folder / Config.read(folder).file
    match path.suffix:
        case ".torchscript":
            return by_torchscript(path, images)
        case ".onnx":
            return by_onnx(path, images)
        case _:
            return logits_of(_exported(read_exported(folder)), images)
