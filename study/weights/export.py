"""``study export``: a trained network as a folder that others can load, with a model card and a digest.

What was written is read back: its outputs must be those of the network before the folder counts as exported.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, get_args

import torch
from rich.console import Console
from rich.progress import track
from torch import Tensor, nn

from study.data.datasets import dataset_info, load_dataset
from study.data.images import Arrays
from study.recipes import recipe_for
from study.recording.record import Record
from study.spec import InputError, Spec, check_choice
from study.weights.card import card
from study.weights.checkpoint import load_run, mean_of_run
from study.weights.digest import weights_sha256
from study.weights.pretrained import (
    CARD,
    CONFIG,
    WEIGHTS,
    Config,
    Counted,
    Preprocess,
    TrainedResNet,
    read_exported,
    sha256,
    stored,
    write_safetensors,
)

Format = Literal["safetensors", "torchscript", "onnx"]
Dtype = Literal["float32", "bfloat16", "float16"]
CHECKED_IMAGES = 100  # whose outputs are compared after writing
TOLERANCE = 1e-4  # of logits, between torch and another runtime
PART = 500  # test images at a time
COVARIATES = ("commit", "dirty", "device", "world_size", "per_device_batch", "precision", "step_path")


@dataclass(frozen=True)
class Source:
    """A trained network, what it expects of its images, and its description, whose file is still to be written."""

    net: TrainedResNet
    preprocess: Preprocess
    config: Config


def export(folder: Path, out: Path, kind: str, dtype: str, data: Path) -> Config:
    """Export the network of a finished run, or of an exported folder in another format.

    Args:
        folder: A run folder, or a folder that was exported before.
        out: The folder to write; it is made.
        kind: The format of the file: ``safetensors``, ``torchscript`` or ``onnx``.
        dtype: The type in which the weights are stored. Rounding them changes some answers; errors are counted again.
        data: The folder of the data sets: the mean is that of the training images, errors are those on the test images.

    Returns:
        The description that was written.

    Raises:
        InputError: the run is not finished, its images are not there, a package is missing, or `out` cannot be written.
    """
    check_choice("format", kind, get_args(Format))
    check_choice("dtype", dtype, get_args(Dtype))
    source = _exported(folder) if (folder / CONFIG).exists() else _trained(folder, data)
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
    (out / CARD).write_text(card(config))
    _check(out, rounded)
    return config


def _exported(folder: Path) -> Source:
    """Read a network that was exported before."""
    net = read_exported(folder)
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
    spec = Spec(*(getattr(source.config, key) for key in ("dataset", "depth", "shortcut", "recipe", "seed")))
    dataset = load_dataset(spec, data)
    if not isinstance(dataset, Arrays):
        return None
    images = torch.from_numpy(dataset.test_images).permute(0, 3, 1, 2)
    labels = torch.from_numpy(dataset.test_labels)
    parts = range(0, len(labels), PART)
    console = Console(stderr=True)
    wrong = 0
    for start in track(parts, f"errors of {spec.title}", console=console, disable=not console.is_terminal):
        part = slice(start, start + PART)
        wrong += int((_logits(source, images[part]).argmax(1) != labels[part]).sum())
    return Counted(wrong, len(labels))


@torch.inference_mode()
def _logits(source: Source, images: Tensor) -> Tensor:
    logits: Tensor = source.net(source.preprocess(images).contiguous(memory_format=torch.channels_last))
    return logits


# Formats


class FromLevels(nn.Module):
    """A network with its preprocessing, for runtimes that know nothing of it: images of levels in, logits out."""

    mean: Tensor

    def __init__(self, source: Source) -> None:
        super().__init__()
        self.net, self.peak = source.net, float(source.preprocess.peak)
        self.register_buffer("mean", source.preprocess.mean)

    def forward(self, images: Tensor) -> Tensor:
        """Images of levels (N, C, H, W), as floats, to logits (N, classes)."""
        logits: Tensor = self.net((images - self.mean) / self.peak)
        return logits


def _write_safetensors(out: Path, source: Source, dtype: torch.dtype) -> Path:
    path = out / WEIGHTS
    write_safetensors(path, stored(source.net, source.preprocess.mean, dtype))
    return path


def _write_torchscript(out: Path, source: Source, dtype: torch.dtype) -> Path:
    _only_float32(dtype, "torchscript")
    path = out / "model.torchscript"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # that torch.export is preferred, which ONNX is written by
        traced = torch.jit.trace(FromLevels(source).eval(), _noise(source, 2))  # type: ignore[no-untyped-call]
    traced.save(str(path))
    return path


def _write_onnx(out: Path, source: Source, dtype: torch.dtype) -> Path:
    _only_float32(dtype, "onnx")
    path = out / "model.onnx"
    try:
        torch.onnx.export(
            FromLevels(source).eval(),
            (_noise(source, 2),),
            path,
            input_names=["images"],
            output_names=["logits"],
            dynamic_shapes={"images": {0: torch.export.Dim("batch")}},
            dynamo=True,
            external_data=False,
            verbose=False,
        )
    except ImportError as error:
        raise InputError(f"--format=onnx needs {error.name}; run: pip install 'resnet-study[onnx]'") from None
    return path


WRITERS: dict[str, Callable[[Path, Source, torch.dtype], Path]] = {
    "safetensors": _write_safetensors,
    "torchscript": _write_torchscript,
    "onnx": _write_onnx,
}


def _only_float32(dtype: torch.dtype, kind: Format) -> None:
    if dtype != torch.float32:
        raise InputError(f"--dtype is for --format=safetensors; a {kind} file holds float32")


# The check


def _check(out: Path, source: Source) -> None:
    """Compare the outputs of what was written with those of the network, on images of random levels.

    Raises:
        RuntimeError: they differ; nobody should use the file.
    """
    images = _noise(source, CHECKED_IMAGES)
    expected = _logits(source, images)
    found = outputs(out, images)
    if not torch.allclose(found, expected, rtol=0, atol=TOLERANCE * max(1.0, float(expected.abs().max()))):
        difference = float((found - expected).abs().max())
        raise RuntimeError(f"the outputs of {out} differ from the network's by {difference:.2g}")


def _noise(source: Source, count: int) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    levels = torch.randint(0, source.preprocess.peak + 1, (count, *source.preprocess.size), generator=generator)
    return levels.float()


@torch.inference_mode()
def outputs(folder: Path, images: Tensor) -> Tensor:
    """The logits of an exported network, by the runtime of its format, for images of levels (N, C, H, W) as floats."""
    path = folder / Config.read(folder).file
    match path.suffix:
        case ".torchscript":
            return _by_torchscript(path, images)
        case ".onnx":
            return _by_onnx(path, images)
        case _:
            return _logits(_exported(folder), images)


def _by_torchscript(path: Path, images: Tensor) -> Tensor:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        logits: Tensor = torch.jit.load(str(path))(images)  # type: ignore[no-untyped-call]
    return logits


def _by_onnx(path: Path, images: Tensor) -> Tensor:
    try:
        import onnxruntime
    except ImportError:
        raise InputError("an ONNX file is checked by onnxruntime; run: pip install 'resnet-study[onnx]'") from None
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return torch.from_numpy(session.run(None, {"images": images.numpy()})[0])
