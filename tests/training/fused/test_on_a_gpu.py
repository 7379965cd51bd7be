"""`pytest -n0 -m gpu tests/training/fused` on a machine that has a GPU: the kernels at the paper's sizes.

`study gpu-check` doesn't run these among its first tests, as training can do without the fused step.
"""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from study.network import build
from study.recording.record import Record
from tests.support import CELL, SPEC, run
from tests.training.fused.interpreted import DEVICE
from tests.training.fused.interpreted import network as fused
from tests.training.fused.interpreted import norm as kernels

pytestmark = [pytest.mark.gpu, pytest.mark.skipif(DEVICE.type != "cuda", reason="needs a CUDA device")]


@pytest.mark.parametrize("kind", [torch.float32, torch.bfloat16], ids=["fp32", "bf16"])
@pytest.mark.parametrize("shape", [(128, 16, 32, 32), (128, 32, 16, 16), (128, 64, 8, 8), (32, 256, 56, 56)], ids=str)
def test_a_layer_is_torchs_within_a_rounding(shape: tuple[int, ...], kind: torch.dtype) -> None:
    torch.manual_seed(0)
    norm = nn.BatchNorm2d(shape[1], device=DEVICE)
    x, shortcut, first, second = (
        torch.randn(shape, device=DEVICE).to(kind).contiguous(memory_format=torch.channels_last) for _ in range(4)
    )
    reference = deepcopy(norm).double()
    given, expected = (x.requires_grad_(), shortcut.requires_grad_()), []
    exact = tuple(each.detach().double().requires_grad_() for each in given)
    y = F.relu(reference(exact[0]) + exact[1])
    y.backward(first.double() + second.double())
    out, again = kernels.norm_add_relu(*given, norm)
    torch.autograd.backward([out, again], [first, second])
    expected = [y, exact[0].grad, exact[1].grad, reference.weight.grad, reference.bias.grad, reference.running_var]
    found = [out, x.grad, shortcut.grad, norm.weight.grad, norm.bias.grad, norm.running_var]
    for ours, theirs in zip(found, expected, strict=True):
        assert apart(ours, theirs) < (1e-5 if kind == torch.float32 else 8e-3)


def apart(found: Tensor | None, expected: Tensor | None) -> float:
    """The norm of the difference over the norm of what is expected; single values near zero may have another sign."""
    assert found is not None and expected is not None
    return float((found.detach().double() - expected.detach()).norm() / expected.detach().norm())


@pytest.mark.parametrize("half", [False, True], ids=["fp32", "bf16"])
def test_a_network_of_110_layers_has_the_networks_loss_and_equal_bits_twice(half: bool) -> None:
    torch.manual_seed(0)
    net = build("cifar10", 110, "A").to(DEVICE, memory_format=torch.channels_last)
    images, labels = torch.randn(128, 3, 32, 32, device=DEVICE), torch.arange(128, device=DEVICE) % 10
    losses = []
    for forward in (net, fused.fused(net), fused.fused(net)):
        net.zero_grad()
        with torch.autocast("cuda", torch.bfloat16, enabled=half, cache_enabled=False):
            loss = F.cross_entropy(forward(images), labels)
            loss.backward()
        losses.append((loss.detach(), *(p.grad for p in net.parameters())))
    assert float(losses[1][0]) == pytest.approx(float(losses[0][0]), rel=0.02 if half else 1e-3)
    assert all(map(torch.equal, losses[1], losses[2]))


@pytest.mark.process
@pytest.mark.parametrize("path", ["fused-graph", "compiled-graph"])
def test_an_interrupted_run_resumes_to_the_same_end(path: str, tmp_path: Path) -> None:
    records = [Record(tmp_path / name, SPEC) for name in ("alone", "stopped")]
    options = [("study", "train", *CELL, f"--step={path}", f"--runs={record.folder.parent}") for record in records]
    stopped = run("tests.signalled", "SIGTERM", "call:take:13", *options[1])
    assert stopped.returncode == 143, stopped.stderr
    for option in options:
        assert run(*option).returncode == 0
    digests = [(record.summary() or {})["weights_sha256"] for record in records]
    assert digests[0] == digests[1] and records[0].provenance()["step_path"] == path
