"""CIFAR-10: the official Python files in torchvision's layout, ``DATA/cifar-10-batches-py``, checked by their MD5.

Training never downloads; `prepare_cifar10` does.
"""

from __future__ import annotations

import hashlib
import io
import pickle
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from torch.utils.data import Dataset

from study.data.images import Arrays
from study.data.interface import Check, DataSetInfo, Declared, Transform, checked
from study.spec import InputError, shown

PEAK = 255  # the brightest level of a pixel
FOLDER = "cifar-10-batches-py"
LARGEST = 32 * 2**20  # bytes; an official file has up to 31,035,999
NUMPY = ("numpy.core.multiarray", "numpy._core.multiarray", "numpy")
PARTS = ("_reconstruct", "ndarray", "dtype")  # of numpy, which an array is made of


def load_cifar10(data: Path) -> Arrays:
    """Read the 50,000 training and 10,000 test images of 32x32 pixels.

    Raises:
        InputError: a file is missing or corrupt.
    """
    files = {name: _unpickle(content) for name, content in _read(data).items()}
    train, test = [files[f"data_batch_{i}"] for i in range(1, 6)], [files["test_batch"]]
    classes = tuple(files["batches.meta"]["label_names"])
    return Arrays(*_images(train), *_images(test), PEAK, classes)


def _images(batches: list[dict[str, Any]]) -> tuple[Any, Any]:
    """Images (N, 32, 32, 3) and labels (N,) of some files, which hold each image as three planes in a row."""
    planes = np.concatenate([batch["data"] for batch in batches]).reshape(-1, 3, 32, 32)
    labels = [label for batch in batches for label in batch["labels"]]
    return np.ascontiguousarray(planes.transpose(0, 2, 3, 1)), np.asarray(labels, dtype=np.int64)


def verify_cifar10(data: Path) -> None:
    """Compare every file's MD5 with the official one.

    Raises:
        InputError: a file is missing or corrupt; the message names it and the command that fixes it.
    """
    _read(data)


def _read(data: Path) -> dict[str, bytes]:
    """Read the official files: what is verified is what is used.

    Raises:
        InputError: a file is missing or corrupt.
    """
    contents, fix = {}, f"run: python -m study prepare cifar10 --data={data}"
    for name, md5 in official().items():
        path = data / FOLDER / name
        if not path.is_file():
            raise InputError(f"{path} is missing; {fix}")
        if path.stat().st_size > LARGEST or hashlib.md5(content := path.read_bytes()).hexdigest() != md5:
            raise InputError(f"{path} is corrupt (its MD5 is not the official one); delete it and {fix}")
        contents[name] = content
    return contents


def official() -> dict[str, str]:
    """The names of the official files with their MD5."""
    from torchvision.datasets import CIFAR10

    return dict([*CIFAR10.train_list, *CIFAR10.test_list, (CIFAR10.meta["filename"], CIFAR10.meta["md5"])])


class _Arrays(pickle.Unpickler):
    """Reads numbers, texts and numpy's arrays, and nothing that could be code."""

    def find_class(self, module: str, name: str) -> Any:
        """Look up a part of an array."""
        if module in NUMPY and name in PARTS:
            return super().find_class(module, name)
        raise pickle.UnpicklingError(f"{module}.{name} does not belong into CIFAR-10")


def _unpickle(content: bytes) -> dict[str, Any]:
    batch: dict[str, Any] = _Arrays(io.BytesIO(content), encoding="latin1").load()
    return batch


def check_cifar10(data: Path) -> Iterator[Check]:
    """Report for ``study doctor`` whether CIFAR-10 is absent, complete, or damaged."""

    def describe() -> str:
        verify_cifar10(data)
        return f"complete in {data}; every file has its official MD5"

    if (data / FOLDER).exists():
        yield checked("cifar10", describe)
    else:
        yield Check("cifar10", "absent", f"not in {data}; run: python -m study prepare cifar10 --data={data}")


def prepare_cifar10(data: Path, source: Path | None, _declared: Declared | None = None) -> str:
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
        verify_cifar10(data)
    else:
        _copy(data, source)
    return f"CIFAR-10 is complete in {data}"


def _download(data: Path) -> None:
    from torchvision.datasets import CIFAR10

    try:
        CIFAR10(str(data), download=True)
    except (OSError, RuntimeError) as error:
        raise InputError(f"CIFAR-10 could not be downloaded ({error}); fetch it and give --source=PATH") from error


def _copy(data: Path, source: Path) -> None:
    """Take the official files out of an archive, or out of a folder that is or contains the official one.

    Nothing else is taken, and each file under its own name: whatever paths, links or sizes an archive has, nothing is
    written elsewhere, and nothing at all unless every file is the official one.
    """
    found = dict(_members(source) if source.is_file() else _files(source))
    if not found:
        raise InputError(f"{source} holds no {FOLDER}; give the folder or cifar-10-python.tar.gz")
    for name, md5 in official().items():
        if name not in found:
            raise InputError(f"{source}: {name} is missing; give the whole folder or cifar-10-python.tar.gz")
        if hashlib.md5(found[name]).hexdigest() != md5:
            raise InputError(f"{source}: {name} is corrupt (its MD5 is not the official one); fetch it again")
    (data / FOLDER).mkdir(exist_ok=True)
    for name in official():
        (data / FOLDER / name).write_bytes(found[name])


def _files(source: Path) -> Iterator[tuple[str, bytes]]:
    for place in (source, source / FOLDER):
        for name in official():
            if (place / name).is_file() and (place / name).stat().st_size <= LARGEST:
                yield name, (place / name).read_bytes()


def _members(archive: Path) -> Iterator[tuple[str, bytes]]:
    """The official files in an archive, by their names without folders.

    Raises:
        InputError: It is no archive, or damaged.
    """
    names = set(official())
    try:
        if zipfile.is_zipfile(archive):
            with zipfile.ZipFile(archive) as packed:
                for entry in packed.infolist():
                    if (name := PurePosixPath(entry.filename).name) in names and entry.file_size <= LARGEST:
                        yield name, packed.read(entry)
            return
        with tarfile.open(archive) as unpacked:
            for member in unpacked:
                if (name := PurePosixPath(member.name).name) in names and member.isfile() and member.size <= LARGEST:
                    file = unpacked.extractfile(member)
                    assert file is not None
                    yield name, file.read()
    except (tarfile.TarError, zipfile.BadZipFile, EOFError, OSError, ValueError, RuntimeError) as error:
        raise InputError(f"{archive} cannot be unpacked ({shown(error)}); fetch cifar-10-python.tar.gz again") from None


def _as_torchvision_reads_it(data: Path, transform: Transform) -> Dataset[Any]:
    from torchvision.datasets import CIFAR10

    images: Dataset[Any] = CIFAR10(str(data), train=True, transform=transform)
    return images


INFO = DataSetInfo(
    name="cifar10",
    title="CIFAR-10",
    image_size=(3, 32, 32),
    in_memory=True,
    protocols=("single",),
    torchvision=_as_torchvision_reads_it,
    load=load_cifar10,
    check=check_cifar10,
    prepare=prepare_cifar10,
)
