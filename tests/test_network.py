from __future__ import annotations

import csv
import io
from copy import deepcopy

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from study import network, spec
from study.commands import complexity
from study.network import IMAGENET_BLOCKS, TASKS, BasicBlock, PadShortcut, build
from tests.support import ROOT

GOLDEN = {  # trainable parameters, forward multiply-adds in millions
    ("cifar10", 20, "none A"): (269_722, 40.55),
    ("cifar10", 32, "none A"): (464_154, 68.86),
    ("cifar10", 44, "none A"): (658_586, 97.17),
    ("cifar10", 56, "none A"): (853_018, 125.5),
    ("cifar10", 110, "none A"): (1_727_962, 252.9),
    ("cifar10", 1202, "none A"): (19_421_274, 2_829),
    ("imagenet", 18, "none A"): (11_515_688, 1_795),
    ("imagenet", 18, "B"): (11_689_512, 1_814),
    ("imagenet", 18, "C"): (12_043_816, 1_878),
    ("imagenet", 34, "none A"): (21_623_848, 3_644),
    ("imagenet", 34, "B"): (21_797_672, 3_664),
    ("imagenet", 34, "C"): (22_716_840, 3_831),
    ("imagenet", 50, "B"): (25_557_032, 3_858),
    ("imagenet", 101, "B"): (44_549_160, 7_570),
    ("imagenet", 152, "B"): (60_192_808, 11_280),
    ("tinyimagenet", 18, "none A"): (11_515_688 - 800 * 513, 557.1),  # 800 outputs fewer
    ("tinyimagenet", 34, "none A"): (21_623_848 - 800 * 513, 1_161),
    ("tinyimagenet", 50, "B"): (25_557_032 - 800 * 2_049, 1_230.6),
}
CELLS = [(d, n, s, *want) for (d, n, kinds), want in GOLDEN.items() for s in kinds.split()]


@pytest.fixture(scope="module")
def counts() -> list[dict[str, str]]:
    """Every network counted afresh."""
    return list(csv.DictReader(io.StringIO(complexity.csv())))


def test_the_reports_counts_are_what_the_networks_have(counts: list[dict[str, str]]) -> None:
    with (ROOT / "reports" / "paper" / "complexity.csv").open() as file:
        assert list(csv.DictReader(file)) == counts


@pytest.mark.parametrize(("dataset", "depth", "shortcut", "parameters", "millions"), CELLS)
def test_parameters_and_multiply_adds(
    counts: list[dict[str, str]], dataset: str, depth: int, shortcut: str, parameters: int, millions: float
) -> None:
    cell = {"dataset": dataset, "depth": str(depth), "shortcut": shortcut}
    (row,) = (row for row in counts if cell.items() <= row.items())
    assert int(row["parameters"]) == parameters
    assert int(row["multiply_adds"]) / 1e6 == pytest.approx(millions, rel=6e-4)


@pytest.mark.parametrize(
    ("dataset", "size", "classes"),
    [("digits", 8, 10), ("cifar10", 32, 10), ("imagenet", 224, 1000), ("tinyimagenet", 64, 200)],
)
def test_logits_have_their_shape(dataset: str, size: int, classes: int) -> None:
    with torch.device("meta"):
        net, images = build(dataset, 50, "B"), torch.empty(2, 1 if dataset == "digits" else 3, size, size)
    assert net(images).shape == (2, classes)


def test_plain_bottleneck_nets_exist() -> None:
    with torch.device("meta"):
        plain, residual = build("imagenet", 50, "none"), build("imagenet", 50, "A")
    shapes = [[p.shape for p in net.parameters()] for net in (plain, residual)]
    assert shapes[0] == shapes[1]


@pytest.mark.parametrize("dataset", ["digits", "cifar10"])
@pytest.mark.parametrize("shortcut", ["A", "B", "C"])
def test_a_plain_net_and_its_twin_start_from_equal_weights(dataset: str, shortcut: str) -> None:
    torch.manual_seed(5)
    plain = build(dataset, 20, "none").state_dict()
    torch.manual_seed(5)
    twin = build(dataset, 20, shortcut).state_dict()
    assert set(plain) <= set(twin) and (set(plain) == set(twin)) == (shortcut == "A")
    assert all(torch.equal(plain[name], twin[name]) for name in plain)
    torch.manual_seed(6)
    assert not torch.equal(build(dataset, 20, "none").state_dict()["stem.conv.weight"], plain["stem.conv.weight"])


def test_weights_are_hes() -> None:
    convs = [m for m in build("cifar10", 110, "A").modules() if isinstance(m, nn.Conv2d)]
    ratios = torch.tensor([float(m.weight.detach().std()) / (2 / (m.out_channels * 9)) ** 0.5 for m in convs])
    assert ratios.mean() == pytest.approx(1, abs=0.01)
    assert all(m.bias is None for m in convs)


@pytest.mark.parametrize("shortcut", ["none", "A"])
def test_a_block_is_what_the_paper_writes(shortcut: str) -> None:
    """Eqn. 1 spelt out: conv, BN, ReLU, conv, BN, then (+ x), then ReLU."""
    block, x = BasicBlock(16, 32, stride=2, kind=shortcut).eval(), torch.randn(4, 16, 8, 8)
    y = F.relu(block.bn1(F.conv2d(x, block.conv1.weight, stride=2, padding=1)))
    y = block.bn2(F.conv2d(y, block.conv2.weight, padding=1))
    if shortcut == "A":
        y = y + torch.cat([x[:, :, ::2, ::2], torch.zeros(4, 16, 4, 4)], dim=1)
    torch.testing.assert_close(block(x), F.relu(y))


def test_option_a_has_no_parameters_and_keeps_gradients_exact() -> None:
    shortcut = PadShortcut(extra=3, stride=2)
    x = torch.randn(2, 5, 6, 6, requires_grad=True)
    shortcut(x).sum().backward()
    expected = torch.zeros_like(x)
    expected[:, :, ::2, ::2] = 1
    assert not list(shortcut.parameters()) and torch.equal(x.grad, expected)


class SlicedShortcut(nn.Module):
    """Option A as the paper's words have it: every second pixel, then zeros."""

    def __init__(self, shortcut: PadShortcut) -> None:
        super().__init__()
        self.extra, self.stride = shortcut.extra, shortcut.stride

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, 0, self.extra))


@pytest.mark.parametrize("half", [False, True])
@pytest.mark.parametrize(("dataset", "depth", "size"), [("cifar10", 8, 32), ("cifar10", 20, 32), ("imagenet", 50, 63)])
def test_option_a_stays_in_channels_last_and_changes_no_bit(dataset: str, depth: int, size: int, half: bool) -> None:
    """Logits and gradients equal those of a slice, whose gradient leaves the memory format of all others."""
    torch.manual_seed(0)
    net = build(dataset, depth, "A").to(memory_format=torch.channels_last)
    sliced = deepcopy(net)
    for block in [module for module in sliced.modules() if isinstance(module, BasicBlock | network.Bottleneck)]:
        if isinstance(block.shortcut, PadShortcut):
            block.shortcut = SlicedShortcut(block.shortcut)
    images = torch.randn(2, 3, size, size).to(memory_format=torch.channels_last)
    results, formats = [], []
    for one in (net, sliced):
        kept: list[bool] = []
        with torch.autocast("cpu", torch.bfloat16, enabled=half):
            x, labels = images, torch.arange(2)
            for part in (layer for stage in list(one.children())[:-2] for layer in stage.children()):
                x = part(x)
                x.register_hook(lambda g, kept=kept: kept.append(g.is_contiguous(memory_format=torch.channels_last)))
            loss = F.cross_entropy(one.head(one.pool(x)), labels)
        loss.backward()
        results.append([loss.detach(), *(weight.grad for weight in one.parameters())])
        formats.append(kept[1:])  # the first is that of the global average, one value for a whole channel
    assert all(map(torch.equal, *results))
    assert all(formats[0]) and not all(formats[1]), "the slice shows that this test would see it"


def test_in_place_steps_leave_gradients_right() -> None:
    """The whole net against central differences, in double precision."""
    torch.manual_seed(0)
    net = build("digits", 8, "A").double().eval()
    x = torch.randn(2, 1, 8, 8, dtype=torch.double, requires_grad=True)
    assert torch.autograd.gradcheck(net, (x,), eps=1e-6, atol=1e-5)


def test_there_is_no_dropout_and_batch_norm_follows_each_convolution() -> None:
    net = build("imagenet", 34, "B")
    kinds = [type(m) for m in net.modules() if not list(m.children())]
    assert not any(issubclass(kind, nn.Dropout) for kind in kinds)
    assert kinds.count(nn.Conv2d) == kinds.count(nn.BatchNorm2d)


@pytest.mark.parametrize(
    ("net", "says"),
    [
        (
            ("nonsense", 20, "A"),
            "data set 'nonsense' is unknown; choose one of: digits, cifar10, imagenet, tinyimagenet",
        ),
        (("imagenet", 35, "A"), "depth 35 is not .* choose one of: 18, 34, 50, 101, 152"),
        (("cifar10", 21, "A"), r"depth 21 is not 6n\+2"),
        (("cifar10", 20, "D"), "shortcut 'D' is unknown; choose one of: none, A, B, C"),
    ],
)
def test_a_network_that_does_not_exist_is_refused_with_the_choices(net: tuple[str, int, str], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        build(*net)


def test_the_networks_are_those_that_a_spec_may_name() -> None:
    """`network` imports nothing of ours, so what it repeats of `spec` is compared here."""
    assert {name: task.family for name, task in TASKS.items()} == spec.FAMILIES
    assert tuple(IMAGENET_BLOCKS) == spec.IMAGENET_DEPTHS
    assert network.FIRST_BOTTLENECK_DEPTH == spec.FIRST_BOTTLENECK_DEPTH
