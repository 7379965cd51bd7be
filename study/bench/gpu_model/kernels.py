"""The kernels of one training step on a GPU, counted on tensors that have sizes and no values.

The step is the real one (`study.training.step.update` on a network of the study). Each operation that it does is one
kernel, with the exceptions below. The counts are lower bounds: cuDNN may use more than one kernel for a convolution.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from study import network
from study.data.images import Arrays, Images
from study.network import ResNet, Shortcut
from study.recipes import Recipe
from study.training.errors import Tally
from study.training.step import ResidentSteps, uncounted_batches, update

Path = Literal["graph", "fused-graph"]
aten = torch.ops.aten
# Operations that launch nothing, beside those whose result is a view.
SILENT = {
    aten.empty,
    aten.empty_like,
    aten.empty_strided,
    aten.new_empty,
    aten.new_empty_strided,
    aten._unsafe_view,
    aten.as_strided_,
}
# Tensors that one kernel of torch handles at once, by the number of its lists (torch's MultiTensorApply.cuh, CUDA 13).
CAST_TENSORS, SGD_TENSORS = 448, 336
BATCH = 128


@dataclass(frozen=True)
class Kernel:
    """One launch.

    Attributes:
        name: The operation that it belongs to.
        bytes: What it reads and writes, each tensor once.
        operations: Floating-point operations of a convolution, 0 for others.
    """

    name: str
    bytes: int = 0
    operations: int = 0


class Kernels(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Records the kernels of the operations inside this context."""

    def __init__(self, norm_backend: str) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.norm_backend = norm_backend
        self.found: list[Kernel] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        if _launches(func):
            self.found += self._kernels(func, args, result)
        return result

    def _kernels(self, func: Any, args: tuple[Any, ...], result: Any) -> Iterable[Kernel]:
        name = func.overloadpacket.__name__
        match name:
            case "convolution":
                return [Kernel(name, _bytes(args, result), _products(result, args[1]))]
            case "convolution_backward":
                return _convolution_backward(name, args, result)
            case "native_batch_norm" | "native_batch_norm_backward":
                return self._norm(name, args)
            case "norm_forward":
                return [Kernel(name, args[0].nbytes), Kernel(name, _bytes(args[:2], result))]
            case "norm_backward":
                return [Kernel(name, _bytes(args[:4], None)), Kernel(name, _bytes(args[:4], result))]
            case "_foreach_copy_":
                return _in_groups(name, args[:2], len(args[0]), CAST_TENSORS)
            case _:
                return [Kernel(name, _bytes(args, result))]

    def _norm(self, name: str, args: tuple[Any, ...]) -> list[Kernel]:
        """cuDNN's batch norm is one kernel; torch's own has one for each pass over the tensor, and small ones."""
        is_forward = name == "native_batch_norm"
        size = args[0 if is_forward else 1].nbytes
        passes, small = ((1, 2), 2) if is_forward else ((2, 3), 1)
        if self.norm_backend == "Cudnn":
            return [Kernel(name, sum(passes) * size)]
        return [Kernel(name, each * size) for each in passes] + small * [Kernel(name)]


def _launches(func: Any) -> bool:
    if func.namespace not in ("aten", "study") or func.overloadpacket in SILENT:
        return False
    aliases = [argument.alias_info for argument in func._schema.arguments if argument.alias_info is not None]
    return not aliases or any(alias.is_write for alias in aliases)


def _bytes(*values: Any) -> int:
    return sum(value.nbytes for value in tree_leaves(values) if isinstance(value, Tensor))


def _products(out: Tensor, weight: Tensor) -> int:
    """Operations of a convolution: two for each output and weight of a filter."""
    return 2 * out.numel() * weight[0].numel()


def _convolution_backward(name: str, args: tuple[Any, ...], result: Any) -> list[Kernel]:
    """A kernel for the gradient of the images, where it is wanted, and one for that of the weights."""
    gradient, x, weight = args[:3]
    to_x, to_weight = result[:2]
    operations = _products(gradient, weight)
    kernels = [Kernel(name, _bytes(gradient, x, to_weight), operations)]
    if to_x is not None:
        kernels.append(Kernel(name, _bytes(gradient, weight, to_x), operations))
    return kernels


def _in_groups(name: str, lists: Any, tensors: int, at_once: int) -> list[Kernel]:
    launches = -(-tensors // at_once)
    return launches * [Kernel(name, _bytes(lists) // launches)]


class _NoStep(torch.optim.SGD):
    """The optimiser without its step, which has no version without values."""

    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        """Do nothing."""


def norm_backend(kind: torch.dtype) -> str:
    """What torch takes for batch norm in training on a GPU, in channels_last: ``Cudnn`` or ``Native``.

    A torch that is built for processors alone doesn't know; then it is what one for CUDA has said (2.11 and 2.15).
    """
    if torch.version.cuda is None:
        return "Native" if kind == torch.bfloat16 else "Cudnn"
    with FakeTensorMode():
        x = torch.empty(128, 16, 32, 32, dtype=kind, device="cuda").to(memory_format=torch.channels_last)
        weight = torch.empty(16, device="cuda")
        backend = torch._C._select_batch_norm_backend(x, weight, weight, weight, weight, True, 1e-5)
    return str(backend).rpartition(".")[2]


@cache
def step_kernels(
    depth: int, half: bool, path: Path, shortcut: Shortcut = "A", batch: int = BATCH
) -> tuple[Kernel, ...]:
    """The kernels of one captured training step of a network on CIFAR-10.

    Args:
        depth: Of the network.
        half: In bf16, else in TF32.
        path: The forward that is captured.
        shortcut: Of the network.
        batch: Images of a step.
    """
    with _counting(half, batch) as (counter, images, labels):
        net = _net(depth, shortcut)
        sgd, tally = _NoStep(net.parameters(), 0.1), Tally(torch.device("cpu"))
        forward = _forward(net, path)
        with uncounted_batches(net), counter:
            update(forward, sgd, tally.add, torch.autograd.backward, images, labels)
    weights = list(net.parameters())
    sgd_bytes = 5 * _bytes(weights)  # weight and velocity are read and written, the gradient is read
    launches = -(-len(weights) // SGD_TENSORS)
    return (*_batch_kernels(batch), *counter.found, *launches * [Kernel("sgd", sgd_bytes // launches)])


@cache
def evaluation_kernels(depth: int, half: bool, batch: int) -> tuple[Kernel, ...]:
    """The kernels of one part of an evaluation, which is launched operation by operation."""
    with _counting(half, batch) as (counter, images, labels):
        net, tally = _net(depth, "A").eval(), Tally(torch.device("cpu"))
        with torch.no_grad(), counter:
            logits = net(images)
            tally.add(logits, labels, nn.functional.cross_entropy(logits, labels))
    return tuple(counter.found)


@contextmanager
def _counting(half: bool, batch: int) -> Iterator[tuple[Kernels, Tensor, Tensor]]:
    """A counter, and images and labels without values."""
    counter = Kernels(norm_backend(torch.bfloat16 if half else torch.float32))
    fake = FakeTensorMode(allow_non_fake_inputs=True)
    with fake, torch.autocast("cpu", torch.bfloat16, enabled=half, cache_enabled=False):
        images = torch.empty(batch, 32, 32, 3).permute(0, 3, 1, 2)
        yield counter, images, torch.empty(batch, dtype=torch.int64)


def _net(depth: int, shortcut: Shortcut) -> ResNet:
    net = ResNet(network.architecture("cifar10", depth), shortcut)
    for module in net.modules():
        if isinstance(module, nn.Conv2d):  # one by one, as Module.to can't exchange tensors without values
            module.weight = nn.Parameter(module.weight.detach().contiguous(memory_format=torch.channels_last))
    return net


def _forward(net: ResNet, path: Path) -> Any:
    if path == "graph":
        return net
    from study.training.fused.network import fused

    return fused(net)


def _batch_kernels(batch: int) -> list[Kernel]:
    """The kernels that gather, crop and flip a batch and read its learning rate."""
    meta, sizes = torch.device("meta"), (torch.zeros(2, 32, 32, 3, dtype=torch.uint8), torch.zeros(2).long())
    train, labels = (each.numpy() for each in sizes)
    images = Images(Arrays(train, labels, train, labels, 255, ("a", "b")), Recipe(batch=batch), meta)
    weight = nn.Parameter(torch.empty(1, device=meta))
    counter = Kernels("")
    with counter:
        ResidentSteps(lambda *_: None, torch.optim.SGD([weight], 0.1), images, 0).take(0)
    return counter.found[4:]  # without the four tables, which are made once
