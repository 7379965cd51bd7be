"""Every data set by its name, as training, probes and the bench load them."""

from __future__ import annotations

from pathlib import Path

from study.data.cifar10 import load_cifar10
from study.data.digits import load_digits
from study.data.images import Arrays


def load_in_memory(dataset: str, root: Path) -> Arrays:
    """Read a data set that fits into memory.

    Args:
        dataset: ``digits`` or ``cifar10``.
        root: The folder that holds the data sets.

    Raises:
        InputError: it is missing or corrupt; the message names the command that fixes it.
    """
    if dataset == "digits":
        return load_digits()
    if dataset == "cifar10":
        return load_cifar10(root)
    raise ValueError(f"{dataset} is not read into memory")
