from __future__ import annotations

from pathlib import Path

import pytest

from study.commands.cli import parser
from study.commands.flags import read_options
from study.machine.options import OPTIONS, MachineOptions
from study.spec import InputError

CELL = ["train", "--dataset=digits", "--depth=8", "--shortcut=A"]
OTHER = MachineOptions(3, "bf16", "plain", 2, Path("/r"), Path("/d"), True, "off", "offline", "accept", True)


def test_options_survive_being_written_as_flags() -> None:
    """What `study sweep` passes on is read back as it was."""
    assert read_options(parser().read([*CELL, *OTHER.flags()])) == OTHER
    assert read_options(parser().read(CELL)) == MachineOptions()


def test_options_survive_being_written_as_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    """What `study launch` passes on is read back as it was, but for W&B's mode, which an agent decides."""
    for name, value in OTHER.variables().items():
        monkeypatch.setenv(name, value)
    assert read_options(parser().read([*CELL, "--wandb=offline", "--changes=accept"])) == OTHER


def test_the_variables_are_frozen() -> None:
    """Machines are set up with these names; a variable for W&B would bind every agent that `study launch` starts."""
    assert [option.variable for option in OPTIONS.values()] == [
        "STUDY_DEVICES",
        "STUDY_PRECISION",
        "STUDY_STEP",
        "STUDY_CHECKPOINT_EVERY",
        "STUDY_RUNS",
        "STUDY_DATA",
        "STUDY_SIGNALS",
        "STUDY_ARTIFACT",
        None,
        "STUDY_CHANGES",
        "STUDY_AGAIN",
    ]


def test_every_option_is_known_to_every_verb_that_trains() -> None:
    for verb in (CELL, ["sweep", "f.yaml"]):
        assert set(OPTIONS) <= set(vars(parser().read(verb)))
    launched = set(vars(parser().read(["launch", "f.yaml", "--gpus=cpu"])))
    assert set(OPTIONS) - launched == {"devices", "wandb"}, "which the slices and the agents decide"


def test_a_value_that_an_option_cannot_have_is_refused_from_python_too() -> None:
    with pytest.raises(InputError, match="precision '16' is unknown"):
        MachineOptions(precision="16")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="--checkpoint-every=-1"):
        MachineOptions(checkpoint_every=-1)


def test_a_variable_with_a_wrong_value_is_refused_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STUDY_DEVICES", "two")
    with pytest.raises(InputError, match="argument --devices: invalid int value: 'two'"):
        parser().read(CELL)
