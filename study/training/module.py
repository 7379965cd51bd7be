"""The LightningModule of a run: its training steps, its evaluations and its checkpoint.

A Lightning epoch is an evaluation interval: the steps from one evaluation to the next. The module counts the steps
itself, because one `training_step` may take many of them, and because a resumed run starts inside an interval.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property, partial
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor
from torch.nn import functional as F
from torch.utils.data import DataLoader

from study import network
from study.data.datasets import dataset_info
from study.data.images import Images
from study.data.interface import Batches, DataSet
from study.data.sampling import evaluation_shares
from study.machine.options import CAPTURED, StepMode
from study.recipes import Recipe, decays_norms, per_device_batch, recipe_for
from study.recording.evaluation import Evaluation, Row
from study.spec import Spec
from study.training.compiling import training_forward
from study.training.errors import ConfusionMatrix, Tally
from study.training.optimizer import sgd
from study.training.ranks import (
    Agreement,
    average_gradients,
    check_settings,
    check_weights,
    settle_buckets,
    share_statistics,
    sum_over_ranks,
)
from study.training.schedule import Schedule
from study.training.step import (
    STEPS_PER_CALL,
    Forward,
    GraphSteps,
    PlainSteps,
    ResidentSteps,
    Steps,
    gradient_norm,
    ranges,
    uncounted_batches,
    update,
)

Ranges = DataLoader[tuple[int, int]]  # what Lightning loops over: (first, stop) pairs of steps or of test images


class TrainingModule(pl.LightningModule):
    """One cell under Lightning: the network, and what Lightning calls to train it, to evaluate it and to save it.

    Attributes:
        spec: The cell.
        dataset: Its images, before they are on the device.
        net: The network.
        schedule: The learning rate, with the recipe that it follows.
        step_mode: How steps are taken.
        checkpoint_every: Number of blocks between kept activations; 0 keeps all.
        steps_per_call: Largest number of steps in one `training_step`.
        step: Number of updates so far.
        stop_requested: Whether this rank was asked to stop training.
        agreement: When all ranks stop, because one of them was asked to; from `on_fit_start` on.
        tallies: Errors since the last evaluation (``train``), in the window of the warm-up (``warmup``) and on the test
            set (``test``); on the device, from `on_fit_start` on.
        evaluation: The last evaluation of this session; None before the first.
        confusion: The confusion matrix of that evaluation.
        diverged: Step, rate and norm of the gradients when the loss was first seen not to be a number; None until then.
    """

    def __init__(self, spec: Spec, dataset: DataSet, step_mode: StepMode = "plain", checkpoint_every: int = 0) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.spec, self.dataset = spec, dataset
        self.schedule = Schedule(recipe_for(spec))
        torch.manual_seed(spec.seed)
        self.net = network.build(spec.dataset, spec.depth, spec.shortcut).to(memory_format=torch.channels_last)
        self.step_mode, self.checkpoint_every = step_mode, checkpoint_every
        self.steps_per_call = STEPS_PER_CALL
        self.step = 0
        self.stop_requested = False
        self.tallies: dict[str, Tally] = {}
        self.evaluation: Evaluation | None = None
        self.confusion: ConfusionMatrix | None = None
        self.diverged: Row | None = None
        self._images: Batches | None = None
        self._steps: Steps | None = None
        self._restored: Mapping[str, Tensor] = {}
        self._restored_counts = torch.zeros(1)

    @property
    def recipe(self) -> Recipe:
        """How the network is trained."""
        return self.schedule.recipe

    @property
    def images(self) -> Batches:
        """The images on the device of the network, where they are moved when `fit` first uses them."""
        if self._images is None:
            self._images = self.dataset.on(self.device, self.recipe, self.trainer.num_devices)
        return self._images

    @property
    def parameter_count(self) -> int:
        """Trainable parameters of the network."""
        return sum(p.numel() for p in self.net.parameters())

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """SGD with momentum and weight decay (Sec. 4.2)."""
        return sgd(self.net, self.recipe, decays_norms(self.spec), self._is_fused)

    @property
    def _is_fused(self) -> bool:
        """Whether one kernel updates all weights. Not in plain steps on a CPU: it rounds differently."""
        return self.device.type == "cuda" or self.step_mode != "plain"

    @cached_property
    def _forward(self) -> Forward:
        """The forward pass of training."""
        return training_forward(self.net, self.step_mode, self.checkpoint_every)

    def on_fit_start(self) -> None:
        """Restore the counts of an interrupted interval on rank 0."""
        per_device_batch(self.recipe, self.trainer.world_size)
        if self.trainer.world_size > 1:
            check_settings(self.device, self.spec, self.recipe, self.dataset.fingerprint, self.step_mode)
        self.agreement = Agreement(self.trainer.world_size, self.device)
        self.tallies = {name: Tally(self.device) for name in ("train", "warmup", "test")}
        if self.trainer.is_global_zero:
            for name, counts in self._restored.items():
                self.tallies[name].restore(counts)
            self.images.counts += self._restored_counts.to(self.device)

    # Training

    def on_train_start(self) -> None:
        """Choose how steps are taken, now that the checkpoint is loaded."""
        optimizer = self.optimizers(use_pl_optimizer=False)
        assert isinstance(optimizer, torch.optim.Optimizer)
        for group in optimizer.param_groups:
            group["fused"] = self._is_fused  # a checkpoint of another path may have set it otherwise
        forward = self._averaged(self._forward) if self.trainer.world_size > 1 else self._forward
        # Lightning's own backward costs a small network a third of its step on top.
        take_one = partial(update, forward, optimizer, self._count, torch.autograd.backward)
        self._steps = PlainSteps(take_one, optimizer, self._batch, single=self.device.type == "cuda")
        if self.step_mode in CAPTURED and isinstance(self.images, Images):
            self._steps = GraphSteps(ResidentSteps(take_one, optimizer, self.images, self.spec.seed))

    def _averaged(self, forward: Forward) -> Forward:
        """A forward pass whose gradients are averaged over ranks."""
        averaged = average_gradients(self.net, forward, self.device)
        size = dataset_info(self.spec.dataset).image_size
        with self.trainer.precision_plugin.forward_context():
            settle_buckets(self.net, averaged, torch.zeros(2, *size, device=self.device))
        return averaged

    def train_dataloader(self) -> Ranges:
        """The steps up to the next evaluation, as (first, stop) pairs; none if the run is complete."""
        coming = [] if self.is_complete else [stop for stop in self.recipe.evaluation_steps if stop > self.step]
        stop = next(iter(coming), self.step)
        return _ranges(ranges(self.step, stop, self.steps_per_call))

    def on_train_epoch_start(self) -> None:
        """Time the steps, on which it depends how often the ranks ask each other whether to stop."""
        self.agreement.begin(self.step)

    def training_step(self, steps: tuple[int, int], _: int) -> None:
        """Take the steps from first up to stop, or fewer if a stop is requested."""
        assert self._steps is not None
        coming = range(*steps)
        self._steps.expect(coming, [self.schedule.rate(step) for step in coming])
        with uncounted_batches(self.net) as counters:
            for step in coming:
                self._steps.take(step)
                self.step = step + 1
                if self.agreement.after(self.step, self.stop_requested):
                    break
        for counter in counters:
            counter.fill_(self.step)
        if self.schedule.needs_warmup_error(self.step):
            self.schedule.watch_warmup(self.step, self.tallies["warmup"].take(self._sum).percent)
        if self._sum(self.tallies["train"].is_lost()).item():
            self._diverge()

    def _diverge(self) -> None:
        """Note that the loss is no longer a number, and end the training with an evaluation."""
        lr, norm = self.schedule.rate(self.step - 1), gradient_norm(self.net)
        self.diverged = {"step": self.step, "lr": lr, "gradient_norm": norm}
        self.trainer.should_stop = True

    def _batch(self, step: int) -> tuple[Tensor, Tensor]:
        return self.images.batch(self.spec.seed, step, self.global_rank, self.trainer.world_size)

    def _count(self, logits: Tensor, labels: Tensor, loss: Tensor) -> None:
        self.tallies["train"].add(logits, labels, loss)
        if self.recipe.warmup_error is not None:
            self.tallies["warmup"].add(logits, labels, loss)

    @property
    def at_evaluation(self) -> bool:
        """Whether the step that was just taken is followed by an evaluation."""
        return self.step in self.recipe.evaluation_steps

    @property
    def is_complete(self) -> bool:
        """Whether no step is left: all are taken, or the run has failed, in its warm-up or by diverging."""
        return self.step >= self.recipe.steps or self.schedule.is_stuck(self.step) or self.diverged is not None

    # Evaluation

    def on_validation_start(self) -> None:
        """Give every rank the batch-norm statistics of rank 0, which are those in the checkpoint."""
        self.confusion = ConfusionMatrix(len(self.dataset.classes), self.device)
        if self.trainer.world_size > 1:
            check_weights(self.net, self.device)
            share_statistics(self.net)

    def val_dataloader(self) -> Ranges:
        """This rank's shard of the test set as (start, stop) pairs: each image once, without padding (rule 5)."""
        rank, world_size = self.trainer.global_rank, self.trainer.world_size
        limit = self.dataset.evaluation_part(self.device)
        parts = evaluation_shares(self.dataset.test_size, limit, rank, world_size)
        self.images.expect(parts)
        return _ranges(parts)

    def validation_step(self, part: tuple[int, int], _: int) -> None:
        """Count the errors on one part of the test set."""
        images, labels = self.images.test_batch(*part)
        logits = self.net(images)
        self.tallies["test"].add(logits, labels, F.cross_entropy(logits, labels))
        assert self.confusion is not None
        self.confusion.add(logits, labels)

    def on_validation_epoch_end(self) -> None:
        """Sum the counts over ranks into an `Evaluation`.

        Raises:
            RuntimeError: The images counted are not the whole test set, each once (rule 5).
        """
        assert self.confusion is not None
        train, test = self.tallies["train"].take(self._sum), self.tallies["test"].take(self._sum)
        if test.seen != self.images.test_size:
            raise RuntimeError(f"{test.seen} test images were counted, but there are {self.images.test_size}")
        self.confusion.sum_over_ranks(self._sum)
        samples = self.step * self.recipe.batch
        self.evaluation = Evaluation(
            step=self.step,
            epoch=samples / self.images.train_size,
            samples=samples,
            lr=self.schedule.rate(self.step - 1),
            train=train,
            test=test,
            notes=self.images.take_notes(self._sum),
        )
        self.schedule.watch_plateau(self.step, train.percent)
        self.trainer.should_stop = self.is_complete

    def _sum(self, value: Tensor) -> Tensor:
        return sum_over_ranks(value) if self.trainer.world_size > 1 else value

    # Checkpoint: plain types and tensors only, so that it loads with weights_only=True

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add what makes a resumed run exact, and leave out Lightning's loop counters, which `step` replaces."""
        del checkpoint["loops"]
        checkpoint["cell"] = {
            "name": self.spec.name,
            "step": self.step,
            "diverged": self.diverged,
            **self.schedule.state_dict(),
            "tallies": {name: tally.counts(self._sum).cpu() for name, tally in self.tallies.items()},
            "data": self._sum(self.images.counts).cpu(),
            "rng": torch.get_rng_state(),
            "cuda_rng": torch.cuda.get_rng_state(self.device) if self.device.type == "cuda" else None,
        }

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Restore the step, the schedule, the counts and the random states."""
        state = checkpoint["cell"]
        self.step, self._restored = state["step"], state["tallies"]
        self.diverged = state.get("diverged")  # checkpoints up to 2026-11-29 lack it
        self.schedule.load_state_dict(state)
        if "data" in state:  # checkpoints up to 2026-11-21 lack the counts of the data
            self._restored_counts = state["data"]
        torch.set_rng_state(state["rng"])
        if state["cuda_rng"] is not None and torch.cuda.is_available():
            torch.cuda.set_rng_state(state["cuda_rng"])


def _ranges(pairs: list[tuple[int, int]]) -> Ranges:
    return DataLoader(pairs, batch_size=None, collate_fn=tuple)  # type: ignore[arg-type]
