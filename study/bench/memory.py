"""The memory of one update: activations, gradients and temporary tensors, with and without recomputation."""

from __future__ import annotations

import hashlib
import weakref
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from study.bench.arms import Contender
from study.data.images import Images
from study.recording.bench_lines import Line
from study.training.step import in_segments, update


class LiveBytes(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts the bytes of the living tensors that were created inside this context.

    Attributes:
        live: Bytes now.
        peak: The largest number of bytes so far.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.live = self.peak = 0
        self._known: set[int] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        given = {self._key(value) for value in tree_leaves((args, kwargs)) if isinstance(value, Tensor)}
        result = func(*args, **(kwargs or {}))
        for value in tree_leaves(result):
            if isinstance(value, Tensor) and self._key(value) not in given | self._known:
                self._watch(value.untyped_storage())
        return result

    def _key(self, tensor: Tensor) -> int:
        return int(tensor.untyped_storage()._cdata)

    def _watch(self, storage: torch.UntypedStorage) -> None:
        self._known.add(storage._cdata)
        self.live += storage.nbytes()
        self.peak = max(self.peak, self.live)
        weakref.finalize(storage, self._forget, storage._cdata, storage.nbytes())

    def _forget(self, key: int, size: int) -> None:
        self._known.discard(key)
        self.live -= size


def memory(contender: Contender, every: int) -> Line:
    """Measure one update: its peak memory, what it stores for the backward pass, and a digest of its gradients.

    Args:
        contender: What is trained.
        every: Store activations only every so many blocks; 0 stores all.
    """
    torch.manual_seed(0)
    net = contender.net().to(memory_format=torch.channels_last)
    forward = in_segments(net, every) if every else net
    kept = 0

    def backward(counter: LiveBytes, loss: Tensor) -> None:
        nonlocal kept
        kept = counter.live
        loss.backward()  # type: ignore[no-untyped-call]

    images, labels = Images(contender.arrays, contender.recipe, contender.device).batch(0, 0)
    sgd = torch.optim.SGD(net.parameters(), 0.0)
    with contender.autocast(), LiveBytes() as counter:
        update(forward, sgd, lambda *_: None, partial(backward, counter), images, labels)
    return {
        "checkpoint_every": every,
        "peak_mb": counter.peak / 1e6,
        "kept_for_backward_mb": kept / 1e6,
        "gradients_sha256": _gradients_sha256(net),
    }


def _gradients_sha256(net: nn.Module) -> str:
    digest = hashlib.sha256()
    for weight in net.parameters():
        assert weight.grad is not None
        digest.update(weight.grad.cpu().numpy().tobytes())
    return digest.hexdigest()
