"""``study prepare imagenet``: link or sort the images into the layout, check and index them, compute their mean."""

from __future__ import annotations

import re
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track
from torch.utils.data import DataLoader, Dataset

from study.data.imagenet import folder, jpeg
from study.data.imagenet.folder import SUFFIXES, WNID, Files, Mean
from study.data.imagenet.read_ahead import worker_count
from study.data.imagenet.readers import CENTRE, CROP
from study.spec import InputError

Sums = NDArray[np.float64]
Counts = Counter[str]
LABEL_FILES = ("LOC_val_solution.csv", "*synset_labels.txt", "val_labels.*")


def prepare(data: Path, source: Path | None, subset: bool) -> str:
    """Make DATA/imagenet ready for training.

    Args:
        data: The folder that is to hold ``imagenet``.
        source: A folder with ``train`` and ``val``, which are linked, not copied; None if they are in DATA/imagenet.
        subset: Whether fewer images or classes than ILSVRC 2012's are intended.

    Returns:
        One line on what it holds.

    Raises:
        InputError: the layout is wrong in a way that only the user can correct.
    """
    root = folder.home(data)
    try:
        root.mkdir(parents=True, exist_ok=True)
        if source is not None:
            _link(source, root)
        _sort_flat_validation(root, source)
        _refuse(list(folder.problems(data, subset)))
        index = folder.index(data, subset)
        train, val = (folder.files(root, split, index) for split in folder.SPLITS)
        mean, counts = _mean(train)
        folder.write(data, index, mean)
    except PermissionError as error:
        raise InputError(f"{error.filename} cannot be written or read; give another folder with --data=PATH") from None
    troubles = ", ".join(f"{counts[trouble]:,} {trouble}" for trouble in jpeg.TROUBLES)
    return f"ImageNet is ready in {root}: {len(train):,} training images ({troubles}), {len(val):,} test images"


def _refuse(problems: list[str]) -> None:
    """Raise an InputError for the first problem, if there is any, with the number of others."""
    if len(problems) > 1:
        raise InputError(f"{problems[0]} (and {len(problems) - 1} more: python -m study doctor)")
    if problems:
        raise InputError(problems[0])


def _link(source: Path, root: Path) -> None:
    """Link train and val of the source into the layout; a flat val folder is linked image by image, to be sorted."""
    places = (source, source / "imagenet", source / "ILSVRC" / "Data" / "CLS-LOC")  # the last is Kaggle's
    place = next((place for place in places if all((place / split).is_dir() for split in folder.SPLITS)), None)
    if place is None:
        raise InputError(f"{source} holds no folders train and val; give the folder that does")
    for split in folder.SPLITS:
        if (root / split).exists():
            continue
        flat = _flat(place / split) if split == "val" else []
        if not flat:
            (root / split).symlink_to((place / split).resolve())
            continue
        (root / split).mkdir()
        for image in flat:
            (root / split / image.name).symlink_to(image.resolve())


def _flat(val: Path) -> list[Path]:
    """List the images outside class folders, in order."""
    return sorted(path for path in val.iterdir() if path.name.lower().endswith(SUFFIXES)) if val.is_dir() else []


def _sort_flat_validation(root: Path, source: Path | None) -> None:
    """Move the images of a flat validation folder into class folders, following a label file beside them."""
    if not (images := _flat(root / "val")):
        return
    folders = [root, root / "val", *([source, source / "val"] if source else [])]
    label_file = next((path for f in folders for name in LABEL_FILES for path in sorted(f.glob(name))), None)
    if label_file is None:
        raise InputError(
            f"{root / 'val'} is flat and there is no label file in {root}; "
            "put LOC_val_solution.csv there, or imagenet_2012_validation_synset_labels.txt (one wnid a line)"
        )
    classes = _labels(label_file, images)
    for image in images:
        (root / "val" / classes[image.stem]).mkdir(exist_ok=True)
        image.rename(root / "val" / classes[image.stem] / image.name)


def _labels(path: Path, images: list[Path]) -> dict[str, str]:
    """Read the class of each validation image: lines that name image and wnid, or one wnid a line in image order."""
    lines = [line for line in path.read_text().splitlines() if WNID.search(line)]
    if all(WNID.fullmatch(line.strip()) for line in lines):
        named = dict(zip((image.stem for image in images), map(str.strip, lines), strict=False))
        complete = len(lines) == len(images)
    else:
        named = dict(_named(lines))
        complete = all(image.stem in named for image in images)
    if not complete:
        raise InputError(f"{path} names the classes of {len(lines):,} images, but val has {len(images):,}; complete it")
    return named


def _named(lines: list[str]) -> Iterator[tuple[str, str]]:
    """Split each line into image and wnid, as ``ILSVRC2012_val_00000001,n01751748 111 108 ...`` has them."""
    for line in lines:
        image, wnid = line.split(",")[0].split()[0], WNID.search(line)
        assert wnid is not None
        yield re.sub(r"\.\w+$", "", image), wnid.group()


class _Centres(Dataset[tuple[Sums, Counts]]):
    """Sums of the training images' centre crops, a chunk of images each, computed in worker processes."""

    chunk = 64

    def __init__(self, files: Files) -> None:
        self.files = files

    def __len__(self) -> int:
        return -(-len(self.files) // self.chunk)

    def __getitem__(self, number: int) -> tuple[Sums, Counts]:
        total, counts = np.zeros((CROP, CROP, 3)), Counts()
        for i in range(number * self.chunk, min((number + 1) * self.chunk, len(self.files))):
            decoded = jpeg.decode(self.files.path(i), CENTRE)
            total += jpeg.centre(decoded, CENTRE, CROP)
            counts[decoded.trouble] += 1
        return total, counts


def _mean(files: Files) -> tuple[Mean, Counts]:
    """Compute the mean of all training images' centre crops, and count converted and broken files."""
    chunks = _Centres(files)
    total, counts = np.zeros((CROP, CROP, 3)), Counts()
    loader = DataLoader(chunks, batch_size=None, num_workers=worker_count(1), collate_fn=lambda chunk: chunk)
    quiet = not sys.stderr.isatty()
    for part, troubles in track(loader, "mean", len(chunks), console=Console(stderr=True), disable=quiet):
        total += part
        counts += troubles
    return (total / len(files)).astype(np.float32), counts
