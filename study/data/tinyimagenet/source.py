"""The official archive of Tiny ImageNet, or the folder that it unpacks to: which files there are, and what they show.

    tiny-imagenet-200/wnids.txt                             the classes, one a line
                      train/<wnid>/images/<wnid>_<n>.JPEG   500 of each
                      val/images/val_<n>.JPEG               50 of each, on which errors are counted
                      val/val_annotations.txt               their classes

The images of its test folder have no labels and are not used.
"""

from __future__ import annotations

import re
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from study.spec import InputError, shown

CLASSES = 200
IMAGES = {"train": 500, "val": 50}  # of each class
ROOT = "tiny-imagenet-200"
ANNOTATIONS = "val/val_annotations.txt"
LARGEST = 2**20  # bytes of a file; the largest image has less than 10,000
AGAIN = "fetch tiny-imagenet-200.zip again"
UNREADABLE = (OSError, zipfile.BadZipFile, EOFError, ValueError, RuntimeError, NotImplementedError)


@dataclass(frozen=True)
class Source:
    """The files of the archive or of the folder.

    Attributes:
        path: Where they are.
        names: Of all files, below ``tiny-imagenet-200``.
        content: The bytes of a file.
    """

    path: Path
    names: frozenset[str]
    content: Callable[[str], bytes]

    def read(self, name: str) -> bytes:
        """Read a file.

        Raises:
            InputError: It is missing, damaged, or larger than any of the official ones.
        """
        if name not in self.names:
            raise self.error(f"{name} is missing")
        try:
            content = self.content(name)
        except UNREADABLE as error:
            raise self.error(f"{name} cannot be read ({shown(error)})") from None
        if len(content) > LARGEST:
            raise self.error(f"{name} is larger than any of the official files")
        return content

    def lines(self, name: str) -> list[str]:
        """Read a text, without its empty lines."""
        return [line.strip() for line in self.read(name).decode(errors="replace").splitlines() if line.strip()]

    def error(self, problem: str) -> InputError:
        """What is wrong with the source, and what to do."""
        return InputError(f"{self.path}: {problem}; {AGAIN}")


@contextmanager
def opened(path: Path) -> Iterator[Source]:
    """Open the archive, the folder that it unpacks to, or one that holds that folder.

    Raises:
        InputError: It is none of them, or the archive has a file that lies outside its folder.
    """
    if path.is_dir():
        yield _folder(path)
        return
    try:
        archive = zipfile.ZipFile(path)
    except UNREADABLE as error:
        raise InputError(
            f"{path} cannot be opened ({shown(error)}); give tiny-imagenet-200.zip or its folder"
        ) from None
    with archive:
        yield _archive(path, archive)


def _folder(path: Path) -> Source:
    root = path / ROOT if (path / ROOT).is_dir() else path
    names = (each.relative_to(root).as_posix() for each in root.rglob("*") if each.is_file())
    return Source(path, frozenset(names), lambda name: _limited(root / name))


def _limited(path: Path) -> bytes:
    """The content of a file, or enough of it to see that it is too large."""
    with path.open("rb") as file:
        return file.read(LARGEST + 1)


def _archive(path: Path, archive: zipfile.ZipFile) -> Source:
    names = archive.namelist()
    for name in names:
        place = PurePosixPath(name.replace("\\", "/"))
        if place.is_absolute() or ".." in place.parts:
            raise InputError(f"{path}: {shown(name)} lies outside the archive's folder; {AGAIN}")
    inside = (name.removeprefix(f"{ROOT}/") for name in names if not name.endswith("/"))

    def content(name: str) -> bytes:
        with archive.open(f"{ROOT}/{name}") as file:
            return file.read(LARGEST + 1)

    return Source(path, frozenset(inside), content)


def classes(source: Source, declared: int | None) -> list[str]:
    """The classes, in order.

    Args:
        source: Where they are.
        declared: How many there are; None for all 200.

    Raises:
        InputError: ``wnids.txt`` names others.
    """
    names, expected = source.lines("wnids.txt"), declared or CLASSES
    for name in names:
        if not re.fullmatch(r"n\d{8}", name, re.ASCII):
            raise source.error(f"wnids.txt: {shown(name)} is not a class, which has a name like n01443537")
    if len(names) != expected or len(set(names)) != expected:
        raise InputError(
            f"{source.path}: wnids.txt names {len(set(names))} classes, not {expected}; complete it, or declare how "
            f"many there are: --classes={len(set(names))}"
        )
    return sorted(names)


def train_images(source: Source, wnids: Sequence[str]) -> list[str]:
    """The names of the training images, class by class.

    Raises:
        InputError: Some are missing, or there are others.
    """
    expected = [f"train/{wnid}/images/{wnid}_{i}.JPEG" for wnid in wnids for i in range(IMAGES["train"])]
    return _complete(source, "train/", expected, wnids)


def val_images(source: Source, wnids: Sequence[str]) -> list[str]:
    """The names of the validation images, class by class, each in the order of ``val_annotations.txt``.

    Raises:
        InputError: Some are missing, or there are others, or a class has more or fewer than 50.
    """
    named: dict[str, list[str]] = {wnid: [] for wnid in wnids}
    for line in source.lines(ANNOTATIONS):
        image, wnid = [*line.split("\t"), ""][:2]
        if wnid not in named:
            raise source.error(f"{ANNOTATIONS}: the class {shown(wnid)} of {shown(image)} is not in wnids.txt")
        named[wnid].append(f"val/images/{image}")
    for wnid, images in named.items():
        if len(set(images)) != IMAGES["val"] or len(images) != IMAGES["val"]:
            raise source.error(f"{ANNOTATIONS} names {len(set(images))} images of {wnid}, not {IMAGES['val']}")
    return _complete(source, "val/", [image for images in named.values() for image in images], wnids)


def _complete(source: Source, split: str, expected: list[str], wnids: Sequence[str]) -> list[str]:
    """Compare the images of a split with those that are expected."""
    found = {name for name in source.names if name.startswith(split) and name.endswith(".JPEG")}
    if unknown := sorted(found.difference(expected)):
        known = unknown[0].split("/")[1] in wnids or split == "val/"
        reason = "is one more than the official images" if known else "is of a class that is not in wnids.txt"
        raise source.error(f"{unknown[0]} {reason}")
    if missing := sorted(set(expected) - found):
        more = f" (and {len(missing) - 1:,} more)" if len(missing) > 1 else ""
        raise source.error(f"{missing[0]} is missing{more}")
    return expected
