"""Whole runs in real processes: to the end, killed at awkward moments, stopped by a signal, over two ranks."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import run, wait_for
from torch.nn import functional as F

from study import network
from study.callbacks import layer_responses
from study.data import Images, load
from study.machine import Machine
from study.module import Cell, Tally
from study.recipes import learning_rate, recipe_for
from study.spec import Spec
from study.store import Record
from study.train import build_trainer, weights_sha256

SPEC = Spec("digits", 8, "A", "paper", 3)
CELL = ("--dataset=digits", "--depth=8", "--shortcut=A", "--seed=3")
TIMED = ("images_per_second", "hours")
Start = Callable[..., subprocess.Popen[str]]


def train(runs: Path, *more: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return run("study", "train", *CELL, f"--runs={runs}", *more, **environment)


def values(record: Record) -> list[dict[str, Any]]:
    """The history without what a clock measured, as its raw lines have it."""
    lines = (record.folder / "metrics.jsonl").read_text().splitlines()
    return [{k: v for k, v in json.loads(line).items() if k not in TIMED} for line in lines]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Record:
    """One run left alone."""
    runs = tmp_path_factory.mktemp("runs")
    done = train(runs)
    assert done.returncode == 0, done.stderr
    return Record(runs, SPEC)


def test_a_run_leaves_its_whole_record(undisturbed: Record) -> None:
    files = {str(path.relative_to(undisturbed.folder)) for path in undisturbed.folder.rglob("*") if path.is_file()}
    assert files == {
        *(".lock", "spec.json", "provenance.json", "metrics.jsonl", "checkpoints/last.ckpt"),
        *("summary.json", "responses.json"),
    }
    assert [r["step"] for r in undisturbed.history()] == list(recipe_for(SPEC).evaluation_steps)
    begun, summary = undisturbed.provenance(), undisturbed.summary()
    assert summary is not None
    assert begun["world_size"] == 1 and begun["precision"] == "32" and len(begun["data_fingerprint"]) == 64
    assert begun["versions"]["torch"] and begun["device"].startswith("CPU") and begun["argv"][0] == "train"
    assert summary["test/seen"] == 360 and summary["step"] == 336 and summary["parameters"] == 75_290 - 288
    assert summary["test/top1_error"] == 100 * summary["test/wrong"] / 360


def test_a_finished_cell_is_done_at_once(undisturbed: Record) -> None:
    before = (undisturbed.folder / "summary.json").stat().st_mtime_ns
    again = train(undisturbed.folder.parent)
    assert again.returncode == 0 and "is done already" in again.stdout
    assert (undisturbed.folder / "summary.json").stat().st_mtime_ns == before


def test_training_equals_a_plain_loop_in_a_dozen_lines(undisturbed: Record) -> None:
    """The whole run again without Lightning, a record or a callback: the same weights to the bit."""
    recipe = recipe_for(SPEC)
    images = Images(load("digits", Path()), recipe, torch.device("cpu"))
    torch.manual_seed(SPEC.seed)
    net = network.build("digits", 8, "A").to(memory_format=torch.channels_last)
    sgd = torch.optim.SGD(net.parameters(), lr=1.0, momentum=0.9, weight_decay=1e-4)
    for step in range(recipe.steps):
        x, y = images.batch(SPEC.seed, step)
        sgd.param_groups[0]["lr"] = learning_rate(recipe, step)
        sgd.zero_grad()
        F.cross_entropy(net(x), y).backward()
        sgd.step()
    summary = undisturbed.summary()
    assert summary is not None and weights_sha256(net) == summary["weights_sha256"]
    with torch.no_grad():
        x, y = images.test_batch(0, 360)
        assert int((net.eval()(x).argmax(1) != y).sum()) == summary["test/wrong"]


def test_a_run_killed_again_and_again_ends_as_one_left_alone(undisturbed: Record, tmp_path: Path, start: Start) -> None:
    """SIGKILL before the first checkpoint, between evaluations, and in the middle of writing a checkpoint."""
    record = Record(tmp_path, SPEC)
    arguments = ("study", "train", *CELL, f"--runs={tmp_path}")

    def kill_when(condition: Callable[[subprocess.Popen[str]], bool]) -> None:
        process = start(*arguments)
        wait_for(lambda: condition(process) or process.poll() is not None, pause=0)
        assert process.poll() is None, process.communicate()[0]
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()

    torn = record.checkpoint.with_suffix(".tmp")

    def in_mid_write(process: subprocess.Popen[str]) -> bool:
        """Stop the process where it stands, and see whether it stands in the middle of a checkpoint."""
        if not torn.exists():
            return False
        os.killpg(process.pid, signal.SIGSTOP)
        time.sleep(0.02)
        if not torn.exists():
            os.killpg(process.pid, signal.SIGCONT)
        return torn.exists()

    kill_when(lambda _: (record.folder / "provenance.json").exists())
    assert not record.checkpoint.exists()
    kill_when(lambda _: len(record.history()) >= 9)
    kill_when(in_mid_write)
    assert torn.exists(), "the kill came while a checkpoint was being written"
    kill_when(lambda _: len(record.history()) >= 40)
    done = train(tmp_path)
    assert done.returncode == 0, done.stderr
    assert_equal_records(record, undisturbed)
    assert len(record.provenance()["resumed"]) == 4


def assert_equal_records(one: Record, other: Record) -> None:
    assert values(one) == values(other)
    summaries = [record.summary() for record in (one, other)]
    assert summaries[0] and summaries[1] and summaries[0]["weights_sha256"] == summaries[1]["weights_sha256"]
    assert one.responses() == other.responses()


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGUSR1, signal.SIGINT])
def test_a_signal_ends_the_step_and_leaves_a_checkpoint(
    undisturbed: Record, tmp_path: Path, start: Start, signum: signal.Signals
) -> None:
    record = Record(tmp_path, SPEC)
    process = start("study", "train", *CELL, f"--runs={tmp_path}")
    wait_for(lambda: len(record.history()) >= 5 or process.poll() is not None)
    process.send_signal(signum)
    output = process.communicate(timeout=60)[0]
    assert process.returncode == 128 + signum, output
    assert "the same command goes on from step" in output
    assert record.state() == "interrupted"
    assert train(tmp_path).returncode == 0
    assert_equal_records(record, undisturbed)


@pytest.fixture(scope="module")
def two_ranks(tmp_path_factory: pytest.TempPathFactory) -> Record:
    """The same cell over two real DDP processes, with no W&B account and a stray SLURM variable or two."""
    runs, slurm = tmp_path_factory.mktemp("runs"), {"SLURM_NTASKS": "4", "SLURM_JOB_NAME": "x", "SLURM_JOB_ID": "1"}
    done = train(runs, "--devices=2", WANDB_MODE="", WANDB_API_KEY="", NETRC="/nowhere", **slurm)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count(SPEC.name) == 1, "one rank speaks"
    return Record(runs, SPEC)


def test_two_ranks_train_the_same_batches_and_count_each_test_image_once(
    undisturbed: Record, two_ranks: Record
) -> None:
    one, two = undisturbed, two_ranks
    assert [r["step"] for r in two.history()] == [r["step"] for r in one.history()]
    for key in ("samples", "train/seen", "test/seen", "lr"):
        assert [r[key] for r in two.history()] == [r[key] for r in one.history()]
    begun = two.provenance()
    assert (begun["world_size"], begun["per_device_batch"]) == (2, 32)
    # Batch norm sees 32 images instead of 64, so the nets differ; the first stretch, on equal batches, hardly does.
    assert two.history()[0]["train/loss"] == pytest.approx(one.history()[0]["train/loss"], rel=0.15)


def test_without_an_account_one_offline_run_is_left_by_rank_0(two_ranks: Record) -> None:
    (run_file,) = two_ranks.folder.glob("wandb/offline-run-*/run-*.wandb")
    leet = [Path(sys.executable).parent / "wandb", "leet", "inspect", "--json", run_file]
    lines = subprocess.run(leet, capture_output=True, text=True, check=True).stdout.splitlines()
    rows = [record["history"]["item"] for record in map(json.loads, lines) if record["type"] == "history"]
    assert [row["step"] for row in rows] == [row["step"] for row in two_ranks.history()]
    assert [row["test/loss"] for row in rows] == [row["test/loss"] for row in two_ranks.history()]


def test_two_ranks_resume_exactly(two_ranks: Record, tmp_path: Path, start: Start) -> None:
    record = Record(tmp_path, SPEC)
    process = start("study", "train", *CELL, f"--runs={tmp_path}", "--devices=2")
    wait_for(lambda: len(record.history()) >= 20 or process.poll() is not None)
    process.send_signal(signal.SIGTERM)
    assert process.communicate(timeout=60) and process.returncode == 143
    assert train(tmp_path, "--devices=2").returncode == 0
    assert_equal_records(record, two_ranks)


def test_a_killed_parent_takes_its_ranks_with_it(tmp_path: Path, start: Start) -> None:
    record = Record(tmp_path, SPEC)
    process = start("study", "train", *CELL, f"--runs={tmp_path}", "--devices=2")
    wait_for(lambda: len(record.history()) >= 2 or process.poll() is not None)
    ranks = subprocess.run(["pgrep", "-f", f"runs={tmp_path}"], capture_output=True, text=True).stdout.split()
    assert str(process.pid) in ranks and len(ranks) == 2
    process.kill()
    wait_for(lambda: not subprocess.run(["pgrep", "-f", f"runs={tmp_path}"], capture_output=True).stdout, seconds=10)


def test_cifar10_is_trained_on_and_tested_whole(cifar10: Path, tmp_path: Path) -> None:
    """One real cell by its real command, but for its depth."""
    arguments = ("--dataset=cifar10", "--depth=8", "--shortcut=A", "--recipe=smoke", "--seed=0", "--precision=bf16")
    done = run("study", "train", *arguments, f"--runs={tmp_path}", f"--data={cifar10}")
    assert done.returncode == 0, done.stderr
    summary = Record(tmp_path, Spec("cifar10", 8, "A", "smoke", 0)).summary()
    assert summary is not None and summary["test/seen"] == 10_000 and summary["train/seen"] == 50 * 128
    assert summary["test/top1_error"] < 70, "200 steps already beat chance clearly"


def fit(cell: Cell, runs: Path) -> Record:
    """Train a module that a test has altered, by the real Trainer."""
    record = Record(runs, cell.spec)
    record.open({"recipe": {}, "data_fingerprint": ""})
    build_trainer(record, Machine(precision="bf16"), None).fit(cell)
    return record


def test_a_warm_up_ends_on_the_running_error_and_is_resumed(cifar10: Path, tmp_path: Path) -> None:
    """110 layers' rule on a net of 8, small enough to run here."""
    cell = Cell(Spec("cifar10", 8, "A", "smoke"), load("cifar10", cifar10))
    cell.recipe, cell.warm_until = replace(cell.recipe, warmup_error=80.0, evaluations=1), None
    record = fit(cell, tmp_path)
    assert cell.warm_until is not None and 50 <= cell.warm_until < 200 and cell.warm_until % 50 == 0
    other = Cell(cell.spec, cell.arrays)
    other.on_load_checkpoint(torch.load(record.checkpoint, weights_only=True))
    assert (other.step, other.warm_until) == (200, cell.warm_until)


@pytest.mark.slow
def test_1202_layers_take_three_steps_on_the_official_images(cifar10: Path, tmp_path: Path) -> None:
    arrays = load("cifar10", cifar10)
    few = replace(arrays, test_images=arrays.test_images[:100], test_labels=arrays.test_labels[:100])
    cell = Cell(Spec("cifar10", 1202, "A"), few)
    before = weights_sha256(cell.net)
    cell.recipe = replace(cell.recipe, steps=3, drops=(), evaluations=1)
    (row,) = fit(cell, tmp_path).history()
    assert (row["step"], row["train/seen"], row["test/seen"], row["lr"]) == (3, 3 * 128, 100, 0.01)
    assert np.isfinite(row["train/loss"]) and weights_sha256(cell.net) != before


def test_errors_are_counted_as_by_hand() -> None:
    rng = np.random.default_rng(0)
    scores, labels = torch.from_numpy(rng.normal(size=(7, 30, 10))), torch.from_numpy(rng.integers(0, 10, (7, 30)))
    tally = Tally(torch.device("cpu"))
    for s, y in zip(scores, labels, strict=True):
        tally.add(s, y, F.cross_entropy(s, y))
    wrong = sum(
        max(range(10), key=lambda c, s=s: s[c]) != y
        for s, y in zip(scores.flatten(0, 1).tolist(), labels.flatten().tolist(), strict=True)
    )
    errors = tally.take(lambda value: value)
    assert (errors.wrong, errors.seen, errors.percent) == (wrong, 210, 100 * wrong / 210)
    assert errors.loss == pytest.approx(float(F.cross_entropy(scores.flatten(0, 1), labels.flatten())))
    assert tally.take(lambda value: value).seen == 0


def test_responses_have_their_closed_form() -> None:
    """With batch statistics a batch norm's output has variance mean(gamma^2) + var(beta) over all it holds."""
    net = network.build("cifar10", 20, "A").train()
    for m in net.modules():
        if isinstance(m, torch.nn.BatchNorm2d):
            torch.nn.init.normal_(m.weight, 1.0, 0.3)
            torch.nn.init.normal_(m.bias, 0.0, 0.5)
    stds = layer_responses(net, torch.randn(64, 3, 32, 32))
    assert len(stds) == 19 and next(iter(stds)) == "stem.bn"
    norms = dict(net.named_modules())
    for name, std in stds.items():
        gamma, beta = norms[name].weight.detach().double(), norms[name].bias.detach().double()
        assert std == pytest.approx(float((gamma.square().mean() + beta.var(correction=0)).sqrt()), rel=2e-4)
