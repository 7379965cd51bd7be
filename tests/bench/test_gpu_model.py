"""The counted kernels of a GPU's step, beside counts by hand, and the page that shows them."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import pytest
import torch

from study import network
from study.bench.floor import convolution_outputs
from study.bench.gpu_model.kernels import evaluation_kernels, norm_backend, step_kernels
from study.bench.gpu_model.model import GPUS, OPTIMISTIC, PESSIMISTIC, WAYS, Way, launches, run_minutes, step_seconds
from study.bench.gpu_model.order import hours, parts
from study.bench.gpu_model.tables import tables
from study.recipes import recipe_for
from study.spec import Spec
from study.sweeps.grid import cells, known_files
from tests.support import ROOT

pytest.importorskip("triton", reason="the fused forward needs triton")


def test_bf16_takes_another_batch_norm_than_tf32() -> None:
    assert norm_backend(torch.float32) == "Cudnn" and norm_backend(torch.bfloat16) == "Native"


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.name)
def test_kernels_by_kind_are_those_counted_by_hand(way: Way) -> None:
    """Of ResNet-20: 19 convolutions, the first of which has no gradient of its images, and 9 shortcuts."""
    found = Counter(kernel.name for kernel in step_kernels(20, *way))
    assert (found["convolution"], found["convolution_backward"]) == (19, 2 * 19 - 1)
    norms = {
        "graph": ("native_batch_norm", "native_batch_norm_backward"),
        "fused-graph": ("norm_forward", "norm_backward"),
    }
    each = (2, 2) if way.path == "fused-graph" else (4, 3) if way.half else (1, 1)
    assert [found[name] for name in norms[way.path]] == [19 * count for count in each]
    is_fused = way.path == "fused-graph"
    assert found["relu_"] == found["threshold_backward"] == (0 if is_fused else 19)
    assert found["_foreach_copy_"] == (2 if is_fused and way.half else 0)
    assert found["sgd"] == 1


@pytest.mark.parametrize("half", [False, True])
def test_operations_are_three_forward_passes(half: bool) -> None:
    """But for the gradient of the images, which nobody wants, and the head, which is no convolution."""
    with torch.device("meta"):
        net = network.build("cifar10", 20, "A")
        multiply_adds = network.count(net, (3, 32, 32))[1] - 64 * 10
    stem = 32 * 32 * 27 * 16
    found = sum(kernel.operations for kernel in step_kernels(20, half, "graph"))
    assert found == 128 * 2 * (3 * multiply_adds - stem)


def test_bytes_of_the_fused_batch_norms_are_those_counted_by_hand() -> None:
    """Read x, read x, write y; read gradient, y and x twice, write the gradient; shortcuts add two tensors each way."""
    kernels = step_kernels(20, True, "fused-graph")
    outputs, channels = 2 * 128 * convolution_outputs(20, 32 * 32), 16 + 6 * (16 + 32 + 64)
    forward = sum(kernel.bytes for kernel in kernels if kernel.name == "norm_forward")
    blocks = 2 * 128 * 3 * (16 * 1024 + 32 * 256 + 64 * 64)
    assert forward == 3 * outputs + blocks + channels * 2 * 4
    backward = sum(kernel.bytes for kernel in kernels if kernel.name == "norm_backward")
    second = 2 * 128 * (4 * 16 * 1024 + 3 * 32 * 256 + 2 * 64 * 64)  # of stem and blocks, the last one's is used once
    assert backward == 7 * outputs + 2 * second + blocks + channels * 2 * 4


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.name)
def test_what_a_network_costs_is_linear_in_its_depth(way: Way) -> None:
    assert launches(44, way) == len(step_kernels(44, *way))


def test_times_lie_between_their_bounds_and_grow_with_depth() -> None:
    for way in WAYS:
        for gpu in GPUS:
            low, high = (
                [step_seconds(depth, way, gpu, end) for depth in (20, 56, 110)] for end in (OPTIMISTIC, PESSIMISTIC)
            )
            assert all(a < b for a, b in zip(low, high, strict=True))
            assert all(a < b for a, b in pairwise(low))
            assert run_minutes(20, way, gpu, OPTIMISTIC, 500) > 64_000 * low[0] / 60, "evaluations come on top"


def test_an_evaluation_launches_no_backward_pass() -> None:
    found = Counter(kernel.name for kernel in evaluation_kernels(20, True, 500))
    assert found["convolution"] == 19 and not [name for name in found if "backward" in name]


def test_the_page_has_todays_tables() -> None:
    text = (ROOT / "docs" / "gpu_times.md").read_text()
    assert tables() in text, "write it again: python -m study.bench.gpu_model"


def test_every_full_length_cell_is_trained_once_and_hours_add_up() -> None:
    found = [spec for _, specs in parts() for spec in specs]
    sweeps = [spec for path in known_files().values() for spec in cells(path) if spec.dataset == "cifar10"]
    full = {spec for spec in sweeps if recipe_for(spec).scale == "full"}
    assert len(found) == len({*found}) and {*found} == full and {1202, 110, 56, 44, 32, 20} == {s.depth for s in full}
    each = [hours([spec], 1, WAYS[0], OPTIMISTIC) for spec in found]
    one, eight = (hours(found, gpus, WAYS[0], OPTIMISTIC) for gpus in (1, 8))
    assert one == pytest.approx(sum(each)) and max(max(each), one / 8) <= eight < one / 4
    assert hours([Spec("cifar10", 20, "A", "long", 0)], 1, WAYS[0], OPTIMISTIC) == pytest.approx(
        3 * hours([Spec("cifar10", 20, "A", "paper", 0)], 1, WAYS[0], OPTIMISTIC)
    )
