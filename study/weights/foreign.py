"""CIFAR-10 networks that others trained and published, put into our networks.

Each `Layout` says how a code base names its tensors, how its option A pads, and what it does to its images. The network
that comes out computes what theirs computes: a bias of a convolution moves into the mean of the batch norm behind it,
and half of the zero channels in front is another order of a stage's channels.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from pickle import UnpicklingError

import numpy as np
import torch
from torch import Tensor

from study.data.images import Arrays, Border
from study.data.interface import Floats, Ints
from study.network import TASKS, Shortcut, architecture
from study.spec import InputError, title
from study.weights.pretrained import Preprocess, TrainedResNet, first_difference

UNREADABLE = (OSError, EOFError, RuntimeError, UnpicklingError, LookupError, AttributeError, TypeError, ValueError)
IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))  # mean and standard deviation of RGB on [0, 1]


Renaming = tuple[str, str | Callable[[re.Match[str]], str]]  # a pattern, and what it becomes


@dataclass(frozen=True)
class Layout:
    """How one code base stores a network.

    Attributes:
        repository: On GitHub.
        names: Patterns of its tensors' names and what they become, applied in order.
        example: A tensor that only this layout has, by which a file is recognised.
        half_in_front: Whether option A puts half of the zero channels before the image's.
        mean: Per channel on [0, 1], or a function of the data set to a per-pixel mean (H, W, C) in levels.
        stated: How the networks were trained, by the repository's own words.
        std: Per channel on [0, 1].
        border: What its crops have around an image.
        trained_on: The numbers of the training images that were used, of a data set; None where all were.
    """

    repository: str
    names: tuple[Renaming, ...]
    example: str
    half_in_front: bool
    mean: tuple[float, float, float] | Callable[[Arrays], Floats]
    stated: str
    std: tuple[float, float, float] = (1.0, 1.0, 1.0)
    border: Border = "black"
    trained_on: Callable[[Arrays], Ints] | None = None


def _stratified(arrays: Arrays) -> Ints:
    """The 45,000 images that wooyeolBaek's training kept: stratified, random state 2023."""
    from sklearn.model_selection import train_test_split

    numbers = np.arange(len(arrays.train_labels))
    kept, _ = train_test_split(numbers, test_size=0.1, random_state=2023, stratify=arrays.train_labels)
    return np.asarray(kept)


def _stratified_mean(arrays: Arrays) -> Floats:
    """The per-pixel mean of these images."""
    kept = arrays.train_images[_stratified(arrays)]
    mean: Floats = kept.mean(axis=0, dtype=np.float64).astype(np.float32)
    return mean


LAYOUTS: tuple[Layout, ...] = (
    Layout(
        repository="a-martyn/resnet",
        names=(
            (r"^convIn\.", "stem.conv."),
            (r"^bnIn\.", "stem.bn."),
            (r"^stack1\.", "stage1."),
            (r"^stack([23])a\.", r"stage\1.0."),
            (r"^stack([23])b\.(\d+)\.", lambda found: f"stage{found[1]}.{int(found[2]) + 1}."),
            (r"^fcOut\.", "head."),
        ),
        example="convIn.weight",
        half_in_front=False,
        mean=(0.49187, 0.49186, 0.49186),
        stated="50,000 images, 164 epochs, batch 128",
        std=(0.24697, 0.24697, 0.24697),
    ),
    Layout(
        repository="wooyeolBaek/deep-residual-learning",
        names=(
            (r"^conv1\.conv1\.", "stem.conv."),
            (r"^conv1\.bn1\.", "stem.bn."),
            (r"^conv(\d)_x\.conv\d_x\.", lambda found: f"stage{int(found[1]) - 1}."),
            (r"\.f\.0\.", ".conv1."),
            (r"\.f\.1\.", ".bn1."),
            (r"\.f\.3\.", ".conv2."),
            (r"\.f\.4\.", ".bn2."),
            (r"^fc\.fc\.", "head."),
        ),
        example="conv1.conv1.weight",
        half_in_front=True,
        mean=_stratified_mean,
        stated="45,000 images, 64,000 steps, batch 128, mixed precision",
        border="reflect",
        trained_on=_stratified,
    ),
    Layout(
        repository="akamaster/pytorch_resnet_cifar10",
        names=(
            (r"^module\.", ""),
            (r"^conv1\.", "stem.conv."),
            (r"^bn1\.", "stem.bn."),
            (r"^layer", "stage"),
            (r"^linear\.", "head."),
        ),
        example="module.linear.weight",
        half_in_front=True,
        mean=IMAGENET[0],
        stated="50,000 images, 200 epochs, batch 128",
        std=IMAGENET[1],
    ),
    Layout(
        repository="chenyaofo/pytorch-cifar-models",
        names=(
            (r"^conv1\.", "stem.conv."),
            (r"^bn1\.", "stem.bn."),
            (r"^layer", "stage"),
            (r"\.downsample\.0\.", ".shortcut.conv."),
            (r"\.downsample\.1\.", ".shortcut.bn."),
            (r"^fc\.", "head."),
        ),
        example="fc.weight",
        half_in_front=False,
        mean=(0.4914, 0.4822, 0.4465),
        stated="50,000 images, 200 epochs, batch 256, cosine rate, option B",
        std=(0.2023, 0.1994, 0.2010),
    ),
)


@dataclass(frozen=True)
class Network:
    """Which of our networks a file is said to hold: ``cifar10-56-A`` on the command line."""

    dataset: str
    depth: int
    shortcut: Shortcut

    @classmethod
    def parse(cls, name: str) -> Network:
        """Read ``cifar10-56-A``.

        Raises:
            InputError: the name has another form, or there is no such network.
        """
        match = re.fullmatch(r"([a-z0-9]+)-(\d+)-(none|A|B|C)", name)
        if match is None or match[1] not in TASKS:
            raise InputError(f"--like={name} is not a network; one looks like cifar10-56-A")
        try:
            architecture(match[1], int(match[2]))
        except ValueError as error:
            raise InputError(f"--like={name}: {error}") from None
        return cls(match[1], int(match[2]), match[3])  # type: ignore[arg-type]

    @property
    def title(self) -> str:
        """In the paper's words: ``ResNet-56``."""
        return title(self.dataset, self.depth, self.shortcut)


def read_foreign(path: Path, network: Network, arrays: Arrays) -> tuple[TrainedResNet, Layout]:
    """Load a network that others trained from a file of theirs; only numbers are read, never code.

    Args:
        path: A file that ``torch.save`` wrote of a state dict, or of a checkpoint with one.
        network: Which network it is.
        arrays: The images: some code bases subtract a mean of theirs.

    Raises:
        InputError: the file cannot be read, is of no known layout, or holds another network.
    """
    state = _state(path)
    layout = _recognise(path, state)
    net = TrainedResNet(network.dataset, network.depth, network.shortcut)
    wanted = net.state_dict()
    counters = {name: tensor for name, tensor in wanted.items() if name.endswith("num_batches_tracked")}
    # Files of old versions of torch have no counters, and nothing reads them.
    found = counters | _without_biases({_rename(layout, name): tensor for name, tensor in state.items()})
    _check(path, network, found, wanted)
    net.load_state_dict(_in_our_order(found) if layout.half_in_front and network.shortcut == "A" else found)
    preprocess = _preprocess(layout, arrays)
    net.make_preprocess = lambda: preprocess
    return net.eval(), layout


def _state(path: Path) -> dict[str, Tensor]:
    """The tensors of a file."""
    try:
        saved = torch.load(path, map_location="cpu", weights_only=True)
        state = saved.get("state_dict", saved)
        return {str(name): tensor for name, tensor in state.items() if isinstance(tensor, Tensor)}
    except UnpicklingError:
        reason = "it holds something else than tensors, which is never loaded, as it could run code"
        raise InputError(f"{path} cannot be read as a state dict: {reason}") from None
    except UNREADABLE as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(f"{path} cannot be read as a state dict: {reason}") from None


def _recognise(path: Path, state: Mapping[str, Tensor]) -> Layout:
    for layout in LAYOUTS:
        if layout.example in state:
            return layout
    known = ", ".join(layout.repository for layout in LAYOUTS)
    raise InputError(f"{path} is of no known layout (its first tensor is {next(iter(state), 'none')}); known: {known}")


def _rename(layout: Layout, name: str) -> str:
    for theirs, ours in layout.names:
        name = re.sub(theirs, ours, name)
    return name


def _without_biases(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Move the biases of convolutions into the running means of the batch norms behind them."""
    kept = {}
    for name, tensor in state.items():
        layer, _, part = name.rpartition(".")
        if part == "bias" and ".conv" in f".{layer}":
            norm = layer.replace("conv", "bn")
            kept[f"{norm}.running_mean"] = state[f"{norm}.running_mean"] - tensor
        elif name not in kept:
            kept[name] = tensor
    return kept


def _in_our_order(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Order each stage's channels as if option A had put all zero channels behind the image's."""
    orders = _orders(len(state["stem.bn.weight"]))
    ordered = dict(state)
    for name, tensor in state.items():
        stage, _, rest = name.partition(".")
        if not stage.startswith("stage"):
            continue
        number, block = int(stage[5:]), rest.split(".")[0]
        before = orders[number - 1] if block == "0" else orders[number]
        if ".conv1." in name:
            ordered[name] = tensor[:, before]
        elif ".conv2." in name or (".bn2." in name and tensor.ndim):
            ordered[name] = tensor[orders[number]]
    ordered["head.weight"] = state["head.weight"][:, orders[3]]
    return ordered


def _orders(width: int) -> list[list[int]]:
    """Their channel behind each of ours, after the stem and in stages 1 to 3, if half of the zeros come in front."""
    orders = [list(range(width)), list(range(width))]
    for _ in range(2):
        narrow = len(orders[-1])
        padding = narrow // 2
        image = [padding + channel for channel in orders[-1]]
        orders.append(image + [channel for channel in range(2 * narrow) if channel not in set(image)])
    return orders


def _check(path: Path, network: Network, found: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> None:
    if difference := first_difference(found, wanted):
        raise InputError(f"{path} does not hold {network.title}: {difference}")


def _preprocess(layout: Layout, arrays: Arrays) -> Preprocess:
    channels, height, width = arrays.train_images.shape[3], *arrays.train_images.shape[1:3]
    if callable(layout.mean):
        mean = torch.from_numpy(layout.mean(arrays)).permute(2, 0, 1).contiguous()
    else:
        mean = (arrays.peak * torch.tensor(layout.mean))[:, None, None].expand(channels, height, width)
    return Preprocess(mean, arrays.peak, torch.tensor(layout.std)[:, None, None])
