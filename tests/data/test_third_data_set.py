"""A data set more than the study has: every verb works with it, or refuses in one line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from study.data.datasets import DATA_SETS, dataset_info, load_in_memory
from study.network import TASKS
from study.recipes import RECIPES
from study.spec import DATASETS, InputError
from tests.support import run

pytestmark = pytest.mark.process

Calls = dict[str, tuple[int, str, str]]


def call_every_verb(extent: str, folder: Path) -> Calls:
    account = {"WANDB_MODE": "", "WANDB_API_KEY": "", "NETRC": "/nowhere"}
    done = run("tests.fixtures.third_data_set", extent, str(folder), **account)
    assert done.returncode == 0, done.stderr
    calls: Calls = json.loads(done.stdout.splitlines()[-1])
    return calls


def assert_refused(calls: Calls, verb: str, says: str) -> None:
    status, _, error = calls[verb]
    assert status == 2 and says in error and error.count("\n") == 1, (verb, calls[verb])


def test_a_data_set_with_images_and_a_network_works_as_the_others_do(tmp_path: Path) -> None:
    calls = call_every_verb("whole", tmp_path)
    for verb in ("train", "sweep", "probe", "prepare", "doctor", "bench"):
        assert calls[verb][0] == 0, (verb, calls[verb])
    summary = json.loads((tmp_path / "runs" / "shapes-8-A-paper-s0" / "summary.json").read_text())
    assert (summary["step"], summary["test/seen"]) == (4, 30)
    assert calls["prepare"][1] == "shapes are made up\n" and "shapes       sound    are made up" in calls["doctor"][1]
    assert "--dataset=shapes --depth=8 --shortcut=none" in calls["sweep"][1]
    assert "shapes-8-A-paper-s0" in calls["probe"][1] and '"cell": "shapes-8-A-paper-s0"' in calls["bench"][1]
    assert calls["test"][0] == 0 and "shapes-8-A-paper-s0: single top-1" in calls["test"][1]
    assert_refused(calls, "loader", "the arm loader needs PIL images, and shapes has none")
    assert_refused(calls, "pipeline", "--pipeline reads images from disk")
    assert_refused(calls, "launch", "W&B")


def test_a_data_set_with_a_name_and_a_recipe_only_is_refused(tmp_path: Path) -> None:
    """It must not become CIFAR-10 or ImageNet, as whatever was not named once did."""
    calls = call_every_verb("named", tmp_path)
    for verb in ("train", "test", "probe", "prepare", "bench", "loader", "pipeline"):
        assert_refused(
            calls, verb, "dataset 'shapes' is unknown; choose one of: digits, cifar10, imagenet, tinyimagenet"
        )
    assert calls["doctor"][0] == 0 and "shapes" not in calls["doctor"][1]
    assert not (tmp_path / "cifar-10-batches-py").exists()


def test_every_data_set_has_a_description_a_network_and_a_recipe() -> None:
    names = tuple(info.name for info in DATA_SETS)
    assert names == DATASETS and set(names) == set(RECIPES) == set(TASKS)
    for info in DATA_SETS:
        assert info.image_size[0] == TASKS[info.name].channels


def test_what_does_not_fit_into_memory_is_said(imagenet: Path) -> None:
    with pytest.raises(
        InputError, match="dataset 'shapes' is unknown; choose one of: digits, cifar10, imagenet, tinyimagenet"
    ):
        dataset_info("shapes")
    with pytest.raises(
        InputError, match=r"ImageNet does not fit into memory, .* choose one of: digits, cifar10, tinyimagenet"
    ):
        load_in_memory("imagenet", imagenet)
