"""Two-dimensional embeddings of test images after some blocks: how far are the classes taken apart there?"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE

from study.data.images import Images
from study.network import ResNet
from study.probes.places import outputs, places
from study.recording.evaluation import Row
from study.recording.progress import progress
from study.spec import Spec

IMAGES = 1_000  # test images
COMPONENTS = 50  # of the principal component analysis whose result t-SNE embeds
PLACES = 4  # along the depth: the stem, then the blocks at equal distances, the last of them last
GRID = 255  # coordinates are whole numbers from 0 to this
SEED = 0  # of t-SNE
Points = NDArray[np.int64]  # (N, 2)


def embeddings(net: ResNet, spec: Spec, images: Images) -> list[Row]:
    """Embed test images at some places of a network.

    Returns:
        A row for each place. block: its name. label: the class of each image, by number. x, y: of each image.
    """
    tests, labels = images.test_batch(0, min(IMAGES, images.test_size))
    names = chosen(list(places(net)))
    found = outputs(net.eval(), tests, names)
    return [
        {"block": name, "label": labels.tolist(), "x": points[:, 0].tolist(), "y": points[:, 1].tolist()}
        for name in progress(names, "embeddings")
        for points in _embedded(found.pop(name))
    ]


def chosen(names: list[str]) -> list[str]:
    """`PLACES` of the places, from the first to the last.

    >>> chosen(["stem", "a", "b", "c", "d", "e", "f"])
    ['stem', 'b', 'd', 'f']
    """
    numbers = np.unique(np.linspace(0, len(names) - 1, PLACES).round().astype(int))
    return [names[number] for number in numbers]


def _embedded(features: torch.Tensor) -> Iterator[Points]:
    yield embed(features.flatten(1).float().numpy(force=True))


def embed(features: NDArray[np.float32]) -> Points:
    """Embed features (N, D) in a plane by t-SNE on their principal components; the same features give the same points.

    Returns:
        Whole numbers from 0 to `GRID`, (N, 2); both axes have the same scale.
    """
    components = min(COMPONENTS, *features.shape)
    reduced = PCA(components, svd_solver="covariance_eigh" if features.shape[1] < len(features) else "full")
    points = TSNE(perplexity=min(30, len(features) / 4), random_state=SEED, init="pca").fit_transform(
        reduced.fit_transform(features)
    )
    points = points - points.min(0)
    whole: Points = (GRID * points / max(points.max(), 1e-12)).round().astype(np.int64)
    return whole
