"""``study prepare imagenet``: link or sort what the user has into the layout, check it, index it, take its mean."""

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
    """Make DATA/imagenet ready to be trained on, and say what it holds.

    Args:
        data: The folder that is to hold ``imagenet``.
        source: A folder with ``train`` and ``val``, which are linked and not copied; None where they lie there already.
        subset: Declares that fewer images or classes than ILSVRC 2012's are meant.

    Raises:
        InputError: the layout is wrong in a way that only the user can fix.
    """
    root = folder.home(data)
    try:
        root.mkdir(parents=True, exist_ok=True)
        if source is not None:
            _link(source, root)
        _sort_flat_validation(root, source)
        if found := list(folder.problems(data, subset)):
            raise InputError(found[0] + (f" (and {len(found) - 1} more: python -m study doctor)" if found[1:] else ""))
        index = folder.index(data, subset)
        train, val = (folder.files(root, split, index) for split in folder.SPLITS)
        mean, counts = _mean(train)
        folder.write(data, index, mean)
    except PermissionError as error:
        raise InputError(f"{error.filename} cannot be written or read; give another folder with --data=PATH") from None
    said = ", ".join(f"{counts[trouble]:,} {trouble}" for trouble in jpeg.TROUBLES)
    return f"ImageNet lies under {root}: {len(train):,} images to train on ({said}), {len(val):,} to test"


def _link(source: Path, root: Path) -> None:
    """Make train and val of the source appear in our layout."""
    places = (source, source / "imagenet", source / "ILSVRC" / "Data" / "CLS-LOC")  # the last is Kaggle's
    place = next((place for place in places if all((place / split).is_dir() for split in folder.SPLITS)), None)
    if place is None:
        raise InputError(f"{source} holds no folders train and val; give the folder that does")
    for split in folder.SPLITS:
        if not (root / split).exists() and not (split == "val" and _flat(place / split)):
            (root / split).symlink_to((place / split).resolve())
        elif split == "val" and not (root / split).exists():
            (root / split).mkdir()
            for image in _flat(place / split):
                (root / split / image.name).symlink_to(image.resolve())


def _flat(val: Path) -> list[Path]:
    """The images that lie outside class folders, in order."""
    return sorted(path for path in val.iterdir() if path.name.lower().endswith(SUFFIXES)) if val.is_dir() else []


def _sort_flat_validation(root: Path, source: Path | None) -> None:
    """Move a flat validation folder's images into class folders, by a label file beside them."""
    if not (images := _flat(root / "val")):
        return
    folders = [root, root / "val", *([source, source / "val"] if source else [])]
    label_file = next((path for f in folders for name in LABEL_FILES for path in sorted(f.glob(name))), None)
    if label_file is None:
        raise InputError(
            f"{root / 'val'} is flat and no label file lies in {root}; "
            "put LOC_val_solution.csv there, or imagenet_2012_validation_synset_labels.txt (one wnid a line)"
        )
    classes = _labels(label_file, images)
    for image in images:
        (root / "val" / classes[image.stem]).mkdir(exist_ok=True)
        image.rename(root / "val" / classes[image.stem] / image.name)


def _labels(path: Path, images: list[Path]) -> dict[str, str]:
    """The class of each validation image: from lines that name image and wnid, or one wnid a line in order."""
    lines = [line for line in path.read_text().splitlines() if WNID.search(line)]
    if all(WNID.fullmatch(line.strip()) for line in lines):
        named = dict(zip((image.stem for image in images), map(str.strip, lines), strict=False))
        complete = len(lines) == len(images)
    else:
        named = dict(_named(lines))
        complete = all(image.stem in named for image in images)
    if not complete:
        raise InputError(
            f"{path} names the classes of {len(lines):,} images, but {len(images):,} lie in val; complete it"
        )
    return named


def _named(lines: list[str]) -> Iterator[tuple[str, str]]:
    """Image and wnid of each line, as ``ILSVRC2012_val_00000001,n01751748 111 108 ...`` has them."""
    for line in lines:
        image, wnid = line.split(",")[0].split()[0], WNID.search(line)
        assert wnid is not None
        yield re.sub(r"\.\w+$", "", image), wnid.group()


class _Centres(Dataset[tuple[Sums, Counts]]):
    """Sums over chunks of the training images' centre crops, made in worker processes."""

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
    """The mean of all training images' centre crops, and how many files were troublesome."""
    chunks = _Centres(files)
    total, counts = np.zeros((CROP, CROP, 3)), Counts()
    loader = DataLoader(chunks, batch_size=None, num_workers=worker_count(1), collate_fn=lambda chunk: chunk)
    quiet = not sys.stderr.isatty()
    for part, troubles in track(loader, "mean", len(chunks), console=Console(stderr=True), disable=quiet):
        total += part
        counts += troubles
    return (total / len(files)).astype(np.float32), counts
