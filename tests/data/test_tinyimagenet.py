"""Tiny ImageNet: the official archive or folder becomes one file; whatever else is given is named and refused."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from study.commands import cli
from study.data.datasets import dataset_info
from study.data.tinyimagenet.dataset import load_tinyimagenet
from study.recipes import RECIPES
from study.recording.record import Record
from study.spec import InputError, Spec
from tests.conftest import lack
from tests.fixtures.make_images import make_tiny
from tests.support import BESIDE, refusal, run
from tests.training.test_resume import assert_equal_records

CLASSES = 3
ROOT = "tiny-imagenet-200"
CELL = ("--dataset=tinyimagenet", "--depth=18", "--shortcut=A", "--recipe=smoke")
SPEC = Spec("tinyimagenet", 18, "A", "smoke", 0)
UNPACK = BESIDE / "tiny-imagenet" / "unpack.py"
# Of the first hundred official classes.
FINGERPRINT = "1489c0c8dd41a2b8ab69ba31fac11047dc4f0179b3e1e17326f24ae8be0982f5"


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that holds synthetic images of three classes in the official layout."""
    folder = tmp_path_factory.mktemp("source")
    make_tiny(folder, CLASSES)
    return folder


@pytest.fixture(scope="module")
def data(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder in which they are prepared."""
    folder = tmp_path_factory.mktemp("data")
    assert prepare(source, folder) == 0
    return folder


def prepare(source: Path, data: Path, *more: str) -> int:
    return cli.run(["prepare", "tinyimagenet", f"--source={source}", f"--data={data}", f"--classes={CLASSES}", *more])


def packed(source: Path, archive: Path) -> Path:
    """The folder as the official archive."""
    with zipfile.ZipFile(archive, "w") as file:
        for path in sorted(source.rglob("*")):
            file.write(path, path.relative_to(source))
    return archive


def wnids(source: Path) -> list[str]:
    return sorted((source / ROOT / "wnids.txt").read_text().split())


def test_every_pixel_is_what_pil_decodes(source: Path, data: Path) -> None:
    arrays, names = load_tinyimagenet(data), wnids(source)
    assert (
        arrays.classes[:4] == (*names, "unused 3")
        and len(arrays.classes) == 200
        and arrays.extent == "3 of 200 classes"
    )
    for label, wnid in enumerate(names):
        of_class = arrays.train_images[arrays.train_labels == label]
        for i, pixels in enumerate(of_class):
            path = source / ROOT / "train" / wnid / "images" / f"{wnid}_{i}.JPEG"
            assert np.array_equal(pixels, np.asarray(Image.open(path).convert("RGB"))), path
    lines = (source / ROOT / "val" / "val_annotations.txt").read_text().splitlines()
    shown = {wnid: arrays.test_images[arrays.test_labels == label] for label, wnid in enumerate(names)}
    for line in lines:
        image, wnid = line.split("\t")[:2]
        pixels = np.asarray(Image.open(source / ROOT / "val" / "images" / image).convert("RGB"))
        assert (shown[wnid] == pixels).all((1, 2, 3)).sum() == 1, line
    assert (arrays.train_size, arrays.test_size) == (500 * CLASSES, 50 * CLASSES)


def test_folder_and_archive_give_the_same_file(
    source: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert prepare(packed(source, tmp_path / "a.zip"), tmp_path) == 0
    counts = "3 classes, 1,500 training and 150 validation images, 6 of them grey"
    assert capsys.readouterr().out == f"Tiny ImageNet is ready in {tmp_path / 'tinyimagenet'}: {counts}\n"
    one, other = load_tinyimagenet(data), load_tinyimagenet(tmp_path)
    assert one.fingerprint == other.fingerprint and one.classes == other.classes
    (check,) = dataset_info("tinyimagenet").check(tmp_path)
    assert check.health == "sound" and check.report.startswith(f"{CLASSES} of 200 classes in ")


def in_train(root: Path) -> Path:
    wnid = wnids(root.parent)[1]
    return root / "train" / wnid / "images" / f"{wnid}_7.JPEG"


def annotate(root: Path, change: Callable[[list[str]], list[str]]) -> None:
    path = root / "val" / "val_annotations.txt"
    path.write_text("\n".join(change(path.read_text().splitlines())))


def save(path: Path, mode: str, side: int) -> None:
    Image.new(mode, (side, side)).save(path, "JPEG")


FAULTS: dict[str, tuple[Callable[[Path], object], str]] = {
    "missing": (lambda root: in_train(root).unlink(), "_7.JPEG is missing; fetch"),
    "truncated": (
        lambda root: os.truncate(in_train(root), in_train(root).stat().st_size - 60),
        "_7.JPEG cannot be decoded (image file is truncated",
    ),
    "empty": (lambda root: os.truncate(in_train(root), 0), "_7.JPEG cannot be decoded (cannot identify"),
    "of another size": (
        lambda root: save(in_train(root), "RGB", 32),
        "_7.JPEG is RGB of 32x32 pixels, not RGB or grey",
    ),
    "in other colours": (lambda root: save(in_train(root), "CMYK", 64), "_7.JPEG is CMYK of 64x64 pixels"),
    "huge": (lambda root: os.truncate(in_train(root), 2**30), "_7.JPEG is larger than any of the official files"),
    "one more": (lambda root: save(in_train(root).with_stem("more"), "RGB", 64), "more.JPEG is one more than"),
    "of an unknown class": (
        lambda root: shutil.copytree(in_train(root).parent, root / "train" / "n00000001" / "images"),
        "train/n00000001/images/",
    ),
    "a class less": (lambda root: shutil.rmtree(in_train(root).parent), "_0.JPEG is missing (and 499 more)"),
    "not to be validated": (
        lambda root: (root / "val" / "images" / "val_4.JPEG").unlink(),
        "val/images/val_4.JPEG is miss",
    ),
    "without a label": (lambda root: annotate(root, lambda lines: lines[1:]), "names 49 images of n2"),
    "labelled twice": (lambda root: annotate(root, lambda lines: [*lines, lines[0]]), "names 50 images of n2"),
    "of a label of no class": (
        lambda root: annotate(root, lambda lines: [*lines, "val_0.JPEG\tn99999999"]),
        "the class 'n99999999' of 'val_0.JPEG' is not in wnids.txt",
    ),
    "without labels": (
        lambda root: (root / "val" / "val_annotations.txt").unlink(),
        "val/val_annotations.txt is missing",
    ),
    "without classes": (lambda root: (root / "wnids.txt").unlink(), "wnids.txt is missing"),
    "of a class of no name": (lambda root: (root / "wnids.txt").write_text("../x\n"), "'../x' is not a class"),
    "of fewer classes": (
        lambda root: (root / "wnids.txt").write_text("n20000000\n"),
        "wnids.txt names 1 classes, not 3; complete it, or declare how many there are: --classes=1",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("kind", ["folder", "archive"])
def test_what_is_wrong_is_named_and_nothing_is_left(source: Path, tmp_path: Path, fault: str, kind: str) -> None:
    make, says = FAULTS[fault]
    given = shutil.copytree(source, tmp_path / "source", copy_function=os.link)
    for path in (in_train(given / ROOT), given / ROOT / "wnids.txt", given / ROOT / "val" / "val_annotations.txt"):
        content = path.read_bytes()  # a copy, as the others are links
        path.unlink()
        path.write_bytes(content)
    make(given / ROOT)
    if kind == "archive":
        given = packed(given, tmp_path / "a.zip")
    said = refusal(
        cli.run, "prepare", "tinyimagenet", f"--source={given}", f"--data={tmp_path}", f"--classes={CLASSES}"
    )
    assert says in said and str(given) in said
    assert not list((tmp_path / "tinyimagenet").glob("*")), "nothing half-written"


def test_classes_must_be_declared_and_the_flag_belongs_to_tiny_imagenet(source: Path, tmp_path: Path) -> None:
    given = ("prepare", "tinyimagenet", f"--source={source}", f"--data={tmp_path}")
    assert "names 3 classes, not 200; complete it, or declare how many there are: --classes=3" in refusal(
        cli.run, *given
    )
    assert "--classes=0 is not a number of classes from 1 to 200" in refusal(cli.run, *given, "--classes=0")
    assert "--subset says nothing about Tiny ImageNet" in refusal(cli.run, *given, "--subset")
    assert "--classes says nothing about CIFAR-10" in refusal(cli.run, "prepare", "cifar10", "--classes=3")
    assert "--subset says nothing about digits" in refusal(cli.run, "prepare", "digits", "--subset")
    assert "give its archive or folder with --source=PATH" in refusal(cli.run, "prepare", "tinyimagenet")


@pytest.mark.parametrize("name", ["../out.JPEG", "/tmp/out.JPEG", f"{ROOT}/../../out.JPEG", "..\\out.JPEG"])
def test_an_archive_that_would_write_elsewhere_is_refused(source: Path, tmp_path: Path, name: str) -> None:
    archive = packed(source, tmp_path / "a.zip")
    with zipfile.ZipFile(archive, "a") as file:
        file.writestr(name, b"")
    said = refusal(cli.run, "prepare", "tinyimagenet", f"--source={archive}", f"--data={tmp_path}")
    assert "lies outside the archive's folder" in said and "out.JPEG" in said


def test_a_damaged_archive_is_refused(source: Path, tmp_path: Path) -> None:
    archive = packed(source, tmp_path / "a.zip")
    whole = bytearray(archive.read_bytes())
    whole[len(whole) // 2] ^= 1
    archive.write_bytes(whole)
    given = ("prepare", "tinyimagenet", f"--data={tmp_path}", f"--classes={CLASSES}")
    assert "cannot be" in refusal(cli.run, *given, f"--source={archive}")
    archive.write_bytes(whole[: len(whole) // 2])
    assert "cannot be opened (File is not a zip file)" in refusal(cli.run, *given, f"--source={archive}")
    assert "cannot be opened ([Errno 2]" in refusal(cli.run, *given, f"--source={tmp_path / 'none.zip'}")


def test_a_prepared_file_is_compared_with_its_fingerprint(data: Path, tmp_path: Path) -> None:
    with pytest.raises(
        InputError, match=r"images.npz is missing; run: python -m study prepare tinyimagenet --source=PATH"
    ):
        load_tinyimagenet(tmp_path)
    path = shutil.copytree(data / "tinyimagenet", tmp_path / "tinyimagenet") / "images.npz"
    whole = bytearray(path.read_bytes())
    for damaged in (bytes(whole[:-1_000]), bytes(whole[:1_000_000]) + b"\1" + bytes(whole[1_000_001:]), b""):
        path.write_bytes(damaged)
        with pytest.raises(InputError, match=r"images\.npz is damaged"):
            load_tinyimagenet(tmp_path)


@pytest.mark.process
@pytest.mark.parametrize("moment", ["open:images.tmp:1", "rename:images.tmp:1", "call:_decode:700"])
def test_a_kill_while_it_is_prepared_leaves_nothing_that_counts(source: Path, tmp_path: Path, moment: str) -> None:
    arguments = ("prepare", "tinyimagenet", f"--source={source}", f"--data={tmp_path}", f"--classes={CLASSES}")
    assert run("tests.signalled", "SIGKILL", moment, "study", *arguments).returncode == -9
    with pytest.raises(InputError, match="is missing"):
        load_tinyimagenet(tmp_path)
    assert cli.run(list(arguments)) == 0
    assert [path.name for path in (tmp_path / "tinyimagenet").iterdir()] == ["images.npz"]


@pytest.mark.process
def test_a_killed_run_ends_as_an_undisturbed_one_and_two_ranks_count_each_image_once(
    data: Path, tmp_path: Path
) -> None:
    cell = ("study", "train", *CELL, f"--data={data}", "--wandb=disabled")
    whole = run(*cell, f"--runs={tmp_path / 'whole'}")
    assert whole.returncode == 0, whole.stderr
    killed = ("tests.signalled", "SIGKILL", "rename:last.tmp:1", *cell, f"--runs={tmp_path / 'killed'}")
    assert run(*killed).returncode == -9
    assert run(*cell, f"--runs={tmp_path / 'killed'}").returncode == 0
    assert_equal_records(Record(tmp_path / "killed", SPEC), Record(tmp_path / "whole", SPEC))
    assert run(*cell, "--devices=2", f"--runs={tmp_path / 'two'}").returncode == 0
    summary = Record(tmp_path / "two", SPEC).summary()
    assert summary and summary["test/seen"] == 50 * CLASSES


@pytest.mark.slow
@pytest.mark.process
def test_the_official_images_take_little_memory(request: pytest.FixtureRequest, tmp_path: Path) -> None:
    """The first hundred classes: their file has a known fingerprint, and is made in less than a gigabyte."""
    if not UNPACK.exists():
        lack(request, f"{UNPACK.parent} with half of Tiny ImageNet is missing")
    subprocess.run([sys.executable, UNPACK, tmp_path], check=True, stdout=subprocess.DEVNULL)
    source, data = f"--source={tmp_path}", f"--data={tmp_path}"
    done = run("tests.peak_memory", "study", "prepare", "tinyimagenet", source, data, "--classes=100")
    assert done.returncode == 0 and int(done.stdout.split()[-1]) < 2**20, done.stdout + done.stderr
    images = load_tinyimagenet(tmp_path)
    assert (images.fingerprint, images.train_size, images.test_size) == (FINGERPRINT, 50_000, 5_000)


def test_batches_are_those_of_the_recipe(data: Path) -> None:
    batches = load_tinyimagenet(data).on(torch.device("cpu"), RECIPES["tinyimagenet"]["smoke"])
    images, labels = batches.batch(0, 0)
    assert images.shape == (32, 3, 64, 64) and labels.max() < CLASSES
    tested, _ = batches.test_batch(0, 150)
    assert abs(float(tested.mean())) < 0.05, "the mean was subtracted"
