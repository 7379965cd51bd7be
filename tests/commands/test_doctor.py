"""What the doctor says of the device, CIFAR-10, the disk and W&B; ImageNet's lines are tested with its folders."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
import torch

from study.commands import checks, cli
from study.data.interface import Check
from study.spec import DATASETS


def line(subject: str, data: Path, runs: Path) -> Check:
    """The one line about a subject."""
    (found,) = (check for check in checks.examine(data, runs) if check.subject == subject)
    return found


@pytest.mark.skipif(torch.cuda.is_available(), reason="looks at a machine without a GPU")
def test_a_machine_without_a_gpu_is_told_what_it_can_train(tmp_path: Path) -> None:
    found = line("device", tmp_path, tmp_path)
    assert found.health == "sound" and found.report.startswith(f"CPU only, {os.cpu_count()} cores")
    assert "digits" in found.report


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_machine_with_gpus_is_told_their_number_and_kind(tmp_path: Path) -> None:
    found = line("device", tmp_path, tmp_path)
    assert found.health == "sound" and torch.cuda.get_device_name(0) in found.report
    assert found.report.startswith(f"{torch.cuda.device_count()} x ")


def test_cifar10_that_is_missing_comes_with_the_command_that_fetches_it(tmp_path: Path) -> None:
    found = line("cifar10", tmp_path, tmp_path)
    assert found.health == "absent"
    assert f"python -m study prepare cifar10 --data={tmp_path}" in found.report


def test_cifar10_with_a_corrupt_file_is_unsound_and_the_file_is_named(tmp_path: Path) -> None:
    folder = tmp_path / "cifar-10-batches-py"
    folder.mkdir()
    (folder / "data_batch_1").write_bytes(b"half a file")
    found = line("cifar10", tmp_path, tmp_path)
    assert found.health == "unsound" and "data_batch_1" in found.report


def test_the_official_cifar10_is_sound(cifar10: Path, tmp_path: Path) -> None:
    assert line("cifar10", cifar10, tmp_path).health == "sound"


def test_the_free_space_of_the_runs_folder_is_that_of_its_nearest_parent(tmp_path: Path) -> None:
    runs = tmp_path / "not" / "there" / "yet"
    found = line("runs", tmp_path, runs)
    said = float(found.report.split(" GB free")[0].replace(",", ""))
    assert said == pytest.approx(shutil.disk_usage(tmp_path).free / 1e9, rel=0.1)
    assert found.health == "sound" and not runs.parent.exists()


def test_a_disk_without_room_is_unsound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "NEEDED_BYTES", 10 * shutil.disk_usage(tmp_path).total)
    found = line("runs", tmp_path, tmp_path)
    assert found.health == "unsound" and "make room" in found.report


def test_a_runs_folder_below_a_file_is_unsound(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    found = line("runs", tmp_path, tmp_path / "file" / "runs")
    assert found.health == "unsound" and f"{tmp_path / 'file'} is not a folder that can be written" in found.report


@pytest.mark.parametrize(
    ("variables", "health", "says"),
    [
        ({}, "absent", "no API key"),
        ({"WANDB_API_KEY": "0" * 40}, "sound", "at https://api.wandb.ai, with"),
        ({"WANDB_API_KEY": "0" * 40, "WANDB_BASE_URL": "http://own:8080/"}, "sound", "at http://own:8080, with"),
        ({"WANDB_BASE_URL": "http://own:8080"}, "absent", "wandb login --host=http://own:8080"),
        ({"WANDB_MODE": "disabled"}, "sound", "disabled, as WANDB_MODE says"),
        ({"WANDB_MODE": "offline", "WANDB_API_KEY": "0" * 40}, "sound", "offline, as WANDB_MODE says"),
    ],
)
def test_wandbs_line_says_what_a_run_would_do_and_why(
    variables: dict[str, str], health: str, says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("WANDB_MODE", "WANDB_API_KEY", "WANDB_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    monkeypatch.setenv("WANDB_CONFIG_DIR", str(tmp_path))
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    found = line("wandb", tmp_path, tmp_path)
    assert found.health == health and says in found.report


@pytest.mark.parametrize(
    ("machine", "health"),
    [("own:8080", "sound"), ("own", "absent"), ("api.wandb.ai", "absent")],
    ids=["with its port", "without it", "the public one"],
)
def test_the_key_is_that_of_the_address_which_the_clients_settings_name(
    machine: str, health: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the client has it: host and port. A key of another address is none for this one."""
    for name in ("WANDB_MODE", "WANDB_API_KEY", "WANDB_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    monkeypatch.setenv("WANDB_CONFIG_DIR", str(tmp_path))
    (tmp_path / "settings").write_text("[default]\nbase_url = http://own:8080\n")
    (tmp_path / "netrc").write_text(f"machine {machine}\n  login user\n  password {'0' * 40}\n")
    found = line("wandb", tmp_path, tmp_path)
    assert found.health == health and "http://own:8080" in found.report


def test_what_the_command_wandb_offline_has_set_holds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WANDB_MODE", raising=False)
    monkeypatch.setenv("WANDB_API_KEY", "0" * 40)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "wandb").mkdir()
    (tmp_path / "wandb" / "settings").write_text("[default]\nmode = offline\n")
    assert line("wandb", tmp_path, tmp_path).report.startswith("offline, as the command `wandb offline` has set")


def test_the_status_is_2_if_something_is_broken_and_0_if_it_is_only_missing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["doctor", f"--data={tmp_path}", f"--runs={tmp_path}"]
    assert cli.run(words) == 0
    assert [row.split()[0] for row in capsys.readouterr().out.splitlines()] == [
        "device",
        "steps",
        *DATASETS,
        "runs",
        "wandb",
    ]
    (tmp_path / "cifar-10-batches-py").mkdir()
    assert cli.run(words) == 2
