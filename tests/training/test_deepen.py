"""``study deepen``: a trained network made deeper without changing its outputs, trained on as a run of its own."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from study.commands import cli
from study.recipes import RECIPES
from study.recording.record import Record
from study.spec import Spec
from tests.support import SPEC, refusal, run
from tests.training.test_resume import assert_equal_records

DEEP = Spec("digits", 14, "A", "deepened", SPEC.seed)


@pytest.mark.process
def test_a_deeper_copy_is_trained_on(undisturbed: Record, tmp_path: Path) -> None:
    command = ("study", "deepen", str(undisturbed.folder), "--depth=14", "--wandb=disabled")
    done = run(*command, f"--runs={tmp_path / 'whole'}")
    assert done.returncode == 0, done.stderr
    record, parent = Record(tmp_path / "whole", DEEP), undisturbed.summary()
    origin = record.provenance()["parent"]
    assert parent and origin["run"] == SPEC.name and origin["weights_sha256"] == parent["weights_sha256"]
    assert origin["difference"] < 1e-4 and origin["error"] == parent["test/top1_error"]
    first = record.history()[0]
    assert first["test/top1_error"] < 50, "initial weights would have about 90 % after five steps"
    killed = (*command, f"--runs={tmp_path / 'killed'}")
    assert run("tests.signalled", "SIGKILL", "rename:last.tmp:3", *killed).returncode == -9
    assert run(*killed).returncode == 0
    assert_equal_records(Record(tmp_path / "killed", DEEP), record)
    again = run(*command, f"--runs={tmp_path / 'whole'}")
    assert again.returncode == 0 and "is finished already" in again.stdout


@pytest.mark.process
def test_a_run_does_not_change_its_parent(undisturbed: Record, two_ranks: Record, tmp_path: Path) -> None:
    runs = f"--runs={tmp_path}"
    command = ("study", "deepen", str(undisturbed.folder), "--depth=8", "--wandb=disabled", runs)
    assert run("tests.signalled", "SIGKILL", "rename:last.tmp:3", *command).returncode == -9
    done = run("study", "deepen", str(two_ranks.folder), *command[3:])
    assert done.returncode == 2 and "was started with another parent" in done.stderr, done.stderr


def test_what_cannot_be_deepened_is_said(undisturbed: Record, tmp_path: Path) -> None:
    folder = str(undisturbed.folder)
    bare = shutil.copytree(undisturbed.folder, tmp_path / SPEC.name, ignore=shutil.ignore_patterns("checkpoints"))
    runs = f"--runs={tmp_path / 'runs'}"
    for arguments, says in (
        (("deepen", folder, "--depth=9", runs), "depth 9 is not 6n+2"),
        (
            ("deepen", folder, "--depth=14", "--recipe=mini", runs),
            "does not start from a copy; those that do: deepened",
        ),
        (("deepen", str(bare), "--depth=14", runs), "has no checkpoint"),
        (("train", *DEEP.flags, runs), "starts from a copy of a trained network; run: python -m study deepen"),
    ):
        assert says in refusal(cli.run, *arguments)
    assert not (tmp_path / "runs").exists(), "nothing is left of a run that could not start"


def test_a_copy_is_trained_as_networks_from_initial_weights_are() -> None:
    for dataset in ("digits", "cifar10"):
        assert RECIPES[dataset]["deepened"] == RECIPES[dataset]["mini"]
