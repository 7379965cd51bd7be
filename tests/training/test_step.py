"""How steps are taken changes no number: at once or one by one, from tables on the device, in segments, as a graph."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from study import network
from study.bench.memory import LiveBytes
from study.data.digits import load_digits
from study.data.images import Images
from study.machine.options import MachineOptions
from study.recipes import RECIPES
from study.recording.record import Record
from study.training.errors import Tally
from study.training.module import TrainingModule
from study.training.schedule import Schedule
from study.training.step import STEPS_PER_CALL, PlainSteps, ResidentSteps, Steps, in_segments, ranges, update
from study.training.train import build_trainer
from study.weights.digest import weights_sha256
from tests.support import CELL, SPEC, run

MOVING = replace(RECIPES["digits"]["mini"], pad=1, flip=True)  # with crops and flips, so that they are looked at too


@pytest.mark.parametrize("first", [0, 7, 50, 99, 120])
def test_ranges_are_every_step_once_cut_at_the_same_places(first: int) -> None:
    pairs = ranges(first, 120, 50)
    assert [step for pair in pairs for step in range(*pair)] == list(range(first, 120))
    assert all(start == first or start % 50 == 0 for start, _ in pairs)


def fit(tmp_path: Path, steps_per_call: int, **changes: float) -> TrainingModule:
    """Train a cell in bf16 under Lightning, so many steps at once."""
    module = TrainingModule(SPEC, load_digits())
    module.steps_per_call = steps_per_call
    module.schedule = Schedule(replace(module.recipe, steps=120, evaluations=2, **changes))  # type: ignore[arg-type]
    record = Record(tmp_path / str(steps_per_call), SPEC)
    record.open({"recipe": {}, "data_fingerprint": ""})
    build_trainer(record, MachineOptions(precision="bf16"), None).fit(module)
    return module


def test_fifty_steps_at_once_are_fifty_steps(tmp_path: Path) -> None:
    """In bf16: did Lightning's autocast cache its casts of the weights, all fifty would see the first one's."""
    many, single = (fit(tmp_path, steps_per_call, warmup_error=80.0) for steps_per_call in (STEPS_PER_CALL, 1))
    assert many.schedule.warm_until == single.schedule.warm_until == 50 and many.evaluation and single.evaluation
    assert weights_sha256(many.net) == weights_sha256(single.net)
    assert many.evaluation.lr == single.evaluation.lr
    assert many.evaluation.train == single.evaluation.train
    assert all(int(m.num_batches_tracked) == 120 for m in many.net.modules() if isinstance(m, nn.BatchNorm2d))


Make = Callable[[Callable[..., None], torch.optim.SGD, Images], Steps]


def learn(make: Make, device: torch.device, steps: int) -> tuple[nn.Module, Tally, float]:
    """Take steps with a net of 8 layers; returns it, what was counted, and one number that tells its batches."""
    torch.manual_seed(0)
    net, tally = network.build("digits", 8, "A").to(device), Tally(device)
    digest = torch.zeros(1, dtype=torch.float64, device=device)
    images = Images(load_digits(), MOVING, device)
    pixels = torch.arange(1, 1 + MOVING.batch * 64, device=device).reshape(-1, 1, 8, 8)
    sgd = torch.optim.SGD(net.parameters(), 1.0, 0.9, weight_decay=1e-4, fused=True)

    def forward(batch: Tensor) -> Tensor:
        digest.mul_(1.01).add_((batch.detach().double() * pixels).sum())  # in their order
        return net(batch)

    taking = make(partial(update, forward, sgd, tally.add, lambda loss: loss.backward()), sgd, images)
    for start, stop in ranges(0, steps, STEPS_PER_CALL):
        coming = range(start, stop)
        taking.expect(coming, [Schedule(MOVING).rate(step) for step in coming])
        for step in coming:
            taking.take(step)
    return net, tally, float(digest)


def plain(update: Callable[..., None], sgd: torch.optim.SGD, images: Images) -> PlainSteps:
    return PlainSteps(update, sgd, lambda step: images.batch(0, step), single=True)


def resident(update: Callable[..., None], sgd: torch.optim.SGD, images: Images) -> ResidentSteps:
    return ResidentSteps(update, sgd, images, 0)


def differences(one: nn.Module, other: nn.Module) -> dict[str, float]:
    """The largest difference in each of two networks' tensors that are not equal to the bit."""
    pairs = zip(one.state_dict().items(), other.state_dict().values(), strict=True)
    return {name: float((a - b).abs().max()) for (name, a), b in pairs if not torch.equal(a, b)}


def test_differences_name_the_tensors_that_are_not_equal() -> None:
    one, other = nn.Linear(2, 1), nn.Linear(2, 1)
    other.load_state_dict(one.state_dict())
    assert differences(one, other) == {}
    with torch.no_grad():
        other.bias.add_(1)
    assert list(differences(one, other)) == ["bias"]


def test_plain_steps_can_take_rates_of_32_bits() -> None:
    """As they do on a GPU, so that a captured step, which reads its rate from memory, has the same."""
    sgd, seen = torch.optim.SGD([nn.Parameter(torch.zeros(1))]), []
    for single in (True, False):
        steps = PlainSteps(lambda *_: seen.append(sgd.param_groups[0]["lr"]), sgd, lambda _: (), single)  # type: ignore
        steps.expect(range(1), [0.1])
        steps.take(0)
    assert seen == [float(np.float32(0.1)), 0.1]


def test_steps_from_tables_on_the_device_are_the_plain_ones() -> None:
    """What a graph captures, run here without one: the same batches and weights, to the bit, and the same counts."""
    (one, counted, batches), (other, counted_too, same) = (
        learn(make, torch.device("cpu"), 120) for make in (plain, resident)
    )
    assert batches == same and weights_sha256(one) == weights_sha256(other)
    assert counted.take(lambda value: value) == counted_too.take(lambda value: value)


def test_a_step_from_tables_asks_nothing_of_the_host() -> None:
    """On the meta device, which has no values: reading one back, as no graph can, is an error there."""
    meta = torch.device("meta")
    with meta:
        net = network.ResNet(network.architecture("digits", 8), "A")
    images, tally = Images(load_digits(), MOVING, meta), Tally(meta)
    sgd = torch.optim.SGD(net.parameters(), 0.1)
    steps = ResidentSteps(partial(update, net, sgd, tally.add, lambda loss: loss.backward()), sgd, images, 0)
    sgd.param_groups[0] |= {"lr": 0.1, "fused": False}  # torch's fused kernel has no version without values
    steps.take(0)
    assert net.stem.conv.weight.grad is not None
    with pytest.raises(RuntimeError, match="meta"):
        tally.take(lambda value: value)


@pytest.mark.parametrize(("every", "half"), [(1, False), (2, True), (5, False)])
def test_segments_change_no_gradient_and_no_statistic(every: int, half: bool) -> None:
    torch.manual_seed(0)
    whole = network.build("cifar10", 20, "B")
    parts = deepcopy(whole)
    images, labels = torch.randn(8, 3, 32, 32), torch.arange(8)
    for net, forward in ((whole, whole), (parts, in_segments(parts, every))):
        with torch.autocast("cpu", torch.bfloat16, enabled=half, cache_enabled=False):
            F.cross_entropy(forward(images), labels).backward()
        assert net.training
    for (name, a), b in zip(whole.named_parameters(), parts.parameters(), strict=True):
        assert a.grad is not None and b.grad is not None and torch.equal(a.grad, b.grad), name
    statistics = [[b for name, b in net.named_buffers() if "running" in name] for net in (whole, parts)]
    assert all(map(torch.equal, *statistics))


def test_segments_keep_less() -> None:
    """Of 56 layers all that is kept is as counted on paper; in segments of 9 blocks it is less than a fifth."""
    net, images, labels = network.build("cifar10", 56, "A"), torch.randn(8, 3, 32, 32), torch.arange(8)
    kept = []
    for forward in (net, in_segments(net, 9)):
        with LiveBytes() as counter:
            loss = F.cross_entropy(forward(images), labels)
            kept.append(counter.live)
            loss.backward()
        del loss
    outputs = 16_384 + 57_344 * 9  # elements of all convolutions' outputs, per image
    assert kept[0] == pytest.approx(2 * 4 * 8 * outputs, rel=0.02), "each output and its ReLU"
    assert kept[1] < kept[0] / 5


def test_a_cell_trained_in_segments_is_the_cell(tmp_path: Path) -> None:
    modules = [TrainingModule(SPEC, load_digits(), checkpoint_every=every) for every in (0, 2)]
    for i, module in enumerate(modules):
        module.schedule = Schedule(replace(module.recipe, steps=20, evaluations=1))
        record = Record(tmp_path / str(i), SPEC)
        record.open({"recipe": {}, "data_fingerprint": ""})
        build_trainer(record, MachineOptions(), None).fit(module)
    assert weights_sha256(modules[0].net) == weights_sha256(modules[1].net)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
class TestOnAGpu:
    """`pytest -m gpu tests/training/test_step.py` on a machine that has one."""

    def test_captured_steps_are_the_plain_ones(self) -> None:
        """200 steps: equal batches, weights and counts, all to the bit; if the weights are not, by how much."""
        from study.machine.device import configure_torch
        from study.training.step import GraphSteps

        configure_torch("32")
        (one, counted, batches), (other, counted_too, same) = (
            learn(make, torch.device("cuda"), 200) for make in (plain, lambda *given: GraphSteps(resident(*given)))
        )
        assert batches == same
        apart = differences(one, other)
        assert not apart, f"largest differences of the weights that are not equal: {apart}"
        a, b = (tally.take(lambda value: value) for tally in (counted, counted_too))
        assert a == b and a.seen == 200 * MOVING.batch

    @pytest.mark.parametrize("path", ["plain", "graph"])
    def test_an_interrupted_run_resumes_to_the_same_end(self, path: str, tmp_path: Path) -> None:
        """Stopped by SIGTERM somewhere in a stretch, so that other steps are the ones before the capture."""
        records = [Record(tmp_path / name, SPEC) for name in ("alone", "stopped")]
        options = [("study", "train", *CELL, f"--step={path}", f"--runs={record.folder.parent}") for record in records]
        stopped = run("tests.signalled", "SIGTERM", "call:take:13", *options[1])
        assert stopped.returncode == 143, stopped.stderr
        for option in options:
            assert run(*option).returncode == 0
        digests = [(record.summary() or {})["weights_sha256"] for record in records]
        assert digests[0] == digests[1] and records[0].provenance()["step_path"] == path
