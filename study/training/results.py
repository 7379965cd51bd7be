"""What a finished run leaves besides its evaluations, measured while the network is still on its device.

Lightning moves the network to the CPU before `fit` returns, while the images stay where they are. So nothing after
`fit` may touch a tensor.
"""

from __future__ import annotations

from dataclasses import dataclass

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback

from study.data.sampling import evaluation_shares
from study.machine.device import peak_memory_mb
from study.probes.responses import layer_responses
from study.recording.evaluation import Row
from study.training.errors import ConfusionMatrix
from study.training.module import TrainingModule
from study.weights.digest import weights_sha256


@dataclass(frozen=True)
class Results:
    """The measurements of a finished run.

    Attributes:
        measurements: The files that it leaves beside its summary, by name. ``responses`` is Fig. 7's measurement on the
            first two evaluation batches (1,000 images of CIFAR-10), ``confusion`` the confusion matrix of the last
            evaluation.
        weights_sha256: SHA-256 of the weights.
        peak_memory_mb: The most memory that the process has held, on the GPU if there is one.
    """

    measurements: dict[str, Row]
    weights_sha256: str
    peak_memory_mb: float


class Measure(Callback):
    """Takes the results on rank 0 when the last step and its evaluation are done.

    Attributes:
        results: None until then, and for an interrupted run.
    """

    def __init__(self) -> None:
        self.results: Results | None = None

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Measure a run that lacks only its summary: it has no step left, and Lightning calls no later hook."""
        assert isinstance(pl_module, TrainingModule)
        if pl_module.is_complete and trainer.is_global_zero:
            self.results = measure(pl_module)

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Measure the network that was trained."""
        assert isinstance(pl_module, TrainingModule)
        if trainer.is_global_zero:
            self.results = measure(pl_module)


def measure(module: TrainingModule) -> Results:
    """Measure a trained network, which stays as it is, in evaluation mode."""
    count = min(module.dataset.test_size, 2 * module.dataset.evaluation_batch)
    images = module.images.test_batch(0, count)[0]
    stds = layer_responses(module.net.eval(), images)
    measured = {"images": len(images), "split": "test", "mode": "eval"}
    responses = measured | {"layers": list(stds), "std": list(stds.values())}
    matrix = module.confusion or _count_confusion(module)
    confusion = {"classes": list(module.dataset.classes), "counts": matrix.counts.tolist()}
    measurements: dict[str, Row] = {"responses": responses, "confusion": confusion}
    return Results(measurements, weights_sha256(module.net), peak_memory_mb())


def _count_confusion(module: TrainingModule) -> ConfusionMatrix:
    """Count the confusion matrix again, on this rank, when the last evaluation was in an earlier session."""
    matrix = ConfusionMatrix(len(module.dataset.classes), module.device)
    limit = module.dataset.evaluation_part(module.device)
    shares = evaluation_shares(module.dataset.test_size, limit, 0, 1)
    module.images.expect(shares)
    with torch.no_grad(), module.trainer.precision_plugin.forward_context():
        for share in shares:
            images, labels = module.images.test_batch(*share)
            matrix.add(module.net(images), labels)
    return matrix
