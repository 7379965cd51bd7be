"""The floor under a step: the time that this device needs at least for its arithmetic, memory traffic and launches."""

from __future__ import annotations

from collections.abc import Callable

import torch

from study import network
from study.bench.arms import Contender
from study.machine.options import Precision
from study.recording.bench_lines import Line
from study.spec import Spec

WIDTHS = (16, 32, 64)  # of the three stages of a CIFAR network (Sec. 4.2)
SHORTEST_KERNEL = 2e-6  # seconds that a GPU takes for the shortest kernel of a captured graph
# Kernels of one captured training step, as study.bench.gpu_model counts them. Of each layer: a convolution (1 forward,
# 2 backward), its batch norm (2) and its ReLU (2). In bf16 torch's own batch norm takes 5 more than cuDNN's, and a
# weight and its gradient are cast (2).
KERNELS_PER_LAYER = 7
KERNELS_PER_BF16_LAYER = 7  # in addition
KERNELS_PER_SHORTCUT_LAYER = 1  # a shortcut spans two layers: one addition forward, one backward
KERNELS_OTHERWISE = 28  # batch, head, loss, optimiser, counts
KERNELS_OF_OPTION_A = 6  # its strides and padding


def floor(contender: Contender) -> Line:
    """Compute the floor under a step of a CIFAR network, in milliseconds: the largest of three times.

    ``arithmetic``: three forward passes of multiply-adds (one forward, two backward) at the rate of large matrix
    products. ``traffic``: what the backward pass needs, written once and read once, at the rate of a large copy.
    ``launches``: the kernels at the time of the shortest one, on a GPU only.
    """
    batch = contender.recipe.batch
    seconds = {
        "arithmetic": 3 * 2 * _multiply_adds(contender) * batch / _matmul_rate(contender),
        "traffic": 2 * stored_bytes(contender) * batch / _copy_rate(contender),
        "launches": SHORTEST_KERNEL * kernels(contender.spec, contender.machine.precision)
        if contender.device.type == "cuda"
        else 0.0,
    }
    return {f"{name}_ms": 1e3 * each for name, each in seconds.items()} | {"floor_ms": 1e3 * max(seconds.values())}


def stored_bytes(contender: Contender) -> int:
    """Bytes that one image stores for the backward pass: the output of every convolution and of its ReLU."""
    height, width = contender.arrays.train_images.shape[1:3]
    bytes_each = 2 if contender.machine.precision == "bf16" else 4
    return 2 * convolution_outputs(contender.spec.depth, height * width) * bytes_each


def convolution_outputs(depth: int, area: int) -> int:
    """Number of values that the convolutions of a CIFAR network compute for one image of `area` pixels.

    Example:
        >>> convolution_outputs(20, 32 * 32)
        188416
    """
    layers = (depth - 2) // 3  # of each stage
    outputs = WIDTHS[0] * area  # of the stem
    for stage, width in enumerate(WIDTHS):
        outputs += layers * width * (area // 4**stage)  # each stage halves height and width
    return outputs


def kernels(spec: Spec, precision: Precision) -> int:
    """Number of kernels that one training step of a CIFAR network launches, at least; projections launch some more.

    Example:
        >>> kernels(Spec("cifar10", 110, "A"), "bf16")
        1684
    """
    each = KERNELS_PER_LAYER + (KERNELS_PER_BF16_LAYER if precision == "bf16" else 0)
    if spec.shortcut == "none":
        return each * spec.depth + KERNELS_OTHERWISE
    return (each + KERNELS_PER_SHORTCUT_LAYER) * spec.depth + KERNELS_OTHERWISE + KERNELS_OF_OPTION_A


def _multiply_adds(contender: Contender) -> int:
    """Multiply-adds of one image's forward pass."""
    spec = contender.spec
    height, width, channels = contender.arrays.train_images.shape[1:]
    with torch.device("meta"):
        net = network.build(spec.dataset, spec.depth, spec.shortcut)
        return network.count(net, (channels, height, width))[1]


def _matmul_rate(contender: Contender) -> float:
    """Floating-point operations per second in large matrix products, in the precision of the training."""
    size = 8192 if contender.device.type == "cuda" else 2048
    kind = torch.bfloat16 if contender.machine.precision == "bf16" else torch.float32
    a, b = (torch.randn(size, size, device=contender.device, dtype=kind) for _ in range(2))
    return 2 * size**3 / _fastest(contender, lambda: a @ b)


def _copy_rate(contender: Contender) -> float:
    """Bytes per second, reads and writes counted, in a large copy."""
    a = torch.zeros(2**28 if contender.device.type == "cuda" else 2**26, device=contender.device)
    b = torch.empty_like(a)
    return 2 * a.nbytes / _fastest(contender, lambda: b.copy_(a))


def _fastest(contender: Contender, work: Callable[[], object], times: int = 8) -> float:
    """Seconds of the fastest of several executions."""
    seconds = []
    for _ in range(times):
        since = contender.clock()
        work()
        seconds.append(contender.clock() - since)
    return min(seconds)
