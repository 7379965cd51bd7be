"""Errors counted on the device: top-1 errors and loss of batches, and the confusion matrix of the test images."""

from __future__ import annotations

import torch
from torch import Tensor

from study.data.interface import Reduce
from study.recording.evaluation import Errors


class Tally:
    """Errors of many batches, which stay on the device until they are read; then they are summed over all ranks."""

    def __init__(self, device: torch.device) -> None:
        self._sums = torch.zeros(3, dtype=torch.float64, device=device)  # wrong, seen and loss; exact up to 2**53

    def add(self, logits: Tensor, labels: Tensor, loss: Tensor) -> None:
        """Count one batch.

        Args:
            logits: (B, classes).
            labels: (B,).
            loss: The mean cross-entropy of the batch, a scalar.
        """
        wrong, seen = (logits.argmax(1) != labels).sum().double(), len(labels)
        self._sums += torch.stack([wrong, torch.full_like(wrong, seen), loss.double() * seen])

    def counts(self, reduce: Reduce) -> Tensor:
        """Errors, images and summed loss over all ranks, as (3,)."""
        return reduce(self._sums.clone())

    def is_lost(self) -> Tensor:
        """1 if the summed loss of this rank is no longer a number, else 0; a scalar that stays on the device."""
        return (~self._sums[2].isfinite()).long()

    def restore(self, counts: Tensor) -> None:
        """Continue from the counts of a checkpoint."""
        self._sums.copy_(counts)

    def take(self, reduce: Reduce) -> Errors:
        """Read the errors over all ranks and start again from zero."""
        wrong, seen, loss = self.counts(reduce).tolist()
        self._sums.zero_()
        return Errors(int(wrong), int(seen), loss / seen if seen else float("nan"))


class ConfusionMatrix:
    """Number of test images by true class (rows) and predicted class (columns), on the device."""

    def __init__(self, classes: int, device: torch.device) -> None:
        self.counts = torch.zeros(classes, classes, dtype=torch.int64, device=device)

    def add(self, logits: Tensor, labels: Tensor) -> None:
        """Count one batch: logits (B, classes), labels (B,)."""
        pairs = labels * len(self.counts) + logits.argmax(1)
        self.counts.view(-1).scatter_add_(0, pairs, torch.ones_like(pairs))

    def sum_over_ranks(self, reduce: Reduce) -> None:
        """Replace the counts of this rank by those of all ranks; call it once, after the last batch."""
        self.counts = reduce(self.counts)
