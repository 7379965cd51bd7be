"""Batch norm, addition and ReLU by the fused kernels, beside torch's own operations in 64 bits."""

from __future__ import annotations

from copy import deepcopy

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional as F

from tests.training.fused.interpreted import DEVICE
from tests.training.fused.interpreted import norm as fused

SHAPES = [(4, 16, 8, 8), (3, 5, 7, 9), (2, 100, 1, 2)]  # rows and channels that fill tiles, and that don't


@pytest.fixture(autouse=True)
def few_programs(monkeypatch: pytest.MonkeyPatch) -> None:
    """The interpreter takes as long for a program of one row as for one of a thousand."""
    monkeypatch.setattr(fused, "PROGRAMS", 3)
    monkeypatch.setattr(fused, "ELEMENTS", 512)


def tensor(shape: tuple[int, ...], kind: torch.dtype, mean: float = 0.0) -> Tensor:
    return (
        (torch.randn(shape, device=DEVICE) * 3 + mean).to(kind).to(memory_format=torch.channels_last).requires_grad_()
    )


def batch_norm(channels: int) -> nn.BatchNorm2d:
    norm = nn.BatchNorm2d(channels, device=DEVICE)
    for values in (norm.weight, norm.bias, norm.running_mean):
        nn.init.normal_(values)
    return norm


def close(found: Tensor | None, expected: Tensor | None, tolerance: float) -> None:
    assert found is not None and expected is not None
    largest = float(expected.detach().abs().max())
    torch.testing.assert_close(found.double(), expected.double(), rtol=0, atol=tolerance * largest)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("rectifies", [True, False], ids=["relu", "linear"])
@pytest.mark.parametrize("residual", [True, False], ids=["residual", "plain"])
@pytest.mark.parametrize(("kind", "tolerance"), [(torch.float32, 2e-6), (torch.bfloat16, 8e-3)], ids=["fp32", "bf16"])
def test_forward_backward_and_statistics_are_torchs(
    shape: tuple[int, ...], rectifies: bool, residual: bool, kind: torch.dtype, tolerance: float
) -> None:
    """In bf16 within one rounding of the result, as all that is between input and output is of 32 bits."""
    torch.manual_seed(0)
    x, norm = tensor(shape, kind, mean=10), batch_norm(shape[1])
    shortcut = tensor(shape, kind) if residual else None
    first, second = (torch.randn(shape, device=DEVICE).to(kind) for _ in range(2))

    reference = deepcopy(norm).double()
    x_, shortcut_ = (None if t is None else t.detach().double().requires_grad_() for t in (x, shortcut))
    assert x_ is not None
    y = reference(x_) if shortcut_ is None else reference(x_) + shortcut_
    y = F.relu(y) if rectifies else y
    y.backward(first.double() + second.double())

    out, again = fused.norm_add_relu(x, shortcut, norm, rectifies)
    torch.autograd.backward([out, again], [first, second])
    assert out.dtype == again.dtype == kind and out.data_ptr() == again.data_ptr()
    close(out, y, tolerance)
    close(x.grad, x_.grad, tolerance)
    if shortcut is not None and shortcut_ is not None:
        close(shortcut.grad, shortcut_.grad, tolerance)
    for found, expected in (
        (norm.weight.grad, reference.weight.grad),
        (norm.bias.grad, reference.bias.grad),
        (norm.running_mean, reference.running_mean),
        (norm.running_var, reference.running_var),
    ):
        close(found, expected, 1e-5)


def test_the_gradient_of_one_use_alone() -> None:
    """In a plain network no shortcut leaves a layer, so its second result has no gradient."""
    torch.manual_seed(0)
    x, norm, gradient = tensor((4, 16, 8, 8), torch.float32), batch_norm(16), torch.randn(4, 16, 8, 8, device=DEVICE)
    given = []
    for which in (0, 1):
        x.grad = None
        fused.norm_add_relu(x, None, norm)[which].backward(gradient)
        given.append(x.grad)
    x.grad = None
    F.relu(F.batch_norm(x, None, None, norm.weight, norm.bias, training=True)).backward(gradient)
    assert given[0] is not None and given[1] is not None and torch.equal(given[0], given[1])
    close(given[0], x.grad, 2e-6)


def test_the_variance_beside_a_large_mean() -> None:
    """A difference of squares would lose all of it in 32 bits."""
    torch.manual_seed(0)
    x, norm = torch.randn(8, 16, 8, 8, device=DEVICE) + 1e4, nn.BatchNorm2d(16, device=DEVICE)
    fused.norm_add_relu(x, None, norm)
    assert norm.running_var is not None
    torch.testing.assert_close(norm.running_var, 0.9 + 0.1 * x.double().var((0, 2, 3)).float(), rtol=1e-3, atol=0)


def test_equal_inputs_give_equal_bits_and_momentum_zero_keeps_the_statistics() -> None:
    torch.manual_seed(0)
    x, norm = tensor((4, 16, 8, 8), torch.bfloat16), batch_norm(16)
    norm.momentum = 0.0  # as in the second pass over a segment
    before, results = deepcopy(norm.state_dict()), []
    for _ in range(2):
        x.grad = norm.weight.grad = norm.bias.grad = None
        out, _ = fused.norm_add_relu(x, None, norm)
        out.backward(torch.ones_like(out))
        assert x.grad is not None and norm.weight.grad is not None
        results.append((out, x.grad, norm.weight.grad))
    assert all(map(torch.equal, *results))
    assert all(torch.equal(value, before[name]) for name, value in norm.state_dict().items())


def test_other_memory_formats_are_copied() -> None:
    torch.manual_seed(0)
    x, norm = torch.randn(4, 16, 8, 8, device=DEVICE), batch_norm(16)
    out, _ = fused.norm_add_relu(x, None, norm)
    close(out, F.relu(F.batch_norm(x, None, None, norm.weight, norm.bias, training=True)), 2e-6)


@given(st.integers(2, 300_000), st.integers(1, 300))
def test_every_row_belongs_to_one_program(rows: int, channels: int) -> None:
    on = fused.grid(torch.empty(rows, channels, 1, 1, device="meta"))
    assert on.programs <= fused.PROGRAMS and on.chunk % on.tile == 0
    assert (on.programs - 1) * on.chunk < rows <= on.programs * on.chunk
    assert on.launch[1] * on.width >= channels and on.tile * on.width <= fused.ELEMENTS
