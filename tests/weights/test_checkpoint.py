"""``study.load``: a run folder's network, or one line on why there is none."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch

from study import load
from study.data.digits import load_digits
from study.recipes import recipe_for
from study.recording.record import Record
from study.spec import InputError
from study.weights.digest import weights_sha256
from tests.support import SPEC


def test_a_loaded_network_makes_the_errors_that_its_run_recorded(undisturbed: Record) -> None:
    net, summary = load(str(undisturbed.folder)), undisturbed.summary()
    assert summary is not None and weights_sha256(net) == summary["weights_sha256"]
    assert not net.training and {weight.device.type for weight in net.parameters()} == {"cpu"}
    images, labels = load_digits().on(torch.device("cpu"), recipe_for(SPEC)).test_batch(0, 360)
    with torch.no_grad():
        assert int((net(images).argmax(1) != labels).sum()) == summary["test/wrong"]


def test_a_folder_without_a_network_is_refused_in_one_line(undisturbed: Record, tmp_path: Path) -> None:
    folder = tmp_path / SPEC.name
    with pytest.raises(InputError, match="does not exist; give the folder of a run"):
        load(folder)
    shutil.copytree(undisturbed.folder, folder, ignore=shutil.ignore_patterns("checkpoints"))
    with pytest.raises(InputError, match="has no checkpoint; train it first"):
        load(folder)
    (folder / "checkpoints").mkdir()
    (folder / "checkpoints" / "last.ckpt").write_bytes(undisturbed.checkpoint.read_bytes()[:5_000])
    with pytest.raises(InputError, match=f"is not a checkpoint of {SPEC.name}, or is damaged"):
        load(folder)
    with pytest.raises(InputError, match="is not a run name"):
        load(tmp_path)


def test_the_checkpoint_of_another_network_is_refused(undisturbed: Record, tmp_path: Path) -> None:
    other = tmp_path / "digits-14-A-mini-s3"
    shutil.copytree(undisturbed.folder, other)
    with pytest.raises(InputError, match="is not a checkpoint of digits-14-A-mini-s3"):
        load(other)
