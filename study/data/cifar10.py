"""CIFAR-10: the official Python files in torchvision's layout, ``DATA/cifar-10-batches-py``, checked by their MD5.

Training never downloads; `prepare_cifar10` does.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from study.data.images import Arrays
from study.data.interface import Check, DataSetInfo, checked
from study.spec import InputError

PEAK = 255  # the brightest level of a pixel


def load_cifar10(data: Path) -> Arrays:
    """Read the 50,000 training and 10,000 test images of 32x32 pixels.

    Raises:
        InputError: a file is missing or corrupt.
    """
    from torchvision.datasets import CIFAR10

    verify_cifar10(data)
    train, test = (CIFAR10(str(data), train=train, download=False) for train in (True, False))
    labels = [np.asarray(part.targets, dtype=np.int64) for part in (train, test)]
    return Arrays(train.data, labels[0], test.data, labels[1], PEAK, tuple(train.classes))


def verify_cifar10(data: Path) -> None:
    """Compare every file's MD5 with the official one.

    Raises:
        InputError: a file is missing or corrupt; the message names it and the command that fixes it.
    """
    from torchvision.datasets import CIFAR10
    from torchvision.datasets.utils import check_integrity

    folder = data / CIFAR10.base_folder
    for name, md5 in [*CIFAR10.train_list, *CIFAR10.test_list, (CIFAR10.meta["filename"], CIFAR10.meta["md5"])]:
        if not (folder / name).exists():
            raise InputError(f"{folder / name} is missing; run: python -m study prepare cifar10 --data={data}")
        if not check_integrity(str(folder / name), md5):
            raise InputError(
                f"{folder / name} is corrupt (its MD5 is not the official one); "
                f"delete it and run: python -m study prepare cifar10 --data={data}"
            )


def check_cifar10(data: Path) -> Iterator[Check]:
    """Report for ``study doctor`` whether CIFAR-10 is absent, complete, or damaged."""

    def describe() -> str:
        verify_cifar10(data)
        return f"complete in {data}; every file has its official MD5"

    if (data / "cifar-10-batches-py").exists():
        yield checked("cifar10", describe)
    else:
        yield Check("cifar10", "absent", f"not in {data}; run: python -m study prepare cifar10 --data={data}")


def prepare_cifar10(data: Path, source: Path | None, _subset: bool = False) -> str:
    """Put CIFAR-10 into the data folder, verify it, and say where it is.

    Args:
        data: The folder that is to hold ``cifar-10-batches-py``.
        source: A folder or archive with the official files; None downloads them through torchvision.

    Raises:
        InputError: the source holds no CIFAR-10, or the download failed.
    """
    data.mkdir(parents=True, exist_ok=True)
    if source is None:
        _download(data)
    else:
        _copy(data, source)
    verify_cifar10(data)
    return f"CIFAR-10 is complete in {data}"


def _download(data: Path) -> None:
    from torchvision.datasets import CIFAR10

    try:
        CIFAR10(str(data), download=True)
    except (OSError, RuntimeError) as error:
        raise InputError(f"CIFAR-10 could not be downloaded ({error}); fetch it and give --source=PATH") from error


def _copy(data: Path, source: Path) -> None:
    """Unpack an archive, or copy a folder that is or contains the official one."""
    from torchvision.datasets import CIFAR10
    from torchvision.datasets.utils import extract_archive

    if source.is_file():
        extract_archive(str(source), str(data))
        return
    places = (source / CIFAR10.base_folder, source)
    folder = next((place for place in places if (place / "batches.meta").exists()), None)
    if folder is None:
        raise InputError(f"{source} holds no {CIFAR10.base_folder}; give the folder or cifar-10-python.tar.gz")
    shutil.copytree(folder, data / CIFAR10.base_folder, dirs_exist_ok=True)


INFO = DataSetInfo(
    name="cifar10",
    title="CIFAR-10",
    image_size=(3, 32, 32),
    in_memory=True,
    has_protocols=False,
    torchvision="CIFAR10",
    load=load_cifar10,
    check=check_cifar10,
    prepare=prepare_cifar10,
)
