"""``--signals``: every layer along the training, which changes no weight and survives kills."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from study.data.digits import load_digits
from study.probes.along import describe, spread
from study.probes.layers import main_layers, norms, watch
from study.recipes import recipe_for
from study.recording import along
from study.recording.along import FILE, SignalFile, read_signals
from study.recording.files import Unreadable
from study.recording.record import Record
from study.recording.signal_maps import maps
from study.training.optimizer import sgd
from study.training.schedule import Schedule
from study.weights.checkpoint import load_checkpoint
from tests.support import SPEC, run, train
from tests.training.test_resume import assert_equal_records

LINE = {"lr": 0.1, "layers": ["a", "b"], "weight": [1, 2.0], "gradient": [0.5, 2], "signal": [1, 1], "off": [0.5, 0.25]}


@pytest.mark.process
def test_signals_change_no_weight_and_are_those_of_the_network(undisturbed: Record, tmp_path: Path) -> None:
    assert train(tmp_path, "--signals").returncode == 0
    record = Record(tmp_path, SPEC)
    assert_equal_records(record, undisturbed)
    lines = read_signals(record.folder)
    assert [line["step"] for line in lines] == [row["step"] for row in record.history()]
    net, _ = load_checkpoint(SPEC, record.checkpoint)
    last = lines[-1]
    assert last["layers"] == list(main_layers(net)) and last["lr"] == record.history()[-1]["lr"]
    weights = [float(layer.weight.detach().norm()) for layer in main_layers(net).values()]
    assert last["weight"] == pytest.approx(weights, rel=1e-3)
    images = load_digits().on(torch.device("cpu"), recipe_for(SPEC))
    with torch.no_grad(), watch(net.eval()) as signals:
        net(images.test_batch(0, images.test_size)[0])
    for name, numbers in signals.measured().items():
        assert last[name] == pytest.approx(numbers, rel=1e-2), name


@pytest.mark.process
def test_gradients_are_those_of_the_last_batch(undisturbed: Record, tmp_path: Path) -> None:
    """From the weights before the last step, by hand."""
    stopped = run("tests.signalled", "SIGTERM", "call:batch:36", *_cell(tmp_path))
    record, recipe = Record(tmp_path, SPEC), recipe_for(SPEC)
    assert stopped.returncode == 143, stopped.stderr
    net, step = load_checkpoint(SPEC, record.checkpoint)
    optimizer = sgd(net, recipe, decays_norms=True)
    optimizer.load_state_dict(torch.load(record.checkpoint, weights_only=True)["optimizer_states"][0])
    images = load_digits().on(torch.device("cpu"), recipe)
    assert 35 <= step < recipe.steps
    for number in range(step, recipe.steps):
        optimizer.param_groups[0]["lr"] = Schedule(recipe).rate(number)
        optimizer.zero_grad()
        batch, labels = images.batch(SPEC.seed, number)
        torch.autograd.backward(torch.nn.functional.cross_entropy(net.train()(batch), labels))
        optimizer.step()
    assert run(*_cell(tmp_path)).returncode == 0
    found = norms(net)
    assert found and read_signals(record.folder)[-1]["gradient"] == pytest.approx(found["gradient"], rel=2e-3)


def _cell(runs: Path) -> tuple[str, ...]:
    return ("study", "train", *SPEC.flags, "--signals", "--wandb=disabled", f"--runs={runs}")


@pytest.mark.process
def test_a_killed_run_has_each_line_once(tmp_path: Path) -> None:
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    assert run(*_cell(whole)).returncode == 0
    for moment in ("open:signals.jsonl:3", "rename:last.tmp:2"):
        assert run("tests.signalled", "SIGKILL", moment, *_cell(killed)).returncode == -9
    assert run(*_cell(killed)).returncode == 0
    first, second = (Record(runs, SPEC).folder / FILE for runs in (whole, killed))
    assert first.read_bytes() == second.read_bytes()
    assert run(*_cell(tmp_path / "two"), "--devices=2").returncode == 0
    two = read_signals(Record(tmp_path / "two", SPEC).folder)
    assert two[0]["gradient"] != pytest.approx([0] * 7) and len(two) == 8, "one rank writes"


def test_a_torn_line_is_cut_off_and_no_step_comes_twice(tmp_path: Path) -> None:
    SignalFile(tmp_path).append({"step": 5, **LINE})
    with (tmp_path / FILE).open("a") as file:
        file.write('{"step": 10, "lr"')
    again = SignalFile(tmp_path)
    for step in (5, 10):
        again.append({"step": step, **LINE, "weight": [1.23456, 2]})
    assert [line["step"] for line in read_signals(tmp_path)] == [5, 10]
    assert read_signals(tmp_path)[1]["weight"] == [1.235, 2]


@pytest.mark.parametrize("change", [{"weight": [1]}, {"off": ["x", 1]}, {"step": -1}, {"layers": []}, {"lr": None}])
def test_a_line_that_is_none_is_refused(tmp_path: Path, change: dict[str, object]) -> None:
    (tmp_path / FILE).write_text(json.dumps({"step": 5, **LINE} | change) + "\n")
    with pytest.raises(Unreadable, match=r"signals.jsonl, line 1"):
        along.read_signals(tmp_path)


def test_gradients_far_apart_are_said() -> None:
    assert spread([1.0, None]) == spread([0.0, 1.0]) == float("inf")
    lines = [{"step": step, **LINE, "gradient": [1.0, top]} for step, top in ((5, 2e3), (10, 4e3), (15, 2.0))]
    assert describe(lines) == (
        "gradients of the layers differ 2,000-fold at step 5, 2-fold at step 15; more than 1,000-fold at 2 of 3 "
        "evaluations, up to step 10"
    )
    assert describe(lines[2:]).endswith("at most 2, at step 15")
    found = maps(lines)
    assert found["gradient"].shape == (2, 3) and found["gradient"][1, 0] == pytest.approx(3.30103)
    assert found["update"][1, 2] == pytest.approx(-1), "rate 0.1, gradient 2, weight 2"


@pytest.mark.process
def test_the_verb_draws_runs_side_by_side(undisturbed: Record, tmp_path: Path) -> None:
    assert run(*_cell(tmp_path)).returncode == 0
    folder, out = str(Record(tmp_path, SPEC).folder), tmp_path / "signals.svg"
    done = run("study", "signals", folder, f"--out={out}")
    assert done.returncode == 0 and "gradients of the layers differ" in done.stdout, done.stderr
    text = out.read_text()
    assert text.count("share of ReLUs that are off") == 1 and "<image" in text
    for arguments, says in (
        ((str(undisturbed.folder), f"--out={out}"), "has no signals.jsonl; train it with"),
        ((folder, "--out=signals.txt"), "is not a name of a figure"),
        ((folder, "--out=/nowhere/signals.svg"), "cannot be written"),
    ):
        done = run("study", "signals", *arguments)
        assert done.returncode == 2 and says in done.stderr and done.stderr.count("\n") == 1, done.stderr
