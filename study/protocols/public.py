"""CIFAR-10 networks that others published, measured by our test: ``study test FILE --like=cifar10-56-A``.

What is measured of a file is what the paper claims of networks: the errors on the test and on the training images, the
responses of Fig. 7, what each block contributes. None of it needs training, and none of it is mixed with our runs.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from rich.console import Console
from rich.progress import Progress
from torch import Tensor

from study.data.datasets import load_in_memory
from study.data.images import Arrays, Border, Images
from study.data.interface import Ints
from study.data.sampling import evaluation_shares
from study.machine.device import has_cuda
from study.probes.batches import PART
from study.probes.measures import MEASURES
from study.probes.responses import layer_responses
from study.probes.signals import layer_signals
from study.recipes import recipe_for
from study.recording.evaluation import Row
from study.recording.files import now, write_json
from study.recording.version import commit as our_commit
from study.spec import InputError, Spec
from study.weights.foreign import Layout, Network, read_foreign
from study.weights.pretrained import Counted, TrainedResNet

RESPONSE_IMAGES = 1_000  # as of our own runs
Batches = Iterator[tuple[Tensor, Tensor]]


def measure_public(paths: Sequence[Path], like: str, commit: str | None, data: Path, out: Path | None) -> int:
    """Test files of networks that others trained, print the errors, and write a record of each.

    Args:
        paths: Files of state dicts, all of one network.
        like: The network: ``cifar10-56-A``.
        commit: Of the repository that the files come from; recorded.
        data: The folder that holds the data sets.
        out: The folder of the records, one JSON file each; None writes none and counts test errors only.

    Returns:
        The exit status.

    Raises:
        InputError: a file is of no known layout, holds another network, or `out` cannot be written.
    """
    network = Network.parse(like)
    arrays = load_in_memory(network.dataset, data)
    for path in paths:
        record = measure_file(path, network, arrays, commit, is_whole=out is not None)
        if out is not None:
            _write(out, f"{record['repository'].replace('/', '+')}-{like}.json", record)
    return 0


def measure_file(path: Path, network: Network, arrays: Arrays, commit: str | None, is_whole: bool) -> Row:
    """Test one file of a network that others trained, and print its test errors.

    Args:
        path: The file.
        network: Which network it is said to hold.
        arrays: The images.
        commit: Of the repository that it comes from.
        is_whole: Whether `measure` adds what it measures.

    Returns:
        The record: which file it is, and what was measured.

    Raises:
        InputError: the file is of no known layout, or holds another network.
    """
    device = torch.device("cuda" if has_cuda() else "cpu")
    spec = Spec(network.dataset, network.depth, network.shortcut)  # type: ignore[arg-type]
    net, layout = read_foreign(path, network, arrays)
    net.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    images = images_of(net, arrays, spec, device, layout.border)
    tested = count_errors(net, _test(images), images.test_size)
    print(f"{path}: {network.title} of {layout.repository}: {tested.wrong:,} of {tested.seen:,} test images wrong")
    record = _describe(path, network, layout, commit) | {"test": asdict(tested)}
    used = layout.trained_on(arrays) if layout.trained_on else None
    return record | measure(net, spec, images, used) if is_whole else record


def _describe(path: Path, network: Network, layout: Layout, commit: str | None) -> Row:
    """Which file it was, and where it comes from."""
    return {
        "source": "public",
        "repository": layout.repository,
        "commit": commit,
        "protocol": layout.stated,
        "border": layout.border,
        "file": path.name,
        "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        **asdict(network),
        "measured": now(),
        "measured_by": our_commit(),
        "torch": torch.__version__,
    }


def measure(net: TrainedResNet, spec: Spec, images: Images, used: Ints | None = None) -> Row:
    """Measure a network beyond its test errors.

    Args:
        net: The network.
        spec: The cell with whose recipe images are cropped and flipped.
        images: The images as the network expects them.
        used: The numbers of the images that it was trained on; None for all. The others would be further test images.

    Returns:
        Errors on the training images, as they are and with crops and flips; responses (Fig. 7); what the layers and the
        blocks do, as `study.probes` measures it.
    """
    numbers = np.arange(images.train_size) if used is None else used
    responses = layer_responses(net.eval(), images.test_batch(0, min(RESPONSE_IMAGES, images.test_size))[0])
    return {
        "train": asdict(count_errors(net, _train(images, numbers), len(numbers))),
        "train_augmented": asdict(count_errors(net, _augmented(images, spec.seed, numbers), len(numbers))),
        "responses": {"layers": list(responses), "std": list(responses.values())},
        "signals": layer_signals(net, *images.batch(spec.seed, 0)),  # of the trained network alone
        **{part: measure(net, spec, images) for part, measure in MEASURES.items() if part != "signals"},
    }


def _write(out: Path, name: str, record: Row) -> None:
    try:
        out.mkdir(parents=True, exist_ok=True)
        write_json(out / name, record, indent=None)
    except OSError as error:
        raise InputError(f"{out} cannot be written ({error.strerror}); give another folder with --out=DIR") from None


def images_of(net: TrainedResNet, arrays: Arrays, spec: Spec, device: torch.device, border: Border = "mean") -> Images:
    """The images as the network expects them, with what its training had around a cropped image."""
    how = net.preprocess
    std = None if how.std is None else how.std.flatten()
    return Images(arrays, recipe_for(spec), device, how.mean.permute(1, 2, 0).numpy(), std, border)


def _test(images: Images) -> Batches:
    for share in evaluation_shares(images.test_size, PART, 0, 1):
        yield images.test_batch(*share)


def _train(images: Images, numbers: Ints) -> Batches:
    """The images of these numbers, as they are."""
    chosen = _chosen(images, numbers)
    for start, stop in evaluation_shares(images.train_size, PART, 0, 1):
        drawn, labels = images.train_batch(start, stop)
        yield drawn[chosen[start:stop]], labels[chosen[start:stop]]


def _augmented(images: Images, seed: int, numbers: Ints) -> Batches:
    """The images of these numbers in the first epoch of a run with that seed: each once, cropped and flipped."""
    chosen, batch = _chosen(images, numbers), images.recipe.batch
    for step in range(-(-images.train_size // batch)):
        rest = images.train_size - step * batch  # the last batch goes on into the next epoch
        plan = images.plans(seed, range(step, step + 1))[0].to(chosen.device)[:, :rest]
        yield images.crop(plan[:, chosen[plan[0]]])


def _chosen(images: Images, numbers: Ints) -> Tensor:
    """Whether each training image is among the numbers: (N,)."""
    chosen = torch.zeros(images.train_size, dtype=torch.bool)
    chosen[torch.from_numpy(numbers)] = True
    return chosen.to(images.crops.device)


@torch.inference_mode()
def count_errors(net: TrainedResNet, batches: Batches, images: int) -> Counted:
    """Count the errors of a network in evaluation mode.

    Args:
        net: The network.
        batches: Images (N, C, H, W), normalised, and labels (N,).
        images: How many there are, for the progress bar.
    """
    net.eval()
    wrong = seen = 0
    console = Console(stderr=True)
    with Progress(console=console, disable=not console.is_terminal, transient=True) as progress:
        task = progress.add_task("images", total=images)
        for part, labels in batches:
            wrong += int((net(part).argmax(1) != labels).sum())
            seen += len(labels)
            progress.update(task, completed=seen)
    return Counted(wrong, seen)
