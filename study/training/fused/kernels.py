"""Triton kernels of batch norm + addition + ReLU in channels_last: two forward, two backward.

A tensor is a matrix of rows (image and pixel) by channels. Each program owns some successive rows. The first kernel of
a pair leaves one partial result per program and channel; in the second, every program adds these up in the same order
and then goes over its rows. Nothing is added atomically, so equal inputs give equal bits, which resuming needs. Sums
are of 32 bits whatever the tensors are, and the variance is that around the mean (Chan's pairwise form), not a
difference of squares.

Needs the package triton, which torch brings along for CUDA. With TRITON_INTERPRET=1 in the environment before the
import, the kernels run on a CPU, slowly: the tests do that.
"""

from __future__ import annotations

import triton
import triton.language as tl


@triton.jit  # type: ignore[untyped-decorator]
def moments(x, means, squares, rows, channels, chunk, TILE: tl.constexpr, WIDTH: tl.constexpr):  # type: ignore[no-untyped-def]
    """Leave the mean and the sum of squares around it of each program's rows, per channel: (programs, channels)."""
    program = tl.program_id(0)
    channel = tl.program_id(1) * WIDTH + tl.arange(0, WIDTH)
    exists = channel < channels
    first = program * chunk
    stop = tl.minimum(first + chunk, rows)
    count = 0.0
    mean = tl.full((WIDTH,), 0.0, tl.float32)
    square = tl.full((WIDTH,), 0.0, tl.float32)
    for start in range(first, stop, TILE):
        row = start + tl.arange(0, TILE)
        inside = (row < stop)[:, None] & exists[None, :]
        value = tl.load(x + row[:, None] * channels + channel[None, :], mask=inside, other=0.0).to(tl.float32)
        added = tl.minimum(stop - start, TILE).to(tl.float32)
        tile_mean = tl.sum(value, 0) / added
        apart = tl.where(inside, value - tile_mean[None, :], 0.0)
        total = count + added
        step = tile_mean - mean
        mean += step * (added / total)
        square += tl.sum(apart * apart, 0) + step * step * (count * added / total)
        count = total
    tl.store(means + program * channels + channel, mean, mask=exists)
    tl.store(squares + program * channels + channel, square, mask=exists)


@triton.jit  # type: ignore[untyped-decorator]
def _combine(means, squares, channel, exists, rows, channels, chunk, programs, PROGRAMS: tl.constexpr):  # type: ignore[no-untyped-def]
    """The mean of all rows, and the sum of squares around it."""
    part = tl.arange(0, PROGRAMS)
    known = (part < programs)[:, None] & exists[None, :]
    at = part[:, None] * channels + channel[None, :]
    part_mean = tl.load(means + at, mask=known, other=0.0)
    part_square = tl.load(squares + at, mask=known, other=0.0)
    size = tl.maximum(tl.minimum(rows - part * chunk, chunk), 0).to(tl.float32)
    mean = tl.sum(part_mean * size[:, None], 0) / rows
    apart = tl.where(known, part_mean - mean[None, :], 0.0)
    return mean, tl.sum(part_square + apart * apart * size[:, None], 0)


@triton.jit  # type: ignore[untyped-decorator]
def normalise(  # type: ignore[no-untyped-def]
    x, shortcut, out, means, squares, weight, bias, running_mean, running_var, saved_mean, saved_scale,
    rows, channels, chunk, programs, momentum, eps,
    HAS_SHORTCUT: tl.constexpr, RECTIFIES: tl.constexpr,
    TILE: tl.constexpr, WIDTH: tl.constexpr, PROGRAMS: tl.constexpr,
):  # fmt: skip
    """Combine the moments, then normalise, add the shortcut and rectify; program 0 keeps the statistics."""
    program = tl.program_id(0)
    channel = tl.program_id(1) * WIDTH + tl.arange(0, WIDTH)
    exists = channel < channels
    mean, square = _combine(means, squares, channel, exists, rows, channels, chunk, programs, PROGRAMS)
    scale = 1.0 / tl.sqrt(square / rows + eps)
    if program == 0:
        tl.store(saved_mean + channel, mean, mask=exists)
        tl.store(saved_scale + channel, scale, mask=exists)
        old_mean = tl.load(running_mean + channel, mask=exists, other=0.0)
        old_var = tl.load(running_var + channel, mask=exists, other=0.0)
        tl.store(running_mean + channel, (1 - momentum) * old_mean + momentum * mean, mask=exists)
        tl.store(running_var + channel, (1 - momentum) * old_var + momentum * (square / (rows - 1)), mask=exists)
    factor = scale * tl.load(weight + channel, mask=exists, other=0.0)
    offset = tl.load(bias + channel, mask=exists, other=0.0)
    first = program * chunk
    stop = tl.minimum(first + chunk, rows)
    for start in range(first, stop, TILE):
        row = start + tl.arange(0, TILE)
        inside = (row < stop)[:, None] & exists[None, :]
        where = row[:, None] * channels + channel[None, :]
        value = tl.load(x + where, mask=inside, other=0.0).to(tl.float32)
        value = (value - mean[None, :]) * factor[None, :] + offset[None, :]
        if HAS_SHORTCUT:
            value += tl.load(shortcut + where, mask=inside, other=0.0).to(tl.float32)
        if RECTIFIES:
            value = tl.maximum(value, 0.0)
        tl.store(out + where, value.to(out.dtype.element_ty), mask=inside)


@triton.jit  # type: ignore[untyped-decorator]
def _gradient(gradient, second, out, where, inside, HAS_SECOND: tl.constexpr, RECTIFIES: tl.constexpr):  # type: ignore[no-untyped-def]
    """The gradient before the ReLU: the sum of one or two gradients, where the output is positive."""
    value = tl.load(gradient + where, mask=inside, other=0.0).to(tl.float32)
    if HAS_SECOND:
        value += tl.load(second + where, mask=inside, other=0.0).to(tl.float32)
    if RECTIFIES:
        value = tl.where(tl.load(out + where, mask=inside, other=0.0) > 0, value, 0.0)
    return value


@triton.jit  # type: ignore[untyped-decorator]
def reduce_gradients(  # type: ignore[no-untyped-def]
    gradient, second, out, x, saved_mean, saved_scale, sums, products, rows, channels, chunk,
    HAS_SECOND: tl.constexpr, RECTIFIES: tl.constexpr, TILE: tl.constexpr, WIDTH: tl.constexpr,
):  # fmt: skip
    """Leave each program's sums of the gradient and of its product with the normalised input, per channel."""
    program = tl.program_id(0)
    channel = tl.program_id(1) * WIDTH + tl.arange(0, WIDTH)
    exists = channel < channels
    mean = tl.load(saved_mean + channel, mask=exists, other=0.0)
    scale = tl.load(saved_scale + channel, mask=exists, other=0.0)
    total = tl.full((WIDTH,), 0.0, tl.float32)
    product = tl.full((WIDTH,), 0.0, tl.float32)
    first = program * chunk
    stop = tl.minimum(first + chunk, rows)
    for start in range(first, stop, TILE):
        row = start + tl.arange(0, TILE)
        inside = (row < stop)[:, None] & exists[None, :]
        where = row[:, None] * channels + channel[None, :]
        value = _gradient(gradient, second, out, where, inside, HAS_SECOND, RECTIFIES)
        normal = (tl.load(x + where, mask=inside, other=0.0).to(tl.float32) - mean[None, :]) * scale[None, :]
        total += tl.sum(value, 0)
        product += tl.sum(value * normal, 0)
    tl.store(sums + program * channels + channel, total, mask=exists)
    tl.store(products + program * channels + channel, product, mask=exists)


@triton.jit  # type: ignore[untyped-decorator]
def give_gradients(  # type: ignore[no-untyped-def]
    gradient, second, out, x, saved_mean, saved_scale, weight, sums, products,
    to_x, to_shortcut, to_weight, to_bias, rows, channels, chunk, programs,
    HAS_SECOND: tl.constexpr, HAS_SHORTCUT: tl.constexpr, RECTIFIES: tl.constexpr,
    TILE: tl.constexpr, WIDTH: tl.constexpr, PROGRAMS: tl.constexpr,
):  # fmt: skip
    """Add up the sums; write the gradients of input and shortcut, and, in program 0, of weight and bias."""
    program = tl.program_id(0)
    channel = tl.program_id(1) * WIDTH + tl.arange(0, WIDTH)
    exists = channel < channels
    part = tl.arange(0, PROGRAMS)
    known = (part < programs)[:, None] & exists[None, :]
    at = part[:, None] * channels + channel[None, :]
    total = tl.sum(tl.load(sums + at, mask=known, other=0.0), 0)
    product = tl.sum(tl.load(products + at, mask=known, other=0.0), 0)
    if program == 0:
        tl.store(to_bias + channel, total, mask=exists)
        tl.store(to_weight + channel, product, mask=exists)
    mean = tl.load(saved_mean + channel, mask=exists, other=0.0)
    scale = tl.load(saved_scale + channel, mask=exists, other=0.0)
    factor = scale * tl.load(weight + channel, mask=exists, other=0.0)
    first = program * chunk
    stop = tl.minimum(first + chunk, rows)
    for start in range(first, stop, TILE):
        row = start + tl.arange(0, TILE)
        inside = (row < stop)[:, None] & exists[None, :]
        where = row[:, None] * channels + channel[None, :]
        value = _gradient(gradient, second, out, where, inside, HAS_SECOND, RECTIFIES)
        if HAS_SHORTCUT:
            tl.store(to_shortcut + where, value.to(to_shortcut.dtype.element_ty), mask=inside)
        normal = (tl.load(x + where, mask=inside, other=0.0).to(tl.float32) - mean[None, :]) * scale[None, :]
        value = factor[None, :] * (value - (total / rows)[None, :] - normal * (product / rows)[None, :])
        tl.store(to_x + where, value.to(to_x.dtype.element_ty), mask=inside)
