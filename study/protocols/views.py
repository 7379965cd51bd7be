"""The paper's ways of testing on ImageNet (Sec. 3.4). Numbers of different protocols are never compared.

    1crop     the centre of the image resized to 256 (Fig. 4)
    10crop    its four corners, its centre, and their mirror images, as in [21] (Tables 2 and 3)
    dense     fully convolutional on the whole image, at five sizes, with mirror images (Table 4)

Scores are averaged after softmax, as in [21] and VGG.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Literal, NamedTuple, get_args

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset

from study.data.imagenet import jpeg
from study.data.imagenet.batches import normalise, worker_count
from study.data.imagenet.folder import Files
from study.data.imagenet.readers import CENTRE, CROP
from study.network import ResNet

Protocol = Literal["1crop", "10crop", "dense"]
PROTOCOLS: tuple[str, ...] = get_args(Protocol)
SIZES = (224, 256, 384, 480, 640)  # Sec. 3.4: shorter sides, in pixels
POOL = 7  # Table 1: the last stage is 7x7 at 224


def views(protocol: str, decoded: jpeg.Decoded) -> list[jpeg.Bytes]:
    """What of an image is tested, without mirror images: arrays (N, H, W, 3)."""
    if protocol == "dense":
        return [jpeg.whole(decoded, size)[None] for size in SIZES]
    if protocol == "1crop":
        return [jpeg.centre(decoded, CENTRE, CROP)[None]]
    square, far = jpeg.centre(decoded, CENTRE, CENTRE), CENTRE - CROP  # [21] cuts out of the central square
    corners = [(0, 0), (0, far), (far, 0), (far, far), (far // 2, far // 2)]
    return [np.stack([square[top : top + CROP, left : left + CROP] for top, left in corners])]


def probabilities(protocol: str, net: ResNet, images: Sequence[Tensor]) -> Tensor:
    """The mean over all views of one image, after softmax: (classes,).

    Args:
        protocol: One of PROTOCOLS.
        net: In evaluation mode.
        images: The views, normalised, each (N, 3, H, W).
    """
    scores = dense_scores if protocol == "dense" else nn.Module.__call__
    mirrored = [view if protocol == "1crop" else torch.cat([view, view.flip(3)]) for view in images]
    return torch.stack([scores(net, view).float().softmax(1).mean(0) for view in mirrored]).mean(0)


def dense_scores(net: ResNet, images: Tensor) -> Tensor:
    """The net as a fully convolutional one: (N, 3, H, W), at least 224 a side -> scores (N, classes).

    The average pooling slides over the last stage and the classifier is a 1x1 convolution; the map of scores is then
    averaged. Both are linear, so the average is taken first.
    """
    layers = dict(net.named_children())
    head, _ = layers.pop("head"), layers.pop("pool")
    for layer in layers.values():
        images = layer(images)
    scores: Tensor = head(F.avg_pool2d(images, POOL, stride=1).mean((2, 3)))
    return scores


class Views(NamedTuple):
    """One test image as a worker hands it over."""

    views: list[Tensor]
    label: int
    broken: bool


@dataclass(frozen=True)
class ViewReader(Dataset[Views]):
    """Reads the views of test images in worker processes; every pixel is decoded."""

    files: Files
    protocol: str

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, number: int) -> Views:
        decoded = jpeg.decode(self.files.path(number))
        pixels = [torch.tensor(view) for view in views(self.protocol, decoded)]
        return Views(pixels, int(self.files.labels[number]), decoded.trouble == "broken")


class Subject(NamedTuple):
    """A network under test, and the mean that its inputs lack: (H, W, 3), in levels from 0 to 255."""

    net: ResNet
    mean: Tensor

    def scores(self, protocol: str, pixels: Sequence[Tensor]) -> Tensor:
        """Probabilities (classes,) of one image, given its views as bytes (N, H, W, 3)."""
        images = [normalise(view, stretch(self.mean, view.shape[1:3])).permute(0, 3, 1, 2) for view in pixels]
        return probabilities(protocol, self.net, images)


def stretch(mean: Tensor, size: Sequence[int]) -> Tensor:
    """The per-pixel mean at another size, bilinear: the paper does not say how it was used beyond 224x224."""
    if mean.shape[:2] == tuple(size):
        return mean
    image = mean.permute(2, 0, 1)[None]
    return F.interpolate(image, tuple(size), mode="bilinear", align_corners=False)[0].permute(1, 2, 0)


@dataclass(frozen=True)
class Score:
    """Errors as counts."""

    top1_wrong: int
    top5_wrong: int
    seen: int
    broken: int  # files of which a part or all could not be read; they are among the seen

    def columns(self, name: str) -> dict[str, float]:
        """As the record has them: counts, and errors in percent."""
        counts = {f"{name}/{key}": count for key, count in asdict(self).items()}
        errors = {f"{name}/top{k}_error": 100 * counts[f"{name}/top{k}_wrong"] / self.seen for k in (1, 5)}
        return {**errors, **counts}


@torch.inference_mode()
def test(subjects: Sequence[Subject], protocol: str, files: Files) -> Score:
    """Test one network, or several as an ensemble whose probabilities are averaged, on every image once."""
    device = subjects[0].mean.device
    for subject in subjects:
        subject.net.eval()
    loader = DataLoader(ViewReader(files, protocol), batch_size=None, num_workers=worker_count(1))
    wrong, seen, damaged = torch.zeros(2, dtype=torch.int64, device=device), 0, 0
    for pixels, label, broken in loader:
        moved = [view.to(device, non_blocking=True) for view in pixels]
        best = torch.stack([subject.scores(protocol, moved) for subject in subjects]).mean(0).topk(5).indices
        wrong += torch.stack([best[0] != label, (best != label).all()])
        seen, damaged = seen + 1, damaged + broken
    if seen != len(files):
        raise RuntimeError(f"{seen} test images were counted, but there are {len(files)}")
    top1, top5 = wrong.tolist()
    return Score(top1, top5, seen, damaged)
