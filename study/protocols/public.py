"""CIFAR-10 networks that others published, measured by our test: ``study test FILE --like=cifar10-56-A``.

What is measured of a file is what the paper claims of networks: the errors on the test and on the training images, the
responses of Fig. 7, what each block contributes. None of it needs training, and none of it is mixed with our runs.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

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
from study.probes.similarity import COMPARED, SIMILARITY, compared, with_other
from study.recipes import recipe_for
from study.recording.evaluation import Row
from study.recording.files import Unreadable, now, read_json, write_json
from study.recording.version import commit as our_commit
from study.spec import InputError, Spec, title
from study.weights.digest import weights_sha256
from study.weights.foreign import Layout, Network, read_foreign
from study.weights.pretrained import Counted, TrainedResNet

RESPONSE_IMAGES = 1_000  # as of our own runs
Batches = Iterator[tuple[Tensor, Tensor]]


@dataclass(frozen=True)
class Tested:
    """A network that others trained, what was measured of it, and the test images as it expects them."""

    record: Row
    net: TrainedResNet
    images: Tensor

    @property
    def name(self) -> str:
        """As the report calls it: ``a-martyn/resnet plain-20``."""
        return f"{self.record['repository']} {title(*(self.record[key] for key in ('dataset', 'depth', 'shortcut')))}"


def measure_public(paths: Sequence[Path], like: str, commit: str | None, data: Path, out: Path | None) -> int:
    """Test files of networks that others trained, print the errors, and write a record of each.

    A record also has the similarity of its network with itself and with those of the files after it. What a record of
    the same file has already is not measured again.

    Args:
        paths: Files of state dicts.
        like: The network that they hold, or one for each, with commas: ``cifar10-56-none,cifar10-56-A``.
        commit: Of the repository that the files come from; recorded.
        data: The folder that holds the data sets.
        out: The folder of the records, one JSON file each; None writes none and counts test errors only.

    Returns:
        The exit status.

    Raises:
        InputError: a file is of no known layout, holds another network, or `out` cannot be written.
    """
    networks = _networks(like, len(paths))
    measure_files(paths, networks, load_in_memory(networks[0].dataset, data), commit, out)
    return 0


def measure_files(
    paths: Sequence[Path], networks: Sequence[Network], arrays: Arrays, commit: str | None, out: Path | None
) -> list[Tested]:
    """Do so with the networks and the images at hand."""
    tested = [measure_file(path, network, arrays, commit, out) for path, network in zip(paths, networks, strict=True)]
    if out is not None:
        for number, one in enumerate(tested):
            _compare(one, tested[number:])
            _write(out, one.record)
    return tested


def _networks(like: str, files: int) -> list[Network]:
    """The network of each file.

    Raises:
        InputError: one is none, they are of several data sets, or there are not as many as files.
    """
    networks = [Network.parse(name) for name in like.split(",")]
    if len({network.dataset for network in networks}) > 1:
        raise InputError(f"--like={like} names networks of several data sets; test those of each in a call of its own")
    if len(networks) not in (1, files):
        raise InputError(f"--like={like} names {len(networks)} networks for {files} files; give one, or one for each")
    return networks if len(networks) == files else networks * files


def _compare(one: Tested, others: Sequence[Tested]) -> None:
    """Add the similarity of a network with others to its record."""
    for other in others:
        one.record[SIMILARITY] = with_other(
            one.record.get(SIMILARITY, []),
            {"with": other.name, "weights_sha256": weights_sha256(other.net)},
            partial(compared, one.net, other.net, one.images, other.images),
        )


def measure_file(path: Path, network: Network, arrays: Arrays, commit: str | None, out: Path | None) -> Tested:
    """Test one file of a network that others trained, and print its test errors.

    Args:
        path: The file.
        network: Which network it is said to hold.
        arrays: The images.
        commit: Of the repository that it comes from.
        out: The folder of records, into which one of all that `measure` measures is written; None writes none.

    Raises:
        InputError: the file is of no known layout, or holds another network; or `out` cannot be written.
    """
    device = torch.device("cuda" if has_cuda() else "cpu")
    spec = Spec(network.dataset, network.depth, network.shortcut)  # type: ignore[arg-type]
    net, layout = read_foreign(path, network, arrays)
    net.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    images = images_of(net, arrays, spec, device, layout.border)
    tested = count_errors(net, _test(images), images.test_size)
    print(f"{path}: {network.title} of {layout.repository}: {tested.wrong:,} of {tested.seen:,} test images wrong")
    record = _describe(path, network, layout, commit) | {"test": asdict(tested)}
    if out is not None:
        kept = _kept(out, record)
        used = layout.trained_on(arrays) if layout.trained_on else None
        record |= kept | measure(net, spec, images, used, kept)
        _write(out, record)
    return Tested(record, net, images.test_batch(0, min(COMPARED, images.test_size))[0])


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


def measure(
    net: TrainedResNet, spec: Spec, images: Images, used: Ints | None = None, kept: Mapping[str, Any] | None = None
) -> Row:
    """Measure a network beyond its test errors.

    Args:
        net: The network.
        spec: The cell with whose recipe images are cropped and flipped.
        images: The images as the network expects them.
        used: The numbers of the images that it was trained on; None for all. The others would be further test images.
        kept: What was measured of it before, and is not measured again.

    Returns:
        Errors on the training images, as they are and with crops and flips; responses (Fig. 7); what the layers and the
        blocks do, as `study.probes` measures it.
    """
    numbers = np.arange(images.train_size) if used is None else used
    parts: dict[str, Callable[[], Any]] = {
        "train": lambda: asdict(count_errors(net, _train(images, numbers), len(numbers))),
        "train_augmented": lambda: asdict(count_errors(net, _augmented(images, spec.seed, numbers), len(numbers))),
        "responses": lambda: _responses(net, images),
        **{part: partial(measure, net, spec, images) for part, measure in MEASURES.items()},
        "signals": lambda: layer_signals(net, *images.batch(spec.seed, 0)),  # of the trained network alone
    }
    return {name: part() for name, part in parts.items() if name not in (kept or {})}


def _responses(net: TrainedResNet, images: Images) -> Row:
    found = layer_responses(net.eval(), images.test_batch(0, min(RESPONSE_IMAGES, images.test_size))[0])
    return {"layers": list(found), "std": list(found.values())}


def _path(out: Path, record: Row) -> Path:
    network = "-".join(str(record[key]) for key in ("dataset", "depth", "shortcut"))
    return out / f"{record['repository'].replace('/', '+')}-{network}.json"


def _kept(out: Path, record: Row) -> Row:
    """What a folder has of the same file.

    Raises:
        InputError: it has something else in the place of a record.
    """
    try:
        found = read_json(_path(out, record)) or {}
    except Unreadable as error:
        raise InputError(f"{out}: {error}; move it away") from None
    return found if found.get("sha256") == record["sha256"] else {}


def _write(out: Path, record: Row) -> None:
    try:
        out.mkdir(parents=True, exist_ok=True)
        write_json(_path(out, record), record, indent=None)
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
