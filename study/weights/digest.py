"""One digest of a network's weights, by which equal networks are recognised."""

from __future__ import annotations

import hashlib

from torch import nn


def weights_sha256(net: nn.Module) -> str:
    """One digest of all weights and batch-norm statistics."""
    digest = hashlib.sha256()
    for name, tensor in sorted(net.state_dict().items()):
        digest.update(name.encode())
        digest.update(tensor.cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()
