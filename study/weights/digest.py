"""A digest of a network's weights: two runs ended equal if theirs are equal."""

from __future__ import annotations

import hashlib

from torch import nn


def weights_sha256(net: nn.Module) -> str:
    """Compute the SHA-256 of all weights and batch-norm statistics, in the order of their names, as hexadecimal."""
    digest = hashlib.sha256()
    for name, tensor in sorted(net.state_dict().items()):
        digest.update(name.encode())
        digest.update(tensor.cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()
