"""The LightningModule: one cell's network, its loss, its errors as counts, and its own count of the steps.

A Lightning epoch is the stretch from one evaluation to the next. The module counts the steps itself, because a fast
path may take many of them in one `training_step`, and because a resumed run starts in the middle of a stretch.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor
from torch.nn import functional as F
from torch.utils.data import DataLoader

from study import network
from study.data.images import Images
from study.data.interface import DataSet, Reduce
from study.data.sampling import evaluation_shares
from study.recipes import (
    PLATEAU_DROPS,
    WARMUP_WINDOW,
    ImageNetRecipe,
    learning_rate,
    per_device_batch,
    plateaued,
    recipe_for,
)
from study.recording.evaluation import Errors, Evaluation
from study.spec import Spec
from study.training.step import (
    AT_ONCE,
    GraphSteps,
    PlainSteps,
    ResidentSteps,
    Steps,
    in_segments,
    ranges,
    uncounted_batches,
    update,
)

Ranges = DataLoader[tuple[int, int]]  # what Lightning loops over: (first, stop) pairs of steps or of test images


class Tally:
    """Counts of errors that stay on the device until they are asked for, summed over ranks then."""

    def __init__(self, device: torch.device) -> None:
        self._sums = torch.zeros(3, dtype=torch.float64, device=device)  # wrong, seen and loss; exact up to 2**53

    def add(self, scores: Tensor, labels: Tensor, loss: Tensor) -> None:
        """Count one batch: scores (B, classes), labels (B,), the mean loss."""
        wrong, seen = (scores.argmax(1) != labels).sum().double(), len(labels)
        self._sums += torch.stack([wrong, torch.full_like(wrong, seen), loss.double() * seen])

    def counts(self, reduce: Reduce) -> Tensor:
        """Wrong, seen and summed loss over all ranks, as (3,)."""
        return reduce(self._sums.clone())

    def restore(self, counts: Tensor) -> None:
        """Take up the counts of a checkpoint."""
        self._sums.copy_(counts)

    def take(self, reduce: Reduce) -> Errors:
        """Read the errors over all ranks and start anew."""
        wrong, seen, loss = self.counts(reduce).tolist()
        self._sums.zero_()
        return Errors(int(wrong), int(seen), loss / seen if seen else float("nan"))


class TrainingModule(pl.LightningModule):
    """The network of one cell with its training loop, its evaluation and its checkpoint.

    Attributes:
        step_mode: How steps are taken, ``plain`` or ``graph``.
        checkpoint_every: Blocks between which activations are kept; 0 keeps all.
        step: Updates done so far.
        stop_requested: Whether to end after the step that runs.
        warm_until: The step at which the conditional warm-up ended, None while it lasts (Sec. 4.2).
        drops: The steps from which the rate is a tenth each, as far as they are known.
        evaluation: The last evaluation of this session, None before the first.
        confusion: Test images of the last evaluation by true class (rows) and predicted class (columns), (C, C).
    """

    def __init__(self, spec: Spec, dataset: DataSet, step_mode: str = "plain", checkpoint_every: int = 0) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.spec, self.recipe, self.dataset = spec, recipe_for(spec), dataset
        torch.manual_seed(spec.seed)
        self.net = network.build(spec.dataset, spec.depth, spec.shortcut).to(memory_format=torch.channels_last)
        self.step_mode, self.checkpoint_every = step_mode, checkpoint_every
        self.at_once = AT_ONCE
        self.step = 0
        self.stop_requested = False
        self.warm_until: int | None = None if self.recipe.warmup_error is not None else 0
        self.drops = self.recipe.drops
        self._errors: list[float] = []  # running training errors since the last drop, in percent
        self.evaluation: Evaluation | None = None
        self._restored: Mapping[str, Tensor] = {}
        self._restored_counts = torch.zeros(1)

    @property
    def parameter_count(self) -> int:
        """Trainable parameters of the network."""
        return sum(p.numel() for p in self.net.parameters())

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """SGD with momentum, decaying every parameter (Sec. 4.2)."""
        recipe, fused = self.recipe, self.device.type == "cuda"
        return torch.optim.SGD(
            self.net.parameters(), recipe.lr, recipe.momentum, weight_decay=recipe.weight_decay, fused=fused
        )

    def on_fit_start(self) -> None:
        """Move the images to the device and take up the counts of an interrupted stretch, on rank 0."""
        per_device_batch(self.recipe, self.trainer.world_size)
        self.images = self.dataset.on(self.device, self.recipe, self.trainer.num_devices)
        self.tallies = {name: Tally(self.device) for name in ("train", "warmup", "test")}
        if self.trainer.is_global_zero:
            for name, counts in self._restored.items():
                self.tallies[name].restore(counts)
            self.images.counts += self._restored_counts.to(self.device)

    # Training

    def on_train_start(self) -> None:
        """Make ready to take steps, now that a checkpoint is loaded."""
        forward = in_segments(self.net, self.checkpoint_every) if self.checkpoint_every else self.net
        optimizer = self.optimizers(use_pl_optimizer=False)
        assert isinstance(optimizer, torch.optim.Optimizer)
        # Lightning's own backward has DDP made ready, and costs a net this small a third of its step besides.
        backward = self.manual_backward if self.trainer.world_size > 1 else torch.autograd.backward
        one = partial(update, forward, optimizer, self._count, backward)
        self.steps: Steps = PlainSteps(one, optimizer, self._batch)
        if self.step_mode == "graph" and isinstance(self.images, Images):
            self.steps = GraphSteps(ResidentSteps(one, optimizer, self.images, self.spec.seed))

    def train_dataloader(self) -> Ranges:
        """The steps up to the next evaluation, as (first, stop) pairs; none when the run is complete.

        Several ranks take one step at a time, for they agree after each whether to stop.
        """
        stop = next((stop for stop in self.recipe.evaluation_steps if stop > self.step), self.step)
        return _ranges(ranges(self.step, stop, self.at_once if self.trainer.world_size == 1 else 1))

    def training_step(self, steps: tuple[int, int], _: int) -> None:
        """Do the updates from first to stop, or up to where a signal asks to stop."""
        coming = range(*steps)
        self.steps.expect(coming, [learning_rate(self.recipe, step, self.warm_until, self.drops) for step in coming])
        with uncounted_batches(self.net) as counters:
            for step in coming:
                self.steps.take(step)
                self.step = step + 1
                if self.stop_requested:
                    break
        for counter in counters:
            counter.fill_(self.step)
        self._watch_warmup()

    def _batch(self, step: int) -> tuple[Tensor, Tensor]:
        return self.images.batch(self.spec.seed, step, self.global_rank, self.trainer.world_size)

    def _count(self, scores: Tensor, labels: Tensor, loss: Tensor) -> None:
        for name in ("train", "warmup") if self.recipe.warmup_error is not None else ("train",):
            self.tallies[name].add(scores, labels, loss)

    @property
    def at_evaluation(self) -> bool:
        """Whether the step just done is followed by an evaluation."""
        return self.step in self.recipe.evaluation_steps

    def _watch_warmup(self) -> None:
        """End the warm-up once the error over a window of steps is below the recipe's (Sec. 4.2)."""
        if self.warm_until is None and self.step % WARMUP_WINDOW == 0:
            assert self.recipe.warmup_error is not None
            if self.tallies["warmup"].take(self._sum).percent < self.recipe.warmup_error:
                self.warm_until = self.step

    # Evaluation

    def on_validation_start(self) -> None:
        """Give every rank the batch-norm statistics of rank 0, which are the ones that a checkpoint keeps."""
        classes = len(self.dataset.classes)
        self.confusion = torch.zeros(classes, classes, dtype=torch.int64, device=self.device)
        if self.trainer.world_size > 1:
            for statistic in self.net.buffers():
                torch.distributed.broadcast(statistic, src=0)

    def val_dataloader(self) -> Ranges:
        """This rank's share of the test set as (start, stop) pairs: each image once, none padded (rule 5)."""
        rank, world_size = self.trainer.global_rank, self.trainer.world_size
        parts = evaluation_shares(self.dataset.test_size, self.dataset.evaluation_batch, rank, world_size)
        self.images.expect(parts)
        return _ranges(parts)

    def validation_step(self, part: tuple[int, int], _: int) -> None:
        """Count the errors on one part of the test set."""
        images, labels = self.images.test_batch(*part)
        scores = self.net(images)
        self.tallies["test"].add(scores, labels, F.cross_entropy(scores, labels))
        pairs = labels * len(self.dataset.classes) + scores.argmax(1)
        self.confusion.view(-1).scatter_add_(0, pairs, torch.ones_like(pairs))

    def on_validation_epoch_end(self) -> None:
        """Sum the counts over ranks; the test set must have been seen whole, no more and no less."""
        train, test = (self.tallies[name].take(self._sum) for name in ("train", "test"))
        if test.seen != self.images.test_size:
            raise RuntimeError(f"{test.seen} test images were counted, but there are {self.images.test_size}")
        self.confusion = self._sum(self.confusion)
        samples = self.step * self.recipe.batch
        self.evaluation = Evaluation(
            step=self.step,
            epoch=samples / self.images.train_size,
            samples=samples,
            lr=learning_rate(self.recipe, self.step - 1, self.warm_until, self.drops),
            train=train,
            test=test,
            notes=self.images.take_notes(self._sum),
        )
        if isinstance(self.recipe, ImageNetRecipe) and self.recipe.plateau:
            self._watch_plateau(train.percent)
        self.trainer.should_stop = self.step >= self.recipe.steps

    def _watch_plateau(self, error: float) -> None:
        """Drop the rate from the next step on once the training error has stopped falling (Sec. 3.4)."""
        self._errors.append(error)
        if len(self.drops) < PLATEAU_DROPS and plateaued(self._errors):
            self.drops, self._errors = (*self.drops, self.step), []

    def _sum(self, value: Tensor) -> Tensor:
        total = self.trainer.strategy.reduce(value, reduce_op="sum")
        assert isinstance(total, Tensor)
        return total

    # Checkpoint: plain types and tensors only, so that it loads with weights_only=True

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add what makes a resumed run exact; Lightning's loop counters are left out, as `step` replaces them."""
        del checkpoint["loops"]
        checkpoint["cell"] = {
            "name": self.spec.name,
            "step": self.step,
            "warm_until": self.warm_until,
            "plateau": {"drops": list(self.drops), "errors": self._errors},
            "tallies": {name: tally.counts(self._sum).cpu() for name, tally in self.tallies.items()},
            "data": self._sum(self.images.counts).cpu(),
            "rng": torch.get_rng_state(),
            "cuda_rng": torch.cuda.get_rng_state(self.device) if self.device.type == "cuda" else None,
        }

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Take up step, warm-up, counts and random states."""
        state = checkpoint["cell"]
        self.step, self.warm_until, self._restored = state["step"], state["warm_until"], state["tallies"]
        if "plateau" in state:  # checkpoints up to 2026-11-21 have neither this nor the counts
            self.drops, self._errors = tuple(state["plateau"]["drops"]), state["plateau"]["errors"]
            self._restored_counts = state["data"]
        torch.set_rng_state(state["rng"])
        if state["cuda_rng"] is not None and torch.cuda.is_available():
            torch.cuda.set_rng_state(state["cuda_rng"])


def _ranges(pairs: list[tuple[int, int]]) -> Ranges:
    return DataLoader(pairs, batch_size=None, collate_fn=tuple)  # type: ignore[arg-type]
