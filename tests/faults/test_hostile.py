"""Input that means harm, or that nobody meant: refused in one line or shown as text; nothing is written elsewhere."""

from __future__ import annotations

import io
import os
import pickle
import re
import shutil
import tarfile
import zipfile
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from reports.gathering import snapshot
from reports.gathering.gather import gather
from reports.page.render import texts
from reports.page.sections import report
from study.commands.cli import run as study
from study.data.cifar10 import FOLDER, LARGEST, official, prepare_cifar10
from study.data.imagenet import jpeg
from study.data.imagenet.prepare import prepare as prepare_imagenet
from study.spec import InputError, Spec
from study.sweeps import grid
from tests.faults.trap import Trap
from tests.records import PROVENANCE, write_run
from tests.support import refusal, write_sweep

SPEC = Spec("digits", 8, "A", "smoke")
GRID = "method: grid\nparameters:\n  dataset: {value: digits}\n  shortcut: {value: A}\n"
MANY = [6 * n + 2 for n in range(1, 1001)], [*range(10_000)]
SWEEPS = {
    "nested 20,000 deep": "[" * 20_000,
    "a seed of 5,000 digits": f"{GRID}  depth: {{value: 8}}\n  seed: {{value: {'9' * 5000}}}\n",
    "latin-1": f"# caf\xe9\n{GRID}".encode("latin-1"),
    "aliases that multiply": "a: &a [x,x]\n" + "".join(f"{b}: &{b} [*{a},*{a}]\n" for a, b in pairwise("abcdefghi")),
    "a Python object": "!!python/object/apply:os.system ['touch trapped']\n",
    "a million bytes": f"{GRID}# {'x' * 10**6}\n",
    "10,000,000 cells": f"{GRID}  depth: {{values: {MANY[0]}}}\n  seed: {{values: {MANY[1]}}}\n",
    "a depth of 20 digits": f"{GRID}  depth: {{value: 99999999999999999998}}\n",
    "a depth in other digits": f"{GRID}  depth: {{value: \u0668}}\n",
    "a recipe of 10,000 letters": f"{GRID}  depth: {{value: 8}}\n  recipe: {{value: {'x' * 10_000}}}\n",
    "a path": f"{GRID}  depth: {{value: 8}}\n  recipe: {{value: ../../x}}\n",
    "right to left": f"{GRID}  depth: {{value: 8}}\n  recipe: {{value: \u202epaper}}\n",
    "NUL": f"{GRID}  depth: {{value: 8}}\n\0",
}  # fmt: skip


@pytest.mark.parametrize("name", SWEEPS)
def test_a_sweep_file_that_is_no_grid_is_refused_in_one_short_line(name: str, tmp_path: Path) -> None:
    path, content = tmp_path / "sweep.yaml", SWEEPS[name]
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    said = refusal(study, "sweep", str(path), "--dry-run")
    assert len(said) < 600 and said.isprintable(), said
    assert not Path("trapped").exists()


@given(st.text() | st.text("[]{}:&*!-,. \n'\"#abxyz019%@`|>?") | st.text().map(lambda text: GRID + text))
def test_whatever_a_sweep_file_holds_it_is_a_grid_or_refused(
    tmp_path_factory: pytest.TempPathFactory, text: str
) -> None:
    path = tmp_path_factory.getbasetemp() / "any.yaml"
    path.write_text(text.replace("\r", ""), encoding="utf-8", errors="replace")
    try:
        assert all(isinstance(cell, Spec) for cell in grid.cells(path))
    except InputError as error:
        assert "\n" not in str(error)


@given(st.text())
def test_whatever_a_name_is_it_is_a_cell_or_refused(name: str) -> None:
    try:
        assert re.fullmatch(r"[a-z0-9]+-[1-9]\d*-(none|A|B|C)-[a-z0-9]+-s\d+", Spec.parse(name).name, re.ASCII)
    except InputError as error:
        assert str(error).isprintable() and len(str(error)) < 300


def tar(add: Callable[[tarfile.TarFile], object]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        add(archive)
    return buffer.getvalue()


def member(name: str, size: int = 3, **changes: object) -> Callable[[tarfile.TarFile], object]:
    def add(archive: tarfile.TarFile) -> None:
        entry = tarfile.TarInfo(name)
        entry.size = size
        for key, value in changes.items():
            setattr(entry, key, value)
        archive.addfile(entry, io.BytesIO(bytes(size)) if entry.isfile() else None)

    return add


def zipped(name: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(name, "x")
    return buffer.getvalue()


INSIDE = f"{FOLDER}/data_batch_1"
ARCHIVES: dict[str, tuple[bytes, str]] = {
    "a path upwards": (tar(member("../../batches.meta")), "data_batch_1 is missing"),
    "an absolute path": (tar(member("/tmp/escaped/data_batch_1")), "data_batch_1 is corrupt"),
    "a link out of the folder": (tar(member(INSIDE, 0, type=tarfile.SYMTYPE, linkname="/etc/passwd")), "holds no"),
    "a hard link": (tar(member(INSIDE, 0, type=tarfile.LNKTYPE, linkname="/etc/passwd")), "holds no"),
    "a pipe": (tar(member(INSIDE, 0, type=tarfile.FIFOTYPE)), "holds no"),
    "a device": (tar(member(INSIDE, 0, type=tarfile.CHRTYPE)), "holds no"),
    "other files": (tar(member("evil.py")), "holds no"),
    "a file that is too large": (tar(member(INSIDE, LARGEST + 1)), "holds no"),
    "a zip that leaves its folder": (zipped("../../data_batch_1"), "data_batch_1 is corrupt"),
    "half a tar": (tar(member(INSIDE, 10**6))[:500], "cannot be unpacked"),
    "noise": (os.urandom(1000), "cannot be unpacked"),
    "nothing": (b"", "cannot be unpacked"),
    "another format": (b"Rar!\x1a\x07\x00" + bytes(100), "cannot be unpacked"),
}


@pytest.mark.parametrize("name", ARCHIVES)
def test_an_archive_writes_only_official_files_and_only_into_its_folder(name: str, tmp_path: Path) -> None:
    content, says = ARCHIVES[name]
    source, data = tmp_path / "in" / "archive", tmp_path / "deep" / "data"
    source.parent.mkdir()
    source.write_bytes(content)
    data.parent.mkdir()
    said = refusal(study, "prepare", "cifar10", f"--data={data}", f"--source={source}")
    assert says in said, said
    written = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if not path.is_dir()}
    assert written == {"in/archive"} and not Path("/tmp/escaped").exists()


def test_no_code_in_a_batch_is_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not even if its digest were the official one."""
    from study.data import cifar10

    with pytest.raises(pickle.UnpicklingError, match=r"system does not belong into CIFAR-10"):
        cifar10._unpickle(pickle.dumps(Trap()))
    assert not Path("trapped").exists()


@pytest.mark.parametrize("damage", ["one bit", "truncated", "missing", "swapped"])
def test_each_official_file_is_verified(damage: str, cifar10: Path, tmp_path: Path) -> None:
    shutil.copytree(cifar10 / FOLDER, tmp_path / "source")
    for name in official():
        path = tmp_path / "source" / name
        before = path.read_bytes()
        if damage == "one bit":
            path.write_bytes(before[:100] + bytes([before[100] ^ 1]) + before[101:])
        elif damage == "truncated":
            path.write_bytes(before[: len(before) // 2])
        elif damage == "missing":
            path.unlink()
        else:
            path.write_bytes(
                (tmp_path / "source" / ("data_batch_1" if name != "data_batch_1" else "data_batch_2")).read_bytes()
            )
        with pytest.raises(InputError, match=rf"{name} is (corrupt|missing)"):
            prepare_cifar10(tmp_path / f"out-{name}", source=tmp_path / "source")
        assert not list((tmp_path / f"out-{name}").iterdir())
        path.write_bytes(before)


def odd(kind: str, path: Path) -> None:
    """Something with an image's name that is no image's file."""
    path.unlink()
    if kind == "a pipe":
        os.mkfifo(path)
    elif kind == "a folder":
        path.mkdir()
    else:
        path.symlink_to("/nowhere")


@pytest.mark.parametrize("kind", ["a pipe", "a folder", "a dead link"])
def test_an_image_that_is_no_file_is_named(kind: str, imagenet: Path, tmp_path: Path) -> None:
    shutil.copytree(imagenet / "imagenet", tmp_path / "imagenet", symlinks=True)
    path = next((tmp_path / "imagenet" / "train").glob("*/*.JPEG"))
    odd(kind, path)
    with pytest.raises(InputError, match=re.escape(f"{path} is not a file")):
        prepare_imagenet(tmp_path, None, subset=True)


def test_an_image_of_too_many_pixels_takes_no_memory(tmp_path: Path) -> None:
    """A PNG of a few kilobytes can hold 180 million pixels; it is counted as broken, like a file that is cut off."""
    Image.new("L", (13_300, 13_300)).save(tmp_path / "x.JPEG", format="PNG")
    decoded = jpeg.decode(tmp_path / "x.JPEG", 256)
    assert decoded.trouble == "broken" and decoded.size == (256, 256)


EVIL = {
    "url": 'https://x/) [y](javascript:alert(6)) "',
    "device": "=cmd|' /C calc'!A0",
    "commit": "+1+cmd()",
    "precision": "@SUM(A1)",
    "started": "\u202egnp.exe",
    "versions": {"torch": "-cmd()|<script>alert(1)</script>\\input{x}"},
}


def test_what_a_record_says_is_shown_as_text(tmp_path: Path) -> None:
    record = write_run(tmp_path / "runs", SPEC)
    record.note(**EVIL)
    (tmp_path / "runs" / "=cmd()|calc").mkdir()
    found = gather(tmp_path / "runs")
    snapshot.write(found, tmp_path / "out")
    written = texts(report(found)) | {"runs.csv": (tmp_path / "out" / "runs.csv").read_text()}
    for name, content in written.items():
        assert "\u202e" not in content, name
        if not name.endswith(".csv"):
            assert "](javascript:" not in content and "<script>alert" not in content, name
        else:
            assert not re.search(r'(?m)(^|,)"?[=@\t]|(^|,)"?[+-](?![\d.])', content), name
    again = snapshot.read(tmp_path / "out").runs
    assert set(again["run"]) == {SPEC.name, "=cmd()|calc"} and EVIL["device"] in set(again["device"])


def test_a_link_in_place_of_a_record_is_not_followed(tmp_path: Path) -> None:
    elsewhere = write_run(tmp_path / "elsewhere", SPEC)
    runs = tmp_path / "runs"
    runs.mkdir()
    (runs / SPEC.name).symlink_to(elsewhere.folder)
    linked = write_run(runs, Spec("digits", 14, "A", "smoke"))
    (linked.folder / "probes.json").symlink_to("/etc/passwd")
    reasons = dict(zip(gather(runs).runs["run"], gather(runs).runs["reason"], strict=True))
    assert "link to another folder" in reasons[SPEC.name] and reasons[linked.spec.name] == "probes.json: not a file"
    assert PROVENANCE["commit"] not in str(reasons)


def test_a_sweep_of_cells_beyond_memory_is_refused_before_it_is_expanded(tmp_path: Path) -> None:
    said = refusal(study, "sweep", str(write_sweep(tmp_path, str(SWEEPS["10,000,000 cells"]))), "--dry-run")
    assert "10,000,000 cells; a grid of more than 100,000 is a slip" in said
