"""The compiled step on a processor: one compilation a run, near the plain step, exact at resume, and its fallback.

All tests share one folder of compiled code, so that the network is compiled once in each precision.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl
import torch
from torch import Tensor
from torch._dynamo.utils import counters
from torch.nn import functional as F

from study import network
from study.data.datasets import load_in_memory
from study.data.digits import load_digits
from study.data.images import Images
from study.machine import compiler
from study.machine.compiler import has_compiler
from study.machine.options import MachineOptions, Precision, StepMode
from study.machine.resolve import step_mode
from study.network import ResNet
from study.recipes import recipe_for
from study.recording.record import Record
from study.spec import InputError, Spec
from study.training.compiling import compile_forward
from study.training.module import TrainingModule
from study.training.schedule import Schedule
from study.training.signals import Interrupted
from study.training.step import Forward, uncounted_batches
from study.training.train import build_trainer
from study.weights.digest import weights_sha256
from tests.support import run

SPEC = Spec("digits", 8, "A", "smoke")
RESNET_20 = Spec("cifar10", 20, "A", "smoke")
FLAGS = ("--dataset=digits", "--depth=8", "--shortcut=A", "--recipe=smoke")
BOUND = 0.1  # of the norm of the weights, after 200 steps at rate 0.1 in fp32; seen: 0.036

no_gpu = pytest.mark.skipif(torch.cuda.is_available(), reason="the compiled step is a CPU's")
compiles = pytest.mark.skipif(not has_compiler(), reason="needs a C++ compiler")
pytestmark = [no_gpu]


@pytest.fixture(scope="module", autouse=True)
def code(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder of the code that these tests compile."""
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("compiled")
        patch.setenv(compiler.FOLDER, str(folder))
        yield folder


class Stop(pl.Callback):
    """Sends this process a SIGTERM inside the 13th step."""

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        assert isinstance(pl_module, TrainingModule) and pl_module._steps is not None
        taken = pl_module._steps.take

        def take(step: int) -> None:
            if step == 13:
                os.kill(os.getpid(), signal.SIGTERM)
            taken(step)

        pl_module._steps.take = take  # type: ignore[method-assign]


def fit(folder: Path, mode: StepMode, precision: Precision = "32", *more: pl.Callback, **recipe: Any) -> TrainingModule:
    """Train, or resume, under the real Trainer."""
    module = TrainingModule(SPEC, load_digits(), mode)
    module.schedule = Schedule(replace(module.recipe, **recipe))
    record = Record(folder, SPEC)
    record.open({"recipe": {}, "data_fingerprint": ""})
    trainer = build_trainer(record, MachineOptions(precision=precision), None)
    trainer.callbacks.extend(more)  # type: ignore[attr-defined]
    try:
        trainer.fit(module, ckpt_path=record.checkpoint if record.checkpoint.exists() else None, weights_only=True)
    finally:
        record.close()
    return module


def flat(net: torch.nn.Module) -> Tensor:
    return torch.cat([weight.detach().flatten() for weight in net.parameters()])


@compiles
def test_after_200_steps_it_is_near_the_plain_step_and_was_compiled_once(tmp_path: Path) -> None:
    """The bound is loose because rounding grows from step to step, as it does between two orders of the same sums."""
    long = {"steps": 200, "drops": (), "evaluations": 4}
    plain = fit(tmp_path / "plain", "plain", **long)
    before = counters["stats"]["unique_graphs"]
    compiled = fit(tmp_path / "compiled", "compiled", **long)
    assert counters["stats"]["unique_graphs"] == before + 1, "neither passes nor evaluations compile again"
    one, other = flat(plain.net), flat(compiled.net)
    assert (one - other).norm() < BOUND * one.norm() and not torch.equal(one, other)
    assert list(plain.state_dict()) == list(compiled.state_dict())
    curves = [Record(tmp_path / name, SPEC).history() for name in ("plain", "compiled")]
    for expected, row in zip(*curves, strict=True):
        assert row["train/loss"] == pytest.approx(expected["train/loss"], rel=0.1, abs=0.002)
        assert abs(row["test/wrong"] - expected["test/wrong"]) <= 10
    statistics = [int(b) for name, b in compiled.net.named_buffers() if "tracked" in name]
    assert set(statistics) == {200}


def gradient(half: bool, is_compiled: bool) -> Tensor:
    """The gradient of one batch, for all weights."""
    torch.manual_seed(0)
    net = network.build("digits", 8, "A").to(memory_format=torch.channels_last)
    images, labels = torch.randn(64, 1, 8, 8), torch.arange(64) % 10
    forward = compile_forward(net) if is_compiled else net
    with torch.autocast("cpu", torch.bfloat16, enabled=half, cache_enabled=False), uncounted_batches(net):
        F.cross_entropy(forward(images), labels).backward()
    return torch.cat([weight.grad.flatten() for weight in net.parameters() if weight.grad is not None])


@compiles
@pytest.mark.slow
def test_its_gradients_are_the_plain_ones_in_fp32_and_no_worse_in_bf16() -> None:
    exact = gradient(half=False, is_compiled=False)
    assert (gradient(half=False, is_compiled=True) - exact).norm() < 1e-5 * exact.norm()
    plain, compiled = (gradient(True, is_compiled) - exact for is_compiled in (False, True))
    assert 0 < compiled.norm() < 1.5 * plain.norm()


@pytest.fixture(scope="module")
def photographs(cifar10: Path) -> Images:
    """CIFAR-10 as ResNet-20 is trained on it."""
    return Images(load_in_memory("cifar10", cifar10), recipe_for(RESNET_20), torch.device("cpu"))


def resnet_20() -> ResNet:
    torch.manual_seed(0)
    return network.build("cifar10", 20, "A").to(memory_format=torch.channels_last)


@compiles
@pytest.mark.slow
def test_on_cifar10_its_gradients_are_no_less_exact_than_the_plain_ones(photographs: Images) -> None:
    """Beside those in 64 bits."""
    images, labels = photographs.batch(0, 0)
    net, exact = resnet_20(), resnet_20().double()
    gradients = []
    for forward, batch in ((exact, images.double()), (net, images), (compile_forward(net), images)):
        parameters = list((exact if forward is exact else net).parameters())
        loss = F.cross_entropy(forward(batch), labels)
        gradients.append(torch.cat([g.double().flatten() for g in torch.autograd.grad(loss, parameters)]))
    right, plain, compiled = gradients
    assert 0 < (compiled - right).norm() < (plain - right).norm() < 0.02 * right.norm()


@compiles
@pytest.mark.slow
def test_on_cifar10_it_leaves_the_plain_step_as_fast_as_rounding_does(photographs: Images) -> None:
    """Plain steps from weights that differ in their last digit are as far from plain steps as compiled ones."""
    nets = [resnet_20() for _ in range(3)]
    with torch.no_grad():
        for weight in nets[1].parameters():
            weight.mul_(1 + torch.finfo(torch.float32).eps * torch.randn_like(weight))
    forwards: list[Forward] = [*nets[:2], compile_forward(nets[2])]
    for net, forward in zip(nets, forwards, strict=True):
        sgd = torch.optim.SGD(net.parameters(), 0.1, 0.9, weight_decay=1e-4)
        for step in range(30):
            batch, labels = photographs.batch(0, step)
            sgd.zero_grad()
            F.cross_entropy(forward(batch), labels).backward()  # type: ignore[no-untyped-call]
            sgd.step()
    plain, perturbed, compiled = (flat(net) for net in nets)
    assert 0 < (compiled - plain).norm() < 2 * (perturbed - plain).norm() < plain.norm()


@compiles
@pytest.mark.parametrize("precision", ["32", pytest.param("bf16", marks=pytest.mark.slow)])
def test_a_run_stopped_by_a_signal_resumes_to_the_same_weights(precision: Precision, tmp_path: Path) -> None:
    alone = fit(tmp_path / "alone", "compiled", precision)
    with pytest.raises(Interrupted):
        fit(tmp_path / "stopped", "compiled", precision, Stop())
    resumed = fit(tmp_path / "stopped", "compiled", precision)
    assert resumed.step == alone.step == 40
    assert weights_sha256(resumed.net) == weights_sha256(alone.net)


@compiles
def test_a_checkpoint_of_the_plain_step_goes_on_with_the_fused_update(tmp_path: Path) -> None:
    with pytest.raises(Interrupted):
        fit(tmp_path, "plain", "32", Stop())
    module = fit(tmp_path, "compiled")
    assert [group["fused"] for group in module.optimizers(use_pl_optimizer=False).param_groups] == [True]  # type: ignore


@pytest.mark.parametrize(
    ("options", "needs"),
    [
        (MachineOptions(step="compiled", devices=2), "--step=compiled needs one process"),
        (MachineOptions(step="compiled", checkpoint_every=2), "--step=compiled needs --checkpoint-every=0"),
    ],
)
def test_what_cannot_be_compiled_is_refused(options: MachineOptions, needs: str) -> None:
    with pytest.raises(InputError, match=needs):
        step_mode(options, in_memory=True)


@pytest.mark.process
@pytest.mark.parametrize(
    ("program", "folder", "why"),
    [
        ("no-compiler", "code", "there is no C++ compiler"),
        ("false", "code", "false failed"),
        ("true", "my code", "whose name has a space; set TORCHINDUCTOR_CACHE_DIR"),
    ],
)
def test_without_a_working_compiler_steps_are_plain(program: str, folder: str, why: str, tmp_path: Path) -> None:
    """A compiler that is not there, one that fails, and a folder that torch does not quote."""
    variables = {"CXX": program, compiler.FOLDER: str(tmp_path / folder)}
    done = run("study", "train", *FLAGS, "--step=compiled", f"--runs={tmp_path}", **variables)
    assert done.returncode == 0
    (line,) = (line for line in done.stderr.splitlines() if "compiled" in line)
    assert line.startswith("study: --step=compiled is not possible here") and why in line
    assert line.endswith("steps are plain")
    assert Record(tmp_path, SPEC).provenance()["step_path"] == "plain"


@compiles
@pytest.mark.slow
@pytest.mark.process
def test_a_run_by_its_command_resumes_though_its_code_is_compiled_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    digests = []
    for name, stops in (("alone", False), ("stopped", True)):
        monkeypatch.setenv(compiler.FOLDER, str(tmp_path / f"code-of-{name}"))
        command = ("study", "train", *FLAGS, "--step=compiled", f"--runs={tmp_path / name}")
        if stops:
            assert run("tests.signalled", "SIGTERM", "call:test_batch:1", *command).returncode == 143
        done = run(*command)
        assert done.returncode == 0, done.stderr
        record = Record(tmp_path / name, SPEC)
        assert record.provenance()["step_path"] == "compiled"
        digests.append((record.summary() or {})["weights_sha256"])
    assert digests[0] == digests[1]
