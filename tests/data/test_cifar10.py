from __future__ import annotations

import tarfile
from collections import Counter
from pathlib import Path

import pytest

from study.data.cifar10 import load_cifar10, prepare_cifar10
from study.spec import InputError


def test_the_official_images_are_read_whole(cifar10: Path) -> None:
    arrays = load_cifar10(cifar10)
    assert arrays.train_images.shape == (50_000, 32, 32, 3) and arrays.test_images.shape == (10_000, 32, 32, 3)
    assert Counter(arrays.train_labels.tolist()) == dict.fromkeys(range(10), 5_000)
    assert Counter(arrays.test_labels.tolist()) == dict.fromkeys(range(10), 1_000)
    assert arrays.fingerprint == "8b498b590fb068e9bba100bf76d66281b4873decd42f6e434612511c84623606"


def test_the_layout_alone_is_not_the_official_data_set(synthetic: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="data_batch_1 is corrupt"):
        prepare_cifar10(tmp_path, source=synthetic)
    assert not list(tmp_path.iterdir()), "nothing is left half done"


def test_missing_data_names_the_command(tmp_path: Path) -> None:
    with pytest.raises(
        InputError, match=f"data_batch_1 is missing; run: python -m study prepare cifar10 --data={tmp_path}"
    ):
        load_cifar10(tmp_path)


def test_a_single_altered_byte_is_found(cifar10: Path, tmp_path: Path) -> None:
    prepare_cifar10(tmp_path, source=cifar10)
    file = tmp_path / "cifar-10-batches-py" / "data_batch_3"
    content = bytearray(file.read_bytes())
    content[1_000_000] ^= 1
    file.write_bytes(content)
    with pytest.raises(InputError, match="data_batch_3 is corrupt"):
        load_cifar10(tmp_path)


def test_prepare_takes_the_folder_and_the_archive(cifar10: Path, tmp_path: Path) -> None:
    archive = tmp_path / "cifar-10-python.tar.gz"
    with tarfile.open(archive, "w:gz", compresslevel=1) as file:
        file.add(cifar10 / "cifar-10-batches-py", "cifar-10-batches-py")
    prepare_cifar10(tmp_path / "a", source=archive)
    prepare_cifar10(tmp_path / "b", source=cifar10 / "cifar-10-batches-py")
    assert load_cifar10(tmp_path / "a").fingerprint == load_cifar10(tmp_path / "b").fingerprint
    with pytest.raises(InputError, match="holds no cifar-10-batches-py"):
        prepare_cifar10(tmp_path / "c", source=tmp_path)
