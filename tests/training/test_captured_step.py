"""The captured step under Lightning, by `GraphSteps` itself, on a stand-in for CUDA's graphs (see standin.py).

Equal means to the bit. The plain runs that it is compared with use what a captured step uses, torch's fused SGD and
learning rates of 32 bits.
"""

from __future__ import annotations

import signal
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback

from study.data.digits import load_digits
from study.data.images import Arrays
from study.machine.options import MachineOptions, Precision, StepMode
from study.recipes import RECIPES, Recipe
from study.recording.record import Record
from study.spec import FAMILIES, Spec
from study.training.compiling import compile_forward
from study.training.module import TrainingModule
from study.training.schedule import Schedule
from study.training.signals import Interrupted
from study.training.step import EAGER_STEPS
from study.training.train import build_trainer
from study.weights.digest import weights_sha256
from tests.support import SPEC
from tests.training import standin

pytestmark = pytest.mark.skipif(torch.cuda.is_available(), reason="a GPU has real graphs: pytest -m gpu")
STEPS = 120


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> standin.Log:
    return standin.install(monkeypatch)


class Rounded(Schedule):
    """Learning rates of 32 bits, as a captured step reads them from memory."""

    def rate(self, step: int) -> float:
        return float(np.float32(super().rate(step)))


class Fused(TrainingModule):
    """Training by torch's fused SGD also where it is plain."""

    @property
    def _is_fused(self) -> bool:
        return True


class StopAt(Callback):
    """Sends this process SIGTERM after a step."""

    def __init__(self, step: int) -> None:
        self.step = step

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule, *_: Any) -> None:
        if pl_module.step == self.step:
            signal.raise_signal(signal.SIGTERM)


def make(mode: StepMode, recipe: Recipe, every: int = 0, arrays: Arrays | None = None, spec: Spec = SPEC) -> Fused:
    module = Fused(spec, arrays or load_digits(), mode, every)
    module.schedule = Rounded(recipe)
    return module


def fit(module: TrainingModule, folder: Path, precision: Precision, stop: int = 0) -> TrainingModule:
    """Train under Lightning with all callbacks, from the folder's checkpoint if there is one."""
    record = Record(folder, module.spec)
    record.folder.mkdir(parents=True, exist_ok=True)
    trainer = build_trainer(record, MachineOptions(precision=precision), None)
    resumed = record.checkpoint if record.checkpoint.exists() else None
    if stop:
        module.steps_per_call = stop
        trainer.callbacks.insert(0, StopAt(stop))  # type: ignore[attr-defined]
    trainer.fit(module, ckpt_path=resumed, weights_only=True)
    return module


def assert_same(one: TrainingModule, other: TrainingModule) -> None:
    assert weights_sha256(one.net) == weights_sha256(other.net)
    assert one.evaluation is not None and other.evaluation is not None
    assert one.evaluation.train == other.evaluation.train and one.evaluation.test == other.evaluation.test
    assert one.schedule.warm_until == other.schedule.warm_until


WARM = replace(RECIPES["digits"]["mini"], steps=STEPS, evaluations=2, warmup_error=80.0)  # the rate rises at step 50


@pytest.mark.parametrize("every", [0, 2], ids=["whole", "segments"])
@pytest.mark.parametrize("precision", ["32", "bf16"])
def test_captured_steps_are_the_plain_ones_and_resume(
    precision: Precision, every: int, tmp_path: Path, log: standin.Log
) -> None:
    plain = fit(make("plain", WARM, every), tmp_path / "plain", precision)
    assert log.captures == 0
    captured = fit(make("graph", WARM, every), tmp_path / "captured", precision)
    assert (log.captures, log.replays) == (1, STEPS - EAGER_STEPS)
    assert captured.schedule.warm_until == 50, "inside the run"
    assert_same(captured, plain)

    with pytest.raises(Interrupted):
        fit(make("graph", WARM, every), tmp_path / "stopped", precision, stop=38)
    resumed = make("graph", WARM, every)
    fit(resumed, tmp_path / "stopped", precision)
    assert log.captures == 3
    assert_same(resumed, captured)


IN_MEMORY = [
    (dataset, name) for dataset, recipes in RECIPES.items() for name, recipe in recipes.items() if dataset != "imagenet"
]


def shortened(recipe: Recipe, steps: int = 12) -> Recipe:
    """The recipe in so many steps of 16 images, its rises and drops of the learning rate among them."""
    scale = steps / recipe.steps
    drops = tuple(round(drop * scale) for drop in recipe.drops)
    ramp = min(recipe.ramp, steps // 2)
    return replace(recipe, steps=steps, drops=drops, ramp=ramp, batch=16, evaluations=2)


@pytest.mark.parametrize(("dataset", "name"), IN_MEMORY)
def test_every_recipe_can_be_captured(
    dataset: str, name: str, arrays: Arrays, tmp_path: Path, log: standin.Log
) -> None:
    depth = 18 if FAMILIES[dataset] == "imagenet" else 8
    spec, recipe = Spec(dataset, depth, "B", name), shortened(RECIPES[dataset][name])
    images = few(load_digits() if dataset == "digits" else arrays)
    plain, captured = (
        fit(make(mode, recipe, arrays=images, spec=spec), tmp_path / mode, "32") for mode in ("plain", "graph")
    )
    assert (log.captures, log.replays) == (1, recipe.steps - EAGER_STEPS)
    assert_same(captured, plain)


def few(arrays: Arrays) -> Arrays:
    """Some of the images."""
    return replace(
        arrays,
        train_images=arrays.train_images[:500],
        train_labels=arrays.train_labels[:500],
        test_images=arrays.test_images[:50],
        test_labels=arrays.test_labels[:50],
    )


SHORT = replace(shortened(RECIPES["digits"]["mini"], steps=7), batch=8, evaluations=1)


@pytest.mark.parametrize("precision", ["32", "bf16"])
def test_the_fused_forward_is_captured_and_resumes(
    precision: Precision, tmp_path: Path, log: standin.Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its kernels are interpreted, and recorded like torch's own operations."""
    from tests.training.fused.interpreted import network as fused
    from tests.training.fused.interpreted import norm

    monkeypatch.setattr(norm, "PROGRAMS", 1)  # the interpreter takes as long for a program of one row as for a thousand
    images = few(load_digits())
    plain = make("plain", SHORT, arrays=images)
    plain.__dict__["_forward"] = fused.fused(plain.net)
    fit(plain, tmp_path / "plain", precision)
    captured = fit(make("fused-graph", SHORT, arrays=images), tmp_path / "captured", precision)
    assert (log.captures, log.replays) == (1, SHORT.steps - EAGER_STEPS)
    assert_same(captured, plain)

    if precision == "bf16":
        with pytest.raises(Interrupted):
            fit(make("fused-graph", SHORT, arrays=images), tmp_path / "stopped", precision, stop=2)
        resumed = fit(make("fused-graph", SHORT, arrays=images), tmp_path / "stopped", precision)
        assert_same(resumed, captured)


def test_the_compiled_forward_is_captured(tmp_path: Path, log: standin.Log, monkeypatch: pytest.MonkeyPatch) -> None:
    """Traced by torch's compiler into the same operations, without its C++ or CUDA kernels, which a tape can't see."""
    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend="aot_eager"))
    images = few(load_digits())
    plain = make("plain", SHORT, arrays=images)
    plain.__dict__["_forward"] = compile_forward(plain.net)
    fit(plain, tmp_path / "plain", "32")
    captured = fit(make("compiled-graph", SHORT, arrays=images), tmp_path / "captured", "32")
    assert (log.captures, log.replays) == (1, SHORT.steps - EAGER_STEPS)
    assert_same(captured, plain)


def test_streams_wait_for_each_other_around_each_step_before_the_capture(tmp_path: Path, log: standin.Log) -> None:
    fit(make("graph", replace(WARM, steps=EAGER_STEPS + 1, evaluations=1)), tmp_path, "32")
    assert log.events == EAGER_STEPS * ["side waits for main", "work on side", "main waits for side"]


@pytest.mark.parametrize("reading", ["item", "tensor"])
def test_a_step_that_needs_the_host_can_not_be_captured(reading: str, tmp_path: Path, log: standin.Log) -> None:
    class Reading(Fused):
        def _count(self, logits: torch.Tensor, labels: torch.Tensor, loss: torch.Tensor) -> None:
            if reading == "item":
                float(loss)
            else:
                loss = loss * torch.tensor(2.0)
            super()._count(logits, labels, loss)

    module = Reading(SPEC, load_digits(), "graph")
    module.schedule = Rounded(WARM)
    with pytest.raises(RuntimeError, match="captured step"):
        fit(module, tmp_path, "32")
    assert module.step == EAGER_STEPS


def test_a_capture_changes_nothing_and_each_replay_is_the_step(log: standin.Log) -> None:
    """The stand-in itself, by hand: a counter, a value that is made from it, and a view of it."""
    counter, made = torch.zeros(2), torch.zeros(2)
    graph = standin.Graph()
    with standin.capture(graph, standin.Stream()):
        counter.add_(1)
        made.copy_(counter.view(2) * 10)
    assert counter.tolist() == made.tolist() == [0, 0]
    for step in (1, 2):
        graph.replay()
        assert counter.tolist() == [step, step] and made.tolist() == [10 * step, 10 * step]
