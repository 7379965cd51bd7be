"""Top-1 and top-5 errors of a network, or of an ensemble, by one test protocol."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import NamedTuple

import torch
from torch import Tensor
from torch.utils.data import DataLoader

from study.data.imagenet.batches import normalise
from study.data.imagenet.folder import Files
from study.data.imagenet.read_ahead import worker_count
from study.network import ResNet
from study.protocols.logits import probabilities, resize_mean
from study.protocols.views import Protocol, ViewReader


class Candidate(NamedTuple):
    """A network to test, and the mean (H, W, 3) to subtract from its inputs, in levels from 0 to 255."""

    net: ResNet
    mean: Tensor

    def probabilities(self, protocol: Protocol, pixels: Sequence[Tensor]) -> Tensor:
        """Compute the probabilities (classes,) of one image from its views, bytes (N, H, W, 3) of each size."""
        images = [normalise(view, resize_mean(self.mean, view.shape[1:3])).permute(0, 3, 1, 2) for view in pixels]
        return probabilities(protocol, self.net, images)


@dataclass(frozen=True)
class Score:
    """Numbers of errors on a test set."""

    top1_wrong: int
    top5_wrong: int
    seen: int  # number of images
    broken: int  # files that could not be read, wholly or in part; they are counted among the images

    def columns(self, name: str) -> dict[str, float]:
        """Return the counts and the errors in percent, under their keys in the record: ``10crop/top1_error``, ..."""
        counts = {f"{name}/{key}": count for key, count in asdict(self).items()}
        errors = {f"{name}/top{k}_error": 100 * counts[f"{name}/top{k}_wrong"] / self.seen for k in (1, 5)}
        return {**errors, **counts}


@torch.inference_mode()
def evaluate_protocol(candidates: Sequence[Candidate], protocol: Protocol, files: Files) -> Score:
    """Test one network, or several as an ensemble whose probabilities are averaged; each image is counted once.

    Args:
        candidates: The network, or the members of the ensemble, all on one device.
        protocol: How images are seen, and how often.
        files: The test images.
    """
    device = candidates[0].mean.device
    for candidate in candidates:
        candidate.net.eval()
    loader = DataLoader(ViewReader(files, protocol), batch_size=None, num_workers=worker_count(1))
    wrong = torch.zeros(2, dtype=torch.int64, device=device)
    total = damaged = 0
    for pixels, label, broken in loader:
        views = [view.to(device, non_blocking=True) for view in pixels]
        mean = torch.stack([candidate.probabilities(protocol, views) for candidate in candidates]).mean(0)
        best = mean.topk(5).indices
        wrong += torch.stack([best[0] != label, (best != label).all()])
        total += 1
        damaged += broken
    if total != len(files):
        raise RuntimeError(f"{total} test images were counted, but there are {len(files)}")
    top1, top5 = wrong.tolist()
    return Score(top1, top5, total, damaged)
