"""The formats of an exported network: writing each, and computing with what was written by its own runtime."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor, nn

from study.spec import InputError
from study.weights.pretrained import WEIGHTS, Config, Preprocess, TrainedResNet, stored, write_safetensors

Format = Literal["safetensors", "torchscript", "onnx"]


@dataclass(frozen=True)
class Source:
    """A trained network, what it expects of its images, and its description, whose file is still to be written."""

    net: TrainedResNet
    preprocess: Preprocess
    config: Config


@torch.inference_mode()
def logits_of(source: Source, images: Tensor) -> Tensor:
    """The logits of images of levels (N, C, H, W), by torch."""
    logits: Tensor = source.net(source.preprocess(images).contiguous(memory_format=torch.channels_last))
    return logits


def noise(source: Source, count: int) -> Tensor:
    """Images of random levels, as floats (N, C, H, W)."""
    generator = torch.Generator().manual_seed(0)
    levels = torch.randint(0, source.preprocess.peak + 1, (count, *source.preprocess.size), generator=generator)
    return levels.float()


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
        traced = torch.jit.trace(FromLevels(source).eval(), noise(source, 2))  # type: ignore[no-untyped-call]
    traced.save(str(path))
    return path


def _write_onnx(out: Path, source: Source, dtype: torch.dtype) -> Path:
    _only_float32(dtype, "onnx")
    path = out / "model.onnx"
    try:
        torch.onnx.export(
            FromLevels(source).eval(),
            (noise(source, 2),),
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


@torch.inference_mode()
def by_torchscript(path: Path, images: Tensor) -> Tensor:
    """The logits of images of levels, by a TorchScript file."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        logits: Tensor = torch.jit.load(str(path))(images)  # type: ignore[no-untyped-call]
    return logits


def by_onnx(path: Path, images: Tensor) -> Tensor:
    """The logits of images of levels, by an ONNX file."""
    try:
        import onnxruntime
    except ImportError:
        raise InputError("an ONNX file is checked by onnxruntime; run: pip install 'resnet-study[onnx]'") from None
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return torch.from_numpy(session.run(None, {"images": images.numpy()})[0])
