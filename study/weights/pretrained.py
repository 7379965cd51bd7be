"""An exported network: a folder with its weights as safetensors, its description as JSON, and a model card.

Reading one needs torch and safetensors only, and executes nothing: safetensors holds numbers, JSON text.

    DIR/model.safetensors  the state dict of `study.network`'s network, and ``preprocess.mean`` (C, H, W)
        config.json        the five factors, the sizes, the errors, and the digest of the file
        README.md          the model card
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from study.network import ResNet, Shortcut, StrideIn, architecture
from study.spec import InputError

WEIGHTS, CONFIG, CARD = "model.safetensors", "config.json", "README.md"
MEAN = "preprocess.mean"  # the one tensor of the file that is not the network's


@dataclass(frozen=True)
class Counted:
    """Errors on a test set, as two integers."""

    wrong: int
    seen: int

    @property
    def percent(self) -> float:
        """The top-1 error in percent."""
        return 100 * self.wrong / self.seen


@dataclass(frozen=True)
class Config:
    """``config.json``: which network it is and what it was measured to do.

    Attributes:
        name: The name of the run that trained it.
        dataset: As for `study.network.build`.
        depth: As for `study.network.build`.
        shortcut: As for `study.network.build`.
        stride_in: As for `study.network.build`.
        recipe: How it was trained.
        seed: Of its initial weights and batches.
        image_size: Channels, height and width of its input.
        peak: The brightest level of a pixel.
        classes: The name of each output.
        dtype: The type in which the file stores the weights; they are loaded as float32.
        recorded: Test errors in the record of the run.
        measured: Test errors of the file's own weights in float32; None on a data set that `study test` tests.
        trained: How it was trained, from the record of the run.
        file: The name of the file with the weights.
        sha256: Its SHA-256.
    """

    name: str
    dataset: str
    depth: int
    shortcut: Shortcut
    stride_in: StrideIn
    recipe: str
    seed: int
    image_size: tuple[int, int, int]
    peak: int
    classes: tuple[str, ...]
    dtype: str
    recorded: Counted
    measured: Counted | None
    trained: Mapping[str, Any]
    file: str
    sha256: str

    @classmethod
    def read(cls, folder: Path) -> Config:
        """Read the description of an exported network.

        Raises:
            InputError: the folder holds none, or another program's.
        """
        try:
            values = json.loads((folder / CONFIG).read_text())
            measured = values["measured"] and Counted(**values["measured"])
            lists = {key: tuple(values[key]) for key in ("image_size", "classes")}
            return cls(**{**values, **lists, "recorded": Counted(**values["recorded"]), "measured": measured})
        except FileNotFoundError:
            raise InputError(f"{folder} has no {CONFIG}; give a folder that study export has written") from None
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            raise InputError(f"{folder / CONFIG} does not describe an exported network of this study") from None

    def write(self, folder: Path) -> None:
        """Write the description."""
        (folder / CONFIG).write_text(json.dumps(asdict(self), indent=2) + "\n")


@dataclass(frozen=True)
class Preprocess:
    """What a network expects of images: levels less the training images' per-pixel mean, on [0, 1] (Sec. 4.2).

    Attributes:
        mean: (C, H, W), in levels.
        peak: The brightest level of a pixel.
        std: (C, 1, 1), on [0, 1]; None, as in the paper and this study, divides by nothing more.
    """

    mean: Tensor
    peak: int
    std: Tensor | None = None

    @property
    def size(self) -> tuple[int, int, int]:
        """Channels, height and width of an image."""
        channels, height, width = self.mean.shape
        return channels, height, width

    def __call__(self, images: Tensor) -> Tensor:
        """Normalise images of levels (N, C, H, W), as bytes or floats from 0 to `peak`.

        Raises:
            ValueError: the images have another size.
        """
        if tuple(images.shape[-3:]) != self.size:
            raise ValueError(f"images of {tuple(images.shape[-3:])} were given, and the network takes {self.size}")
        on_unit = images.float().sub(self.mean.to(images.device)).div(self.peak)
        return on_unit if self.std is None else on_unit.div(self.std.to(images.device))


class TrainedResNet(ResNet):
    """A trained network in evaluation mode: ``net(net.preprocess(images))`` are the logits of images of levels.

    Attributes:
        config: What it is and how it was measured; None if it comes from a run folder.
        card: Its model card; empty if it comes from a run folder.
        make_preprocess: Finds out what `preprocess` is.
    """

    def __init__(self, dataset: str, depth: int, shortcut: Shortcut, stride_in: StrideIn = "1x1") -> None:
        super().__init__(architecture(dataset, depth), shortcut, stride_in)
        self.config: Config | None = None
        self.card = ""
        self.make_preprocess: Callable[[], Preprocess] = _unknown

    @property
    def preprocess(self) -> Preprocess:
        """What turns images of levels into inputs.

        Raises:
            InputError: the network comes from a run folder, and the training images, whose mean it subtracts, are not
                where they are looked for.
        """
        return self.make_preprocess()


def _unknown() -> Preprocess:
    raise InputError("this network was not loaded, so that its preprocessing is not known; use study.load")


def read_exported(folder: Path, kind: type[TrainedResNet] = TrainedResNet) -> TrainedResNet:
    """Load the network of a folder that ``study export`` wrote: on the CPU, in evaluation mode, in float32.

    Args:
        folder: The folder.
        kind: The class to make.

    Raises:
        InputError: the folder is not complete, the file was changed, or it holds another network's weights.
    """
    config = Config.read(folder)
    tensors = _read_tensors(folder, config)
    mean = tensors.pop(MEAN, None)
    if mean is None:
        raise InputError(f"{folder / WEIGHTS} has no {MEAN}; export the network again")
    try:
        net = kind(config.dataset, config.depth, config.shortcut, config.stride_in)
    except ValueError as error:
        raise InputError(f"{folder / CONFIG} describes no network: {error}") from None
    if difference := first_difference(tensors, net.state_dict()):
        raise InputError(f"{folder / WEIGHTS} does not hold the network of {CONFIG}: {difference}")
    net.load_state_dict(tensors)
    preprocess = Preprocess(mean, config.peak)
    net.config, net.make_preprocess = config, lambda: preprocess
    net.card = (folder / CARD).read_text() if (folder / CARD).exists() else ""
    return net.eval()


def _read_tensors(folder: Path, config: Config) -> dict[str, Tensor]:
    """The tensors of the file, floats as float32."""
    from safetensors import SafetensorError
    from safetensors.torch import load

    path = folder / WEIGHTS
    if config.file != WEIGHTS or not path.exists():
        raise InputError(f"{folder} has no {WEIGHTS}; export the network again with --format=safetensors")
    content = path.read_bytes()
    if hashlib.sha256(content).hexdigest() != config.sha256:
        raise InputError(
            f"{path} is not the file that {CONFIG} describes (its SHA-256 differs); fetch or export it again"
        )
    try:
        return {name: _in_full(tensor) for name, tensor in load(content).items()}
    except SafetensorError as error:
        raise InputError(f"{path} is not a safetensors file: {error}") from None


def first_difference(found: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> str:
    """Name the first tensor that a state dict lacks, has besides, or has in another shape; empty if there is none."""
    both = sorted(set(found) & set(wanted))
    differences = [
        *(f"it lacks {name}" for name in sorted(set(wanted) - set(found))),
        *(f"it has {name} besides" for name in sorted(set(found) - set(wanted))),
        *(f"its {name} is {tuple(found[name].shape)}" for name in both if found[name].shape != wanted[name].shape),
    ]
    more = f" (and {len(differences) - 1} more differ)" if len(differences) > 1 else ""
    return f"{differences[0]}{more}" if differences else ""


def _in_full(tensor: Tensor) -> Tensor:
    return tensor.float() if tensor.is_floating_point() else tensor


def save_exported(net: TrainedResNet, folder: Path) -> None:
    """Write a network that was read from an exported folder as such a folder; the bytes are equal.

    Raises:
        InputError: it was not read from one, so that nothing is known of its training and its errors.
    """
    if net.config is None:
        raise InputError("only a network that study.load has read from an exported folder can be saved as one")
    folder.mkdir(parents=True, exist_ok=True)
    write_safetensors(folder / WEIGHTS, stored(net, net.preprocess.mean, getattr(torch, net.config.dtype)))
    replace(net.config, sha256=sha256(folder / WEIGHTS)).write(folder)
    (folder / CARD).write_text(net.card)


def stored(net: ResNet, mean: Tensor, dtype: torch.dtype) -> dict[str, Tensor]:
    """The tensors of an exported file: weights rounded to `dtype`, batch-norm statistics and the mean in float32."""
    weights = {name for name, _ in net.named_parameters()}
    state = {name: tensor.to(dtype) if name in weights else tensor for name, tensor in net.state_dict().items()}
    return {name: tensor.contiguous() for name, tensor in {**state, MEAN: mean}.items()}


def write_safetensors(path: Path, tensors: dict[str, Tensor]) -> None:
    """Write tensors as safetensors; equal tensors give equal bytes.

    Raises:
        InputError: there is no numpy, which reading does without.
    """
    from safetensors.torch import save

    try:
        content = save(tensors, metadata={"format": "pt"})
    except ImportError as error:
        raise InputError(f"safetensors writes with the help of {error.name}; run: pip install {error.name}") from None
    path.write_bytes(content)


def sha256(path: Path) -> str:
    """The SHA-256 of a file, as hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
