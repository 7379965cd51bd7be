from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from reports import __main__ as reports
from study.commands import cli
from study.commands.cli import parser
from study.commands.flags import switches
from tests.support import ROOT, command, refusal, run

CELL = ["--dataset=digits", "--depth=8", "--shortcut=A"]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--dataset=cifar10", "--depth=21", "--shortcut=A"], "depth 21 is not 6n+2"),
        (["--dataset=cifar10", "--depth=20", "--shortcut=D"], "shortcut 'D' is unknown; choose one of: none, A, B, C"),
        (
            ["--dataset=cifar10", "--depth=20", "--shortcut=A", "--recipe=quick"],
            "recipe for cifar10 'quick' is unknown",
        ),
        (["--dataset=cifar10", "--depth=20", "--shortcut=A", "--devices=3"], "does not divide by 3 devices"),
        (
            ["--dataset=cifar10", "--depth=20", "--shortcut=A", "--data=nowhere"],
            "python -m study prepare cifar10 --data=nowhere",
        ),
        (["--dataset=cifar10", "--depth=twenty", "--shortcut=A"], "invalid int value: 'twenty'"),
        (
            ["--dataset=imagenet", "--depth=18", "--shortcut=A", "--data=nowhere"],
            "nowhere/imagenet is not prepared; run: python -m study prepare imagenet --data=nowhere",
        ),
        ([*CELL, "--precision=16"], "precision '16' is unknown; choose one of: auto, 32, tf32, bf16"),
        ([*CELL, "--wandb=on"], "wandb 'on' is unknown"),
        ([*CELL, "--step=fast"], "step 'fast' is unknown; choose one of: auto, plain, graph, compiled"),
        ([*CELL, "--step=graph", "--devices=2"], "--step=graph needs"),
        ([*CELL, "--checkpoint-every=-1"], "--checkpoint-every=-1 must be a number of blocks"),
        ([*CELL, "--learning-rate=0.2"], "unrecognized arguments: --learning-rate=0.2"),
        (["--dataset=digits"], "required: --depth, --shortcut"),
    ],
)
def test_a_wrong_input_is_refused_in_one_line(arguments: list[str], says: str, tmp_path: Path) -> None:
    assert says in refusal(cli.run, "train", f"--runs={tmp_path / 'runs'}", *arguments)
    assert not (tmp_path / "runs").exists(), "nothing was started"


@pytest.mark.process
@pytest.mark.parametrize(
    ("program", "arguments", "says"),
    [
        ("study", ("train", "--dataset=cifar10", "--depth=21", "--shortcut=A"), "depth 21 is not 6n+2"),
        ("reports", ("gather", "--runs=nowhere", "--out=nowhere"), "runs folder nowhere does not exist"),
    ],
)
def test_a_refusal_is_one_line_and_status_2(program: str, arguments: tuple[str, ...], says: str) -> None:
    done = run(program, *arguments)
    assert (done.returncode, done.stdout) == (2, ""), done.stderr
    assert done.stderr.startswith(f"{program}: {says}") and done.stderr.count("\n") == 1


@pytest.mark.process
def test_a_reader_that_has_seen_enough_is_no_error() -> None:
    """As ``| head -1``: the pipe is closed before all is written."""
    words = command("study", "sweep", "sweeps/digits_seeds.yaml", "--dry-run")
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(words, cwd=ROOT, stdout=writing, stderr=subprocess.PIPE, text=True)
    os.close(writing)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_runs_folder_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert "cannot be written" in refusal(cli.run, "train", *CELL, f"--runs={tmp_path / 'file'}")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_runs_folder_without_permission_is_said(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    assert "cannot be written" in refusal(cli.run, "train", *CELL, f"--runs={tmp_path / 'runs'}")


def test_a_corrupt_file_is_said_before_anything_is_trained(cifar10: Path, tmp_path: Path) -> None:
    folder = tmp_path / "cifar-10-batches-py"
    folder.mkdir()
    for file in (cifar10 / "cifar-10-batches-py").iterdir():
        (folder / file.name).symlink_to(file)
    (folder / "data_batch_2").unlink()
    (folder / "data_batch_2").write_bytes(b"half a file")
    arguments = ("--dataset=cifar10", "--depth=20", "--shortcut=A", "--recipe=smoke")
    said = refusal(cli.run, "train", *arguments, f"--data={tmp_path}", f"--runs={tmp_path / 'runs'}")
    assert "data_batch_2 is corrupt" in said


@pytest.mark.parametrize("file", ["nowhere.yaml", "README.md"])
def test_a_sweep_file_that_is_none(file: str) -> None:
    assert refusal(cli.run, "sweep", file).startswith("sweep file")


def test_reports_say_what_is_missing(tmp_path: Path) -> None:
    for arguments in (("gather", "--runs=nowhere", f"--out={tmp_path}"), ("build", f"--out={tmp_path}")):
        assert refusal(reports.run, *arguments)


@pytest.mark.parametrize(
    "spelling",
    [
        ["--dataset=cifar10", "--depth=20", "--shortcut=none", "--seed=3"],
        ["--dataset", "cifar10", "--depth", "20", "--shortcut", "none", "--seed", "3"],
        ["--dataset=cifar10", "--depth=20", "--shortcut=None", "--seed=3", "--recipe=None", "--devices=None"],
        ["--dataset=cifar10", "--depth=20", "--shortcut=none", "--seed=3", '--_wandb={"run": 1}'],
        ["--_wandb", "{}", "--dataset=cifar10", "--depth=20", "--shortcut=none", "--seed=3"],
    ],
)
def test_flags_are_read_however_wandb_spells_them(spelling: list[str]) -> None:
    options = parser().read(["train", *spelling])
    assert (options.dataset, options.depth, options.shortcut, options.recipe, options.seed, options.devices) == (
        "cifar10", 20, "none", "paper", 3, 1,
    )  # fmt: skip


def test_booleans_are_read_as_wandb_spells_them() -> None:
    for word, want in (("True", True), ("False", False)):
        assert parser().read(["sweep", "f.yaml", f"--status={word}"]).status is want
    assert parser().read(["sweep", "f.yaml", "--dry-run", "--jobs=2"]).dry_run


def test_no_flag_takes_a_value_in_one_verb_and_none_in_another() -> None:
    """`spell` reads a command line before the verb is known, so it needs one answer for each flag."""
    verbs = next(a for a in parser()._actions if a.dest == "verb").choices
    assert isinstance(verbs, dict)
    actions = [action for verb in verbs.values() for action in verb._actions]
    with_value = {flag for action in actions if action.nargs != 0 for flag in action.option_strings}
    without = switches(parser())
    assert {"--status", "--dry-run", "--estimate", "--recalibrate", "--subset", "--memory", "--help"} <= without
    assert not with_value & without


def test_the_flags_are_frozen() -> None:
    """What depth and data set derive must not become a flag (rule 2)."""
    train = next(a for a in parser()._actions if a.dest == "verb").choices["train"]  # type: ignore[index]
    flags = {flag for action in train._actions for flag in action.option_strings}
    assert flags - {"-h", "--help"} == {
        *("--dataset", "--depth", "--shortcut", "--recipe", "--seed"),
        *("--devices", "--precision", "--step", "--checkpoint-every", "--runs", "--data", "--artifact", "--wandb"),
        *("--changes", "--signals", "--again"),
    }


def test_environment_variables_are_the_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STUDY_DATA", "/d")
    monkeypatch.setenv("STUDY_RUNS", "/r")
    options = parser().read(["train", *CELL])
    assert (options.data, options.runs) == (Path("/d"), Path("/r"))
