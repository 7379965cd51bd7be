"""CIFAR-10 networks that others published, measured by our test: ``study test FILE --like=cifar10-56-A``.

What is measured of a file is what the paper claims of networks: the errors on the test and on the training images, the
responses of Fig. 7, what each block contributes. None of it needs training, and none of it is mixed with our runs.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

import torch
from rich.console import Console
from rich.progress import Progress
from torch import Tensor

from study.data.datasets import load_in_memory
from study.data.images import Arrays, Images
from study.data.sampling import evaluation_shares
from study.machine.device import has_cuda
from study.probes.blocks import blocks
from study.probes.deeper import copy
from study.probes.responses import layer_responses
from study.probes.signals import layer_signals
from study.recipes import recipe_for
from study.recording.evaluation import Row
from study.recording.provenance import now
from study.recording.record import write_json
from study.recording.version import commit as our_commit
from study.spec import InputError, Spec
from study.weights.foreign import Layout, Network, read_foreign
from study.weights.pretrained import Counted, TrainedResNet

RESPONSE_IMAGES = 1_000  # as of our own runs
PART = 500  # images at a time
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
    device = torch.device("cuda" if has_cuda() else "cpu")
    spec = Spec(network.dataset, network.depth, network.shortcut)  # type: ignore[arg-type]
    for path in paths:
        net, layout = read_foreign(path, network, arrays)
        net.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        images = images_of(net, arrays, spec, device)
        tested = count_errors(net, _test(images), images.test_size)
        print(f"{path}: {network.title} of {layout.repository}: {tested.wrong:,} of {tested.seen:,} test images wrong")
        if out is not None:
            record = _describe(path, network, layout, commit) | {"test": asdict(tested)} | measure(net, spec, images)
            _write(out, f"{layout.repository.replace('/', '+')}-{like}.json", record)
    return 0


def _describe(path: Path, network: Network, layout: Layout, commit: str | None) -> Row:
    """Which file it was, and where it comes from."""
    return {
        "source": "public",
        "repository": layout.repository,
        "commit": commit,
        "protocol": layout.stated,
        "file": path.name,
        "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        **asdict(network),
        "measured": now(),
        "measured_by": our_commit(),
        "torch": torch.__version__,
    }


def measure(net: TrainedResNet, spec: Spec, images: Images) -> Row:
    """Measure a network beyond its test errors.

    Args:
        net: The network.
        spec: The cell with whose recipe images are cropped and flipped.
        images: The images as the network expects them.

    Returns:
        Errors on the training images, as they are and with crops and flips; responses (Fig. 7); what the layers and the
        blocks do, as `study.probes` measures it.
    """
    responses = layer_responses(net.eval(), images.test_batch(0, min(RESPONSE_IMAGES, images.test_size))[0])
    return {
        "train": asdict(count_errors(net, _train(images), images.train_size)),
        "train_augmented": asdict(count_errors(net, _augmented(images, spec.seed), images.train_size)),
        "responses": {"layers": list(responses), "std": list(responses.values())},
        "signals": layer_signals(net, *images.batch(spec.seed, 0)),
        "blocks": blocks(net, spec, images),
        "copy": copy(net, spec, images),
    }


def _write(out: Path, name: str, record: Row) -> None:
    try:
        out.mkdir(parents=True, exist_ok=True)
        write_json(out / name, record, indent=None)
    except OSError as error:
        raise InputError(f"{out} cannot be written ({error.strerror}); give another folder with --out=DIR") from None


def images_of(net: TrainedResNet, arrays: Arrays, spec: Spec, device: torch.device) -> Images:
    """The images as the network expects them."""
    how = net.preprocess
    std = None if how.std is None else how.std.flatten()
    return Images(arrays, recipe_for(spec), device, how.mean.permute(1, 2, 0).numpy(), std)


def _test(images: Images) -> Batches:
    for share in evaluation_shares(images.test_size, PART, 0, 1):
        yield images.test_batch(*share)


def _train(images: Images) -> Batches:
    for share in evaluation_shares(images.train_size, PART, 0, 1):
        yield images.train_batch(*share)


def _augmented(images: Images, seed: int) -> Batches:
    """The first epoch of a run with that seed: every image once, cropped and flipped."""
    batch = images.recipe.batch
    for step in range(-(-images.train_size // batch)):
        drawn, labels = images.batch(seed, step)
        rest = images.train_size - step * batch  # the last batch goes on into the next epoch
        yield drawn[:rest], labels[:rest]


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
