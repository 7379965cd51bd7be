"""ImageNet's files, ``DATA/imagenet/{train,val}/<wnid>/*.JPEG``: checks of the layout, and an index of all files.

``study prepare imagenet`` writes DATA/imagenet/index.json, every file with its size, so that training need not list
folders, and mean.npy, the per-pixel mean of the training images (Sec. 3.4, after [21]).
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from study.data.interface import Ints
from study.spec import InputError

SPLITS = ("train", "val")
IMAGE_COUNTS = {"train": 1_281_167, "val": 50_000}  # ILSVRC 2012, as in Sec. 4.1
CLASSES = 1_000
ENDS = ("n01440764", "n15075141")  # the first and the last class of all 1,000 in order
WNID = re.compile(r"n\d{8}")
SUFFIXES = (".jpeg", ".jpg", ".png")
Mean = NDArray[np.float32]  # (224, 224, 3), in levels from 0 to 255


@dataclass(frozen=True)
class Files:
    """The image files of one split; their names are bytes in one array, whose memory forked workers share."""

    folder: Path
    names: NDArray[np.bytes_]
    labels: Ints

    def __len__(self) -> int:
        return len(self.names)

    def path(self, number: int | np.integer[Any]) -> str:
        """Return the path of an image."""
        name: bytes = self.names[number]
        return f"{self.folder}/{name.decode()}"


@dataclass(frozen=True)
class Folder:
    """A prepared ImageNet, whole or a declared subset."""

    classes: tuple[str, ...]
    train: Files
    val: Files
    mean: Mean
    fingerprint: str
    subset: bool


Listing = dict[str, dict[str, list[str]]]  # split -> class -> names
Index = dict[str, Any]  # as index.json has it: subset, changed, sizes


def home(data: Path) -> Path:
    """Return the folder of ImageNet in the data folder."""
    return data / "imagenet"


def listing(root: Path) -> Listing:
    """List every image by split and class, in order, leaving out what is not a class folder or not an image."""
    return {split: {wnid.name: _images(wnid) for wnid in _class_folders(root / split)} for split in SPLITS}


def _class_folders(split: Path) -> list[Path]:
    return [path for path in sorted(split.iterdir()) if WNID.fullmatch(path.name) and path.is_dir()]


def _images(folder: Path) -> list[str]:
    return sorted(entry.name for entry in os.scandir(folder) if entry.name.lower().endswith(SUFFIXES))


def _odd_files(root: Path, listed: Listing) -> Iterator[str]:
    """Yield what has an image's name and is no file that can be read to its end: folders, pipes, dead links."""
    for split, classes in listed.items():
        for wnid, names in classes.items():
            for name in names:
                if not (path := root / split / wnid / name).is_file():
                    yield f"{path} is not a file; copy the image again, or remove it"


def problems(data: Path, subset: bool) -> Iterator[str]:
    """Yield what is wrong with the folder, each with its fix; nothing if networks can be trained on it.

    Args:
        data: The folder that holds ``imagenet``.
        subset: Whether it is declared to hold fewer images and classes than ILSVRC 2012.
    """
    root = home(data)
    layout_problems = [problem for split in SPLITS for problem in _split_problems(root / split, data)]
    yield from layout_problems
    if not layout_problems:
        listed = listing(root)
        yield from _odd_files(root, listed)
        yield from content_problems(root, listed, subset, data)


def _split_problems(folder: Path, data: Path) -> Iterator[str]:
    """Yield what is wrong with the folders of a split: missing, unreadable, flat, or not a class."""
    prepare = f"python -m study prepare imagenet --data={data}"
    if not folder.is_dir():
        yield f"{folder} is missing; put or link the images there, or run: {prepare} --source=PATH"
        return
    if not os.access(folder, os.R_OK | os.X_OK):
        yield f"{folder} cannot be read; run: chmod -R u+rX {folder}"
        return
    entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    if flat := sum(entry.name.lower().endswith(SUFFIXES) for entry in entries):
        yield (
            f"{folder} is flat: {flat:,} images are not in class folders; put LOC_val_solution.csv "
            f"(or a file of one wnid a line) into {folder.parent} and run: {prepare}"
        )
    for entry in entries:
        if entry.is_dir() and not WNID.fullmatch(entry.name):
            yield f"{entry.path} is not a class folder (one has a name like n01440764); move it away"
        elif entry.is_dir() and not os.access(entry.path, os.R_OK | os.X_OK):
            yield f"{entry.path} cannot be read; run: chmod -R u+rX {folder}"


def content_problems(root: Path, listed: Listing, subset: bool, data: Path) -> Iterator[str]:
    """Yield classes that differ between the splits, empty classes, and counts that are not ILSVRC 2012's."""
    train, val = (set(listed[split]) for split in SPLITS)
    for name, lacks, has in (("val", train - val, "train"), ("train", val - train, "val")):
        if lacks:
            yield f"{root / name} lacks {_some(lacks)}, which {has} has: labels would be wrong; complete or remove them"
    for split in SPLITS:
        if empty := {wnid for wnid, names in listed[split].items() if not names}:
            yield f"{root / split} has no image in {_some(empty)}; copy these classes again"
    if not subset:
        fix = f"copy what is missing, or declare a subset: python -m study prepare imagenet --subset --data={data}"
        yield from (f"{problem}; {fix}" for problem in _not_whole(root, listed))


def _not_whole(root: Path, listed: Listing) -> Iterator[str]:
    """Yield differences from the numbers of ILSVRC 2012."""
    classes = sorted(listed["train"])
    if len(classes) != CLASSES:
        yield f"{root / 'train'} has {len(classes):,} classes, not {CLASSES:,}"
    elif (classes[0], classes[-1]) != ENDS:
        yield f"{root / 'train'} begins with {classes[0]} and ends with {classes[-1]}, not {' and '.join(ENDS)}"
    for split, images in IMAGE_COUNTS.items():
        if (count := sum(map(len, listed[split].values()))) != images:
            yield f"{root / split} has {count:,} images, not {images:,}"


def _some(names: set[str]) -> str:
    first = sorted(names)
    return ", ".join(first[:3]) + (f" and {len(first) - 3:,} more classes" if len(first) > 3 else "")


def index(data: Path, subset: bool) -> Index:
    """List every file with its size, and note when each class folder last changed."""
    root = home(data)
    return {
        "subset": subset,
        "changed": {split: _changed(root / split) for split in SPLITS},
        "sizes": {split: _sizes(root / split, names) for split, names in listing(root).items()},
    }


def _sizes(split: Path, names: dict[str, list[str]]) -> dict[str, dict[str, int]]:
    """Look up the size of every file of a split in bytes, by class."""
    return {wnid: {name: (split / wnid / name).stat().st_size for name in files} for wnid, files in names.items()}


def write(data: Path, contents: Index, mean: Mean) -> None:
    """Write the files that `load` reads; the index comes last, as its presence says that the mean is complete."""
    root = home(data)
    np.save(root / "mean.npy", mean)
    temporary = root / "index.tmp"
    temporary.write_text(json.dumps(contents))
    os.replace(temporary, root / "index.json")


def _changed(folder: Path) -> dict[str, int]:
    """Return when each class folder last had a file added, renamed or removed, in nanoseconds."""
    return {entry.name: entry.stat().st_mtime_ns for entry in sorted(folder.iterdir())}


def declared_subset(data: Path) -> bool:
    """Return whether ImageNet was last prepared as a subset."""
    path = home(data) / "index.json"
    return path.exists() and bool(json.loads(path.read_text())["subset"])


def _read_index(data: Path) -> Index:
    """Read the index.

    Raises:
        InputError: it is missing, or the folders have changed since it was written.
    """
    root, fix = home(data), f"run: python -m study prepare imagenet --data={data}"
    if not (root / "index.json").exists() or not (root / "mean.npy").exists():
        raise InputError(f"{root} is not prepared; {fix}")
    contents: Index = json.loads((root / "index.json").read_text())
    for split in SPLITS:
        if not (root / split).is_dir() or contents["changed"][split] != _changed(root / split):
            raise InputError(f"{root / split} has changed since it was prepared; {fix}")
    return contents


def load(data: Path) -> Folder:
    """Read the index and the mean, without opening images or listing class folders.

    Raises:
        InputError: ImageNet is missing, not prepared, or has changed since it was prepared.
    """
    contents, root = _read_index(data), home(data)
    mean = np.load(root / "mean.npy")
    digest = hashlib.sha256(json.dumps(contents["sizes"], sort_keys=True).encode() + mean.tobytes()).hexdigest()
    train, val = (files(root, split, contents) for split in SPLITS)
    return Folder(tuple(contents["sizes"]["train"]), train, val, mean, digest, contents["subset"])


def files(root: Path, split: str, contents: Index) -> Files:
    """Select the files of one split from an index.

    A label is the position of its class among all classes in order, as in ImageFolder and torchvision's weights.
    """
    classes = contents["sizes"][split]
    names = [f"{wnid}/{name}".encode() for wnid, sizes in classes.items() for name in sizes]
    labels = np.repeat(np.arange(len(classes)), [len(sizes) for sizes in classes.values()])
    return Files(root / split, np.array(names), labels.astype(np.int64))
