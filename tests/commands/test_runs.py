"""`study runs` and `study show`: what they print of records, and what they refuse."""

from __future__ import annotations

from pathlib import Path

import pytest

from study.commands import cli
from study.recording.record import Record
from study.spec import Spec
from tests.records import write_run
from tests.support import refusal, run

PLAIN, RESIDUAL, BROKEN = Spec("digits", 20, "none"), Spec("digits", 20, "A", seed=1), Spec("digits", 8, "A", "smoke")


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    """A finished run that was tested by a protocol, an interrupted one with an address in W&B, a damaged one."""
    write_run(tmp_path, PLAIN, test=4.25).add({"single/top1_error": 4.5, "single/wrong": 45, "single/seen": 1000})
    write_run(tmp_path, RESIDUAL, points=3).note(
        url="https://wandb.ai/lab/resnet-study/runs/1a2b", started="2026-11-30T10:49:10"
    )
    (write_run(tmp_path, BROKEN).folder / "provenance.json").write_text("no provenance")
    return tmp_path


def test_runs_are_listed_and_counted(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["runs", str(runs)]) == 0
    said = capsys.readouterr().out
    assert sorted(said.strip().splitlines()[-1].strip().split(", ")) == ["1 finished", "1 interrupted", "1 unreadable"]
    (plain,) = (line.split() for line in said.splitlines() if PLAIN.name in line)
    assert plain[1:5] == ["finished", "336", "0.94", "4.25"]
    (residual,) = (line for line in said.splitlines() if RESIDUAL.name in line)
    assert "2026-11-30 10:49" in residual and "lab/resnet-study/runs/1a2b" in residual
    assert "provenance.json" in said


@pytest.mark.parametrize(
    ("flags", "names"),
    [
        (["--state=finished"], [PLAIN]),
        (["--dataset=digits"], [PLAIN, RESIDUAL]),
        (["--recipe=mini", "--state=interrupted"], [RESIDUAL]),
        (["--dataset=imagenet"], []),
    ],
)
def test_filters_choose_runs(
    flags: list[str], names: list[Spec], runs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.run(["runs", str(runs), *flags]) == 0
    said = capsys.readouterr().out
    assert [spec for spec in (PLAIN, RESIDUAL, BROKEN) if spec.name in said] == names
    assert said.strip().startswith(f"{len(names)} runs in")


def test_what_cannot_be_listed_or_shown_is_refused(runs: Path) -> None:
    assert "does not exist" in refusal(cli.run, "runs", str(runs / "nowhere"))
    assert "state 'done' is unknown; choose one of: finished" in refusal(cli.run, "runs", str(runs), "--state=done")
    assert "there is no run digits-8-C" in refusal(cli.run, "show", "digits-8-C", f"--runs={runs}")
    assert "provenance.json" in refusal(cli.run, "show", BROKEN.name, f"--runs={runs}")


def test_a_run_is_shown_with_its_curve(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in (str(runs / PLAIN.name), PLAIN.name):
        assert cli.run(["show", name, f"--runs={runs}"]) == 0
        said = capsys.readouterr().out
        words = " ".join(said.split())
        for part in ("network plain-20", "depth 20", "test 4.25 %", "single 4.50 % (45 of 1000 wrong)", "c" * 40):
            assert part in words, part
        assert "top-1 error in percent" in said and "• train" in said and "\x1b" not in said


def test_what_a_record_says_is_printed_and_not_obeyed(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Record(runs, PLAIN).note(device="[/red]\x1b[2Jcleared", url="https://wandb.ai/[bold]/\x1b[1m")
    assert cli.run(["show", PLAIN.name, f"--runs={runs}"]) == 0 and cli.run(["runs", str(runs)]) == 0
    said = capsys.readouterr().out
    assert "\x1b" not in said and "[/red]\N{REPLACEMENT CHARACTER}[2Jcleared" in said and "[bold]" in said


def test_an_interrupted_run_is_shown_as_far_as_it_went(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["show", RESIDUAL.name, f"--runs={runs}"]) == 0
    words = " ".join(capsys.readouterr().out.split())
    assert "state interrupted" in words and "step 16: train" in words and "test protocols" not in words


@pytest.mark.process
@pytest.mark.parametrize(
    ("program", "verbs"), [("study", ("train", "sweep", "runs")), ("reports", ("gather", "build"))]
)
def test_without_a_verb_the_verbs_are_listed(program: str, verbs: tuple[str, ...]) -> None:
    done = run(program)
    assert done.returncode == 2 and not done.stdout
    lines = {words[0]: words[1:] for line in done.stderr.splitlines() if (words := line.split(maxsplit=1))}
    assert all(len(lines[verb]) == 1 for verb in verbs), done.stderr
