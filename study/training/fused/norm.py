"""Batch norm in training, with what follows it in a block, as one differentiable function of Triton's kernels."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from study.training.fused import kernels

LARGEST_WIDTH = 64  # channels of one program
PROGRAMS = 128  # at most, per group of channels; an H100 has 132 processors
ELEMENTS = 4096  # of one tile, 16 for each of the 256 threads of a program: with 32, registers did not suffice
LAUNCH: dict[str, Any] = {
    "num_warps": 8,
    "enable_fp_fusion": True,
}  # of every kernel; not tuned, as no GPU has run them


class Grid(NamedTuple):
    """How a tensor is divided among programs.

    Attributes:
        rows: Images times pixels.
        channels: Of each row.
        chunk: Rows of one program.
        programs: Number of programs that share the rows.
        width: Channels of one program, a power of two.
        tile: Rows that a program looks at together, a power of two.
    """

    rows: int
    channels: int
    chunk: int
    programs: int
    width: int
    tile: int

    @property
    def launch(self) -> tuple[int, int]:
        """Programs by groups of channels."""
        return self.programs, -(-self.channels // self.width)


def grid(x: Tensor) -> Grid:
    """Divide a tensor (N, C, H, W): equally many rows for each program, whole tiles where there are many.

    Example:
        >>> grid(torch.empty(128, 16, 32, 32))
        Grid(rows=131072, channels=16, chunk=1024, programs=128, width=16, tile=256)
    """
    rows, channels = x.numel() // x.shape[1], x.shape[1]
    width = min(LARGEST_WIDTH, _power_of_two(channels))
    tile = min(ELEMENTS // width, _power_of_two(-(-rows // PROGRAMS)))
    chunk = -(-rows // (PROGRAMS * tile)) * tile
    return Grid(rows, channels, chunk, -(-rows // chunk), width, tile)


def _power_of_two(number: int) -> int:
    """The smallest power of two that is not below the number."""
    return 1 << (number - 1).bit_length()


@torch.library.custom_op("study::norm_forward", mutates_args=("running_mean", "running_var"))
def norm_forward(
    x: Tensor,
    shortcut: Tensor | None,
    weight: Tensor,
    bias: Tensor,
    running_mean: Tensor,
    running_var: Tensor,
    momentum: float,
    eps: float,
    rectifies: bool,
) -> tuple[Tensor, Tensor]:
    """Launch the two kernels forward. Being operations of torch, they are seen by whatever watches operations.

    Returns:
        The output, and mean and inverse standard deviation of each channel (2, C) for the backward pass.
    """
    on, out = grid(x), torch.empty_like(x)
    partial = x.new_empty(2, on.programs, on.channels, dtype=torch.float32)
    saved = x.new_empty(2, on.channels, dtype=torch.float32)
    options = {"TILE": on.tile, "WIDTH": on.width, **LAUNCH}
    kernels.moments[on.launch](x, partial[0], partial[1], on.rows, on.channels, on.chunk, **options)
    kernels.normalise[on.launch](
        x, x if shortcut is None else shortcut, out, partial[0], partial[1],
        weight, bias, running_mean, running_var, saved[0], saved[1],
        on.rows, on.channels, on.chunk, on.programs, momentum, eps,
        HAS_SHORTCUT=shortcut is not None, RECTIFIES=rectifies, PROGRAMS=_power_of_two(on.programs), **options,
    )  # fmt: skip
    return out, saved


@norm_forward.register_fake
def _(x: Tensor, *_: Any) -> tuple[Tensor, Tensor]:
    return torch.empty_like(x), x.new_empty(2, x.shape[1], dtype=torch.float32)


@torch.library.custom_op("study::norm_backward", mutates_args=())
def norm_backward(
    gradient: Tensor,
    second: Tensor | None,
    out: Tensor | None,
    x: Tensor,
    saved: Tensor,
    weight: Tensor,
    has_shortcut: bool,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Launch the two kernels backward; `out` is None where no ReLU follows.

    Returns:
        The gradients of x, of the shortcut (empty without one), of weight and of bias.
    """
    on, to_x = grid(x), torch.empty_like(x)
    to_shortcut = torch.empty_like(x) if has_shortcut else x.new_empty(0)
    to_weight, to_bias = torch.empty_like(weight), torch.empty_like(weight)
    partial = x.new_empty(2, on.programs, on.channels, dtype=torch.float32)
    given = (gradient, gradient if second is None else second, x if out is None else out, x, saved[0], saved[1])
    options = {"TILE": on.tile, "WIDTH": on.width, **LAUNCH}
    options |= {"HAS_SECOND": second is not None, "RECTIFIES": out is not None}
    sizes = (on.rows, on.channels, on.chunk)
    kernels.reduce_gradients[on.launch](*given, partial[0], partial[1], *sizes, **options)
    kernels.give_gradients[on.launch](
        *given, weight, partial[0], partial[1], to_x, to_shortcut, to_weight, to_bias,
        *sizes, on.programs, HAS_SHORTCUT=has_shortcut, PROGRAMS=_power_of_two(on.programs), **options,
    )  # fmt: skip
    return to_x, to_shortcut, to_weight, to_bias


@norm_backward.register_fake
def _(
    gradient: Tensor, second: Any, out: Any, x: Tensor, saved: Tensor, weight: Tensor, has_shortcut: bool
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    to_shortcut = torch.empty_like(x) if has_shortcut else x.new_empty(0)
    return torch.empty_like(x), to_shortcut, torch.empty_like(weight), torch.empty_like(weight)


class _NormAddRelu(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        shortcut: Tensor | None,
        weight: Tensor,
        bias: Tensor,
        norm: nn.BatchNorm2d,
        rectifies: bool,
    ) -> tuple[Tensor, Tensor]:
        x = x.contiguous(memory_format=torch.channels_last)
        if shortcut is not None:
            shortcut = shortcut.contiguous(memory_format=torch.channels_last)
        statistics = (norm.running_mean, norm.running_var, norm.momentum, norm.eps)
        out, saved = norm_forward(x, shortcut, weight, bias, *statistics, rectifies)
        ctx.has_shortcut = shortcut is not None
        ctx.save_for_backward(x, out if rectifies else None, weight, saved)
        ctx.set_materialize_grads(False)
        return out, out.detach()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor | None) -> Any:
        x, out, weight, saved = ctx.saved_tensors
        first, *second = (g.contiguous(memory_format=torch.channels_last) for g in gradients if g is not None)
        given = norm_backward(first, second[0] if second else None, out, x, saved, weight, ctx.has_shortcut)
        to_x, to_shortcut, to_weight, to_bias = given
        return to_x, to_shortcut if ctx.has_shortcut else None, to_weight, to_bias, None, None


def norm_add_relu(
    x: Tensor, shortcut: Tensor | None, norm: nn.BatchNorm2d, rectifies: bool = True
) -> tuple[Tensor, Tensor]:
    """Normalise a batch, add a shortcut, rectify: ``relu(norm(x) + shortcut)``, statistics of this batch.

    The running statistics of `norm` move by its momentum; its counter of batches doesn't.

    Args:
        x: The output of a convolution (N, C, H, W), in fp32 or bf16. Every size fits; channels_last is not copied.
        shortcut: Of the same shape; None adds nothing.
        norm: Weight, bias, running statistics, momentum and eps, in fp32.
        rectifies: Whether a ReLU follows.

    Returns:
        The result twice, on the same memory: give one to the next layer and the other to its shortcut. Their gradients
        are then added where they are used, rather than by an operation of its own.
    """
    out, again = _NormAddRelu.apply(x, shortcut, norm.weight, norm.bias, norm, rectifies)
    return out, again
