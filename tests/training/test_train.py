"""Whole runs in real processes, to their end: one rank, two ranks, the official images, 1202 layers."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from study import network
from study.data.digits import load_digits
from study.data.images import Arrays, Images
from study.machine.device import has_native_bf16
from study.machine.options import MachineOptions, Precision
from study.probes.responses import layer_responses
from study.recipes import recipe_for
from study.recording.record import Record
from study.spec import Spec
from study.training.module import TrainingModule
from study.training.schedule import Schedule
from study.training.train import build_trainer
from study.weights.digest import weights_sha256
from tests.plain_loop import differing, plain_loop
from tests.support import CELL, SPEC, Start, run, train


def test_a_run_leaves_its_whole_record(undisturbed: Record) -> None:
    files = {str(path.relative_to(undisturbed.folder)) for path in undisturbed.folder.rglob("*") if path.is_file()}
    assert files == {
        *(
            ".lock",
            "spec.json",
            "provenance.json",
            "metrics.jsonl",
            "checkpoints/last.ckpt",
            "checkpoints/digests.json",
        ),
        *("summary.json", "responses.json", "confusion.json"),
    }
    assert [r["step"] for r in undisturbed.history()] == list(recipe_for(SPEC).evaluation_steps)
    begun, summary = undisturbed.provenance(), undisturbed.summary()
    assert summary is not None
    assert begun["world_size"] == 1 and begun["precision"] == "32" and len(begun["data_fingerprint"]) == 64
    assert begun["versions"]["torch"] and begun["device"].startswith("CPU") and begun["argv"][0] == "train"
    assert summary["test/seen"] == 360 and summary["step"] == 40 and summary["parameters"] == 75_290 - 288
    assert summary["test/top1_error"] == 100 * summary["test/wrong"] / 360


def test_the_confusion_matrix_has_each_test_image_once(undisturbed: Record, two_ranks: Record) -> None:
    for record in (undisturbed, two_ranks):
        confusion, summary = record.measurement("confusion"), record.summary()
        assert confusion is not None and summary is not None and confusion["classes"] == list("0123456789")
        counts = torch.tensor(confusion["counts"])
        assert counts.sum(1).tolist() == np.bincount(load_digits().test_labels).tolist()
        assert counts.sum() - counts.trace() == summary["test/wrong"]


def test_a_finished_cell_is_done_at_once(undisturbed: Record) -> None:
    before = (undisturbed.folder / "summary.json").stat().st_mtime_ns
    again = train(undisturbed.folder.parent)
    assert again.returncode == 0 and "is finished already" in again.stdout
    assert (undisturbed.folder / "summary.json").stat().st_mtime_ns == before


def test_training_equals_a_plain_loop_in_a_dozen_lines(undisturbed: Record) -> None:
    """The whole run again: the same weights to the bit, and as many test images wrong."""
    recipe, arrays = recipe_for(SPEC), load_digits()
    net = plain_loop(SPEC, arrays, recipe.steps)
    summary = undisturbed.summary()
    assert summary is not None and weights_sha256(net) == summary["weights_sha256"]
    with torch.no_grad():
        x, y = Images(arrays, recipe, torch.device("cpu")).test_batch(0, 360)
        assert int((net.eval()(x).argmax(1) != y).sum()) == summary["test/wrong"]


@pytest.mark.slow
@pytest.mark.process
def test_cifar10_is_trained_as_by_a_plain_loop(cifar10: Path) -> None:
    """By the paper's protocol at an eighth of its length; `python -m tests.plain_loop 1000` goes further."""
    assert not differing(Spec("cifar10", 20, "A", "eighth", 0), cifar10, 60)


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


@pytest.mark.slow
def test_two_nodes_under_torchrun_are_the_two_ranks_of_one_run(two_ranks: Record, tmp_path: Path, start: Start) -> None:
    """A process on each of two nodes, as SLURM starts them: one record, and the weights of two ranks on one node."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    nodes = [
        start("torch.distributed.run", "--nnodes=2", "--nproc-per-node=1", f"--node-rank={node}",
              "--master-addr=127.0.0.1", f"--master-port={port}", "-m", "study", "train", *CELL, f"--runs={tmp_path}")
        for node in range(2)
    ]  # fmt: skip
    for node in nodes:
        output = node.communicate(timeout=200)[0]
        assert node.returncode == 0, output
    record = Record(tmp_path, SPEC)
    begun = record.provenance()
    assert (begun["world_size"], begun["per_device_batch"]) == (2, 32)
    assert (record.summary() or {})["weights_sha256"] == (two_ranks.summary() or {})["weights_sha256"]


@pytest.mark.process
def test_without_an_account_one_offline_run_is_left_by_rank_0(two_ranks: Record) -> None:
    (run_file,) = two_ranks.folder.parent.glob("wandb/offline-run-*/run-*.wandb")
    leet = [Path(sys.executable).parent / "wandb", "leet", "inspect", "--json", run_file]
    lines = subprocess.run(leet, capture_output=True, text=True, check=True).stdout.splitlines()
    rows = [record["history"]["item"] for record in map(json.loads, lines) if record["type"] == "history"]
    rows = [row for row in rows if "test/wrong" in row]  # one more row holds the final figures
    assert [row["step"] for row in rows] == [row["step"] for row in two_ranks.history()]
    assert [row["test/loss"] for row in rows] == [row["test/loss"] for row in two_ranks.history()]


@pytest.mark.process
def test_cifar10_is_trained_on_and_tested_whole(cifar10: Path, tmp_path: Path) -> None:
    """One real cell by its real command, but for its depth."""
    arguments = ("--dataset=cifar10", "--depth=8", "--shortcut=A", "--recipe=smoke", "--seed=0")
    done = run("study", "train", *arguments, f"--runs={tmp_path}", f"--data={cifar10}")
    assert done.returncode == 0, done.stderr
    summary = Record(tmp_path, Spec("cifar10", 8, "A", "smoke", 0)).summary()
    assert summary is not None and summary["test/seen"] == 10_000 and summary["train/seen"] == 50 * 128
    assert summary["test/top1_error"] < 70, "200 steps already beat chance clearly"


def fit(module: TrainingModule, runs: Path) -> Record:
    """Train a module that a test has altered, by the real Trainer."""
    record = Record(runs, module.spec)
    record.open({"recipe": {}, "data_fingerprint": ""})
    precision: Precision = "bf16" if has_native_bf16() else "32"  # whichever is faster here
    build_trainer(record, MachineOptions(precision=precision), None).fit(module)
    return record


def test_a_warm_up_ends_on_the_running_error_and_is_resumed(arrays: Arrays, tmp_path: Path) -> None:
    """110 layers' rule on a net of 8, small enough to run here."""
    few = replace(arrays, test_images=arrays.test_images[:100], test_labels=arrays.test_labels[:100])
    module = TrainingModule(Spec("cifar10", 8, "A", "smoke"), few)
    module.schedule = Schedule(replace(module.recipe, warmup_error=80.0, steps=110, drops=(), evaluations=1))
    record = fit(module, tmp_path)
    until = module.schedule.warm_until
    assert until is not None and until in (50, 100)
    other = TrainingModule(module.spec, module.dataset)
    other.on_load_checkpoint(torch.load(record.checkpoint, weights_only=True))
    assert (other.step, other.schedule.warm_until) == (110, until)


def test_a_warm_up_that_does_not_end_ends_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """At its next evaluation; nothing is left to do for a module that resumes from there."""
    monkeypatch.setattr("study.training.schedule.WARMUP_LIMIT", 12)
    module = TrainingModule(SPEC, load_digits())
    module.schedule = Schedule(replace(module.recipe, warmup_error=0.0))
    record = fit(module, tmp_path)
    assert [row["step"] for row in record.history()] == [5, 10, 15] and module.is_complete
    other = TrainingModule(SPEC, load_digits())
    other.schedule = Schedule(module.recipe)
    other.on_load_checkpoint(torch.load(record.checkpoint, weights_only=True))
    assert other.is_complete and not len(other.train_dataloader()) and other.schedule.warm_until is None


@pytest.mark.slow
def test_1202_layers_take_three_steps(arrays: Arrays, tmp_path: Path) -> None:
    few = replace(arrays, test_images=arrays.test_images[:100], test_labels=arrays.test_labels[:100])
    module = TrainingModule(Spec("cifar10", 1202, "A"), few)
    before = weights_sha256(module.net)
    module.schedule = Schedule(replace(module.recipe, batch=16, steps=3, drops=(), evaluations=1))
    (row,) = fit(module, tmp_path).history()
    assert (row["step"], row["train/seen"], row["test/seen"], row["lr"]) == (3, 3 * 16, 100, 0.01)
    assert np.isfinite(row["train/loss"]) and weights_sha256(module.net) != before


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
