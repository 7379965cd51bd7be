"""What each residual block contributes: how far it moves its input, and the test error without it (lesions)."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import Tensor, nn

from study.data.images import Images
from study.network import ResNet
from study.probes.batches import MOST_IMAGES, PART, evaluation_images, top1_error, unseen_batch
from study.probes.places import blocks_of, places, watched, without
from study.recording.evaluation import Row
from study.recording.progress import progress
from study.spec import Spec

Batch = tuple[Tensor, Tensor]  # images (N, C, H, W) and labels (N,)


class Features(NamedTuple):
    """The output of a block, averaged over positions, as (N, width), and the block's mean change of its input."""

    means: NDArray[np.float32]
    change: float | None


def blocks(net: ResNet, spec: Spec, images: Images) -> list[Row]:
    """Measure the stem and each block in order.

    Returns:
        One row for each. change: mean over images of |y - x| / |x| with input x and output y, None where their shapes
        differ. without: the test error in percent with the block replaced by its shortcut, or by the identity in a
        plain network, None where neither has the block's shape. linear: the test error in percent of a logistic
        regression on the output's mean over positions.
    """
    net = deepcopy(net).eval()
    tests = evaluation_images(images)
    fits = [unseen_batch(spec, images, number) for number in range(-(-MOST_IMAGES // images.recipe.batch))]
    fitted = block_features(net, fits)
    tested = block_features(net, list(zip(*(torch.split(whole, PART) for whole in tests), strict=True)))
    labels, truth = _labels(fits), _labels([tests])
    rows: list[Row] = []
    for name in progress(fitted, "linear classifiers"):
        linear = _linear_error(fitted[name].means, labels, tested[name].means, truth)
        rows.append({"block": name, "change": tested[name].change, "linear": linear})
    for row, error in zip(rows, [None, *_lesions(net, *tests)], strict=True):
        row["without"] = error
    return rows


def _labels(batches: Sequence[Batch]) -> NDArray[np.int64]:
    return np.concatenate([labels.numpy(force=True) for _, labels in batches])


def _linear_error(
    features: NDArray[np.float32], labels: NDArray[np.int64], tested: NDArray[np.float32], truth: NDArray[np.int64]
) -> float:
    """Fit a linear classifier to features (N, width) and return its error on others, in percent."""
    classifier = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    return 100 * (1 - float(classifier.fit(features, labels).score(tested, truth)))


def block_features(net: ResNet, batches: Sequence[Batch]) -> dict[str, Features]:
    """Run the network on the batches, and return the features of the stem and of each block by name."""
    looked_at = places(net)
    means: dict[str, list[Tensor]] = {name: [] for name in looked_at}
    changes: dict[str, list[Tensor]] = {name: [] for name in looked_at}

    def keep(name: str, before: Tensor, after: Tensor) -> None:
        means[name].append(after.mean((2, 3)))
        if before.shape == after.shape:
            changes[name].append((after - before).flatten(1).norm(dim=1) / before.flatten(1).norm(dim=1))

    with torch.no_grad(), watched(looked_at, keep):
        for images, _ in batches:
            net(images)
    return {name: Features(torch.cat(means[name]).numpy(force=True), _mean(changes[name])) for name in looked_at}


def _mean(parts: Sequence[Tensor]) -> float | None:
    return float(torch.cat(list(parts)).mean()) if parts else None


@torch.no_grad()
def _lesions(net: ResNet, images: Tensor, labels: Tensor) -> list[float | None]:
    """Count the error in percent with each block in turn left out; what comes before it is computed once."""
    blocks = list(blocks_of(net).values())
    rests = [without(block) for block in blocks]
    logits: list[list[Tensor]] = [[] for _ in blocks]
    for part in progress(torch.split(images, PART), "lesions of one block"):
        x = net.stem(part)
        for number, (block, rest) in enumerate(zip(blocks, rests, strict=True)):
            if rest is not None:
                logits[number].append(net.head(net.pool(nn.Sequential(rest, *blocks[number + 1 :])(x))))
            x = block(x)
    return [top1_error(torch.cat(parts), labels) if parts else None for parts in logits]
