"""The verb ``probe``: what a trained network computes and what it could, which the paper leaves open.

signals  Sec. 4.1 says that plain nets' gradients have healthy norms: every layer's, at the start, after one step, now.
blocks   What each block still changes: how far it moves its input, the error without it, and the error of a linear
         classifier on its output.
copy     Sec. 1 says that a deeper net need not be worse, as it could copy this one: a net that does.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from copy import deepcopy
from pathlib import Path

import numpy as np
import torch
from rich.console import Console
from rich.progress import track
from rich.table import Table
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import Tensor, nn
from torch.nn import functional as F

from study import network
from study.data.datasets import dataset_info, load_in_memory
from study.data.images import Images
from study.machine.device import has_cuda
from study.network import BasicBlock, Projection, ResNet
from study.recipes import recipe_for
from study.recording.evaluation import Row
from study.recording.record import PROBES, Record, write_json
from study.spec import InputError, Spec
from study.weights.checkpoint import load_checkpoint

IMAGES = 2_000  # that linear classifiers are fitted to, and as many test images at most that errors are counted on
ERRORS = Console(stderr=True)


def probe(folder: Path, root: Path) -> int:
    """Probe the network in a run folder, on the images under `root`; writes FOLDER/probes.json and prints the gist.

    Raises:
        InputError: the folder holds no checkpoint of a CIFAR or digits net, or the images are other ones.
    """
    record = _record(folder)
    arrays = load_in_memory(record.spec.dataset, root)
    if arrays.fingerprint != record.provenance().get("data_fingerprint"):
        raise InputError(f"{folder} was trained with other images; give their folder with --data=PATH")
    device = torch.device("cuda" if has_cuda() else "cpu")
    images = arrays.on(device, recipe_for(record.spec))
    net, step = load_checkpoint(record.spec, record.checkpoint)
    net = net.to(device)
    found = {
        "run": record.spec.name,
        "step": step,
        "signals": signals(net, record.spec, images),
        "blocks": blocks(net, record.spec, images),
        "copy": copy(net, record.spec, images),
    }
    write_json(record.folder / f"{PROBES}.json", found)
    _show(found)
    return 0


def _record(folder: Path) -> Record:
    """The record in a run folder, which must have a checkpoint."""
    record = Record.at(folder)
    info = dataset_info(record.spec.dataset)
    if not info.in_memory:
        raise InputError(f"{record.spec.name} is an {info.title} run; probes are for data sets that fit into memory")
    if not record.checkpoint.exists():
        raise InputError(f"{record.folder} has no checkpoint; train it, or give the folder where it was trained")
    return record


def _unseen(spec: Spec, images: Images, number: int) -> tuple[Tensor, Tensor]:
    """A batch that the run has not trained on, for it comes after its last: images and labels."""
    return images.batch(spec.seed, images.recipe.steps + number)


def _tests(images: Images) -> tuple[Tensor, Tensor]:
    """The test images that errors are counted on, and their labels."""
    return images.test_batch(0, min(IMAGES, images.test_size))


def _error(logits: Tensor, labels: Tensor) -> float:
    """In percent."""
    return 100 * int((logits.argmax(1) != labels).sum()) / len(labels)


# Signals and gradients


def signals(net: ResNet, spec: Spec, images: Images) -> list[Row]:
    """Every layer's forward signal and gradients on one batch, for the net at its start, after one step, and now."""
    recipe = recipe_for(spec)
    torch.manual_seed(spec.seed)
    start = network.build(spec.dataset, spec.depth, spec.shortcut).to(images.crops.device)
    stepped = deepcopy(start)
    first = torch.optim.SGD(stepped.parameters(), recipe.first_lr, recipe.momentum, weight_decay=recipe.weight_decay)
    torch.autograd.backward(_loss(stepped, *images.batch(spec.seed, 0)))
    first.step()
    moments, batch = {"start": start, "one step": stepped, "now": net}, _unseen(spec, images, 0)
    return [{"moment": moment} | row for moment, at in moments.items() for row in _layers(deepcopy(at), *batch)]


def _layers(net: ResNet, inputs: Tensor, labels: Tensor) -> list[Row]:
    """In training mode, for each convolution of the main path in order.

    weight, gradient: Frobenius norms of the weights and of the loss's gradient with regard to them. signal,
    signal_gradient: standard deviation of the response before batch norm, root mean square of the gradient there.
    """
    rows: dict[str, Row] = {}

    def watch(name: str, response: Tensor) -> None:
        rows[name] = {"layer": name, "signal": float(response.detach().std())}
        response.register_hook(  # type: ignore[no-untyped-call]
            lambda gradient: rows[name].update(signal_gradient=_root_mean_square(gradient))
        )

    layers = {n: m for n, m in net.named_modules() if isinstance(m, nn.Conv2d) and ".shortcut." not in n}
    for name, layer in layers.items():
        layer.register_forward_hook(lambda _module, _inputs, response, name=name: watch(name, response))
    torch.autograd.backward(_loss(net, inputs, labels))
    for name, layer in layers.items():
        assert layer.weight.grad is not None
        rows[name] |= {"weight": float(layer.weight.detach().norm()), "gradient": float(layer.weight.grad.norm())}
    return list(rows.values())


def _root_mean_square(values: Tensor) -> float:
    return float(values.square().mean().sqrt())


def _loss(net: nn.Module, inputs: Tensor, labels: Tensor) -> Tensor:
    return F.cross_entropy(net.train()(inputs), labels)


# Blocks


def blocks(net: ResNet, spec: Spec, images: Images) -> list[Row]:
    """What each block changes, the stem first: distance, lesion and linear classifier.

    change: mean over images of |y - x| / |x|, input x and output y; None where their shapes differ. without: the test
    error in percent with the block's shortcut alone in its place, or the identity in a plain net; None where neither
    has the shape. linear: the test error of a logistic regression on the output's mean over positions.
    """
    net = deepcopy(net).eval()
    tests = [_tests(images)]
    fits = [_unseen(spec, images, i) for i in range(-(-IMAGES // images.recipe.batch))]
    fitted, tested = _features(net, fits), _features(net, tests)
    labels, truth = (np.concatenate([part.numpy(force=True) for _, part in batches]) for batches in (fits, tests))
    rows: list[Row] = []
    for name in track(fitted, "blocks", console=ERRORS, disable=not ERRORS.is_terminal):
        linear = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
        right = linear.fit(fitted[name][0], labels).score(tested[name][0], truth)
        rows.append({"block": name, "change": tested[name][1], "linear": 100 * (1 - float(right))})
    for row, error in zip(rows, [None, *_lesions(net, *tests[0])], strict=True):
        row["without"] = error
    return rows


def _features(net: ResNet, batches: Sequence[tuple[Tensor, Tensor]]) -> dict[str, tuple[np.ndarray, float | None]]:
    """Of the stem and each block: the output's mean over positions (N, width), and the change."""
    means: dict[str, list[np.ndarray]] = {}
    changes: dict[str, list[Tensor]] = {}

    def keep(name: str, before: Tensor, after: Tensor) -> None:
        means.setdefault(name, []).append(after.mean((2, 3)).numpy(force=True))
        changes.setdefault(name, [])
        if before.shape == after.shape:
            changes[name].append((after - before).flatten(1).norm(dim=1) / before.flatten(1).norm(dim=1))

    watched = {"stem": net.stem} | {name: block for name, block in _blocks(net)}
    handles = [
        module.register_forward_hook(lambda _module, inputs, output, name=name: keep(name, inputs[0], output))
        for name, module in watched.items()
    ]
    with torch.no_grad():
        for inputs, _ in batches:
            net(inputs)
    for handle in handles:
        handle.remove()
    return {n: (np.concatenate(means[n]), float(torch.cat(changes[n]).mean()) if changes[n] else None) for n in watched}


def _blocks(net: ResNet) -> list[tuple[str, BasicBlock]]:
    return [(name, module) for name, module in net.named_modules() if isinstance(module, BasicBlock)]


def _lesions(net: ResNet, inputs: Tensor, labels: Tensor) -> Iterator[float | None]:
    """The error with each block in turn left out."""
    for name, block in _blocks(net):
        if block.shortcut is None and block.conv1.stride != (1, 1):
            yield None
            continue
        with _replaced(net, name, nn.Sequential(block.shortcut or nn.Identity(), nn.ReLU())), torch.no_grad():
            error = _error(net(inputs), labels)
        yield error


@contextmanager
def _replaced(net: ResNet, name: str, by: nn.Module) -> Iterator[None]:
    """Have another module in a block's place for a while."""
    kept = net.get_submodule(name)
    net.set_submodule(name, by)
    yield
    net.set_submodule(name, kept)


# A deeper copy


def copy(net: ResNet, spec: Spec, images: Images) -> Row:
    """How close a net of twice as many blocks, built to compute the same, comes to this one.

    difference: the largest between the two nets' logits, beside the largest logit. error, copy_error: on test images.
    training_loss, copy_training_loss: in training mode, where a plain net's copying layers see other batches than
    those whose mean and deviation they were given.
    """
    inputs, labels = _tests(images)
    deep = deeper(net, spec, _unseen(spec, images, 1)[0])
    with torch.no_grad():
        logits, copied = net.eval()(inputs), deep.eval()(inputs)
        losses = [float(_loss(deepcopy(one), *_unseen(spec, images, 0))) for one in (net, deep)]
    return {
        "depth": 2 * spec.depth - 2,
        "difference": float((logits - copied).abs().max()),
        "largest_score": float(logits.abs().max()),
        **{"error": _error(logits, labels), "copy_error": _error(copied, labels)},
        **{"training_loss": losses[0], "copy_training_loss": losses[1]},
    }


def deeper(net: ResNet, spec: Spec, inputs: Tensor) -> ResNet:
    """A net of twice as many blocks in each stage that computes what `net` does: the new ones hand on what they get."""
    mine = network.architecture(spec.dataset, spec.depth)
    deep = ResNet(mine._replace(blocks=tuple(2 * n for n in mine.blocks)), spec.shortcut).to(inputs.device)
    source, x = deepcopy(net).train(), inputs
    for name, part in source.named_children():
        with torch.no_grad():
            x = part(x)
        twin = deep.get_submodule(name)
        twin.load_state_dict(net.get_submodule(name).state_dict(), strict=False)
        if name.startswith("stage"):
            for block in list(twin.children())[len(list(part.children())) :]:
                assert isinstance(block, BasicBlock)
                _hand_on(block, *torch.std_mean(x, (0, 2, 3), correction=0))
    return deep


def _hand_on(block: BasicBlock, std: Tensor, mean: Tensor) -> None:
    """Make a block the identity on what is nowhere negative, as every block's output is."""
    if block.shortcut is None:
        _copy_layer(block.conv1, block.bn1, std, mean)
        _copy_layer(block.conv2, block.bn2, std, mean)
        return
    nn.init.zeros_(block.bn2.weight)
    nn.init.zeros_(block.bn2.bias)
    if isinstance(block.shortcut, Projection):
        _copy_layer(block.shortcut.conv, block.shortcut.bn, std, mean)


def _copy_layer(conv: nn.Conv2d, bn: nn.BatchNorm2d, std: Tensor, mean: Tensor) -> None:
    """A convolution that copies, and a batch norm that gives back the deviation and mean which it takes away."""
    nn.init.dirac_(conv.weight)
    with torch.no_grad():
        bn.running_mean.copy_(mean)  # type: ignore[union-attr]
        bn.running_var.copy_(std.square())  # type: ignore[union-attr]
        bn.weight.copy_((std.square() + bn.eps).sqrt())
        bn.bias.copy_(mean)


# On the screen


def _show(found: Row) -> None:
    """Print the gist of what was found."""
    console = Console(soft_wrap=True)
    table = Table("gradient norms", "smallest", "median", "largest", title=f"{found['run']}: weights of all layers")
    for moment in dict.fromkeys(row["moment"] for row in found["signals"]):
        norms = [row["gradient"] for row in found["signals"] if row["moment"] == moment]
        table.add_row(moment, *(f"{value:.2g}" for value in (min(norms), float(np.median(norms)), max(norms))))
    console.print(table)
    table = Table("block", "change", "error without %", "linear error %", title="blocks")
    for row in found["blocks"]:
        shown = ("–" if row[key] is None else f"{row[key]:.2f}" for key in ("change", "without", "linear"))
        table.add_row(row["block"], *shown)
    console.print(table)
    copied = found["copy"]
    console.print(
        f"A copy with {copied['depth']} layers: test error {copied['copy_error']:.2f} % for {copied['error']:.2f} %, "
        f"logits differ by at most {copied['difference']:.1g}; in training mode its loss is "
        f"{copied['copy_training_loss']:.3g} for {copied['training_loss']:.3g}"
    )
