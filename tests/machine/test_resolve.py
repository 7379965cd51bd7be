"""What ``auto`` becomes, what a resumed run keeps, and what torch is told; on a machine without a GPU."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from study.data.datasets import DATA_SETS
from study.machine.device import configure_torch, has_native_bf16
from study.machine.options import MachineOptions, Precision
from study.machine.resolve import resolve, resolve_precision
from study.recording.record import Record
from study.spec import InputError, Spec
from study.training.train import train
from tests.support import run

cpu_only = pytest.mark.skipif(torch.cuda.is_available(), reason="looks at a machine without a GPU")
FLAGS = Path("/proc/cpuinfo")
SPEC = Spec("digits", 8, "A", "smoke")


@pytest.mark.skipif(not FLAGS.exists(), reason="asks Linux for the processor's instructions")
def test_bf16_is_native_where_the_processor_lists_such_instructions() -> None:
    words = set(FLAGS.read_text().split())
    assert has_native_bf16() == bool(words & {"avx512_bf16", "amx_bf16", "bf16"})


@cpu_only
def test_auto_is_bf16_only_where_it_is_native_and_pays() -> None:
    chosen = {info.name: resolve_precision("auto", info.pixels) for info in DATA_SETS}
    large = "bf16" if has_native_bf16() else "32"
    assert chosen == {"digits": "32", "cifar10": large, "imagenet": large, "tinyimagenet": large}


@cpu_only
@pytest.mark.parametrize("precision", ["32", "bf16"])
def test_a_requested_precision_is_kept(precision: Precision) -> None:
    assert resolve_precision(precision, 64) == resolve_precision(precision, 1024) == precision


@cpu_only
def test_tf32_needs_a_gpu() -> None:
    with pytest.raises(InputError, match="--precision=tf32 needs a GPU; give --precision=auto"):
        resolve_precision("tf32", 1024)


@pytest.mark.parametrize(("precision", "is_on"), [("32", False), ("tf32", True)])
def test_true_fp32_switches_tf32_off(precision: Precision, is_on: bool) -> None:
    """The switches exist without a GPU; that cuDNN and cuBLAS heed them is not shown here."""
    configure_torch(precision)
    assert torch.backends.cudnn.allow_tf32 is torch.backends.cuda.matmul.allow_tf32 is is_on
    configure_torch("32")


@cpu_only
def test_a_resumed_run_keeps_the_precision_and_the_step_of_its_last_session() -> None:
    first = {"precision": "32", "tf32": False, "step_path": "plain"}
    auto = MachineOptions()
    for before, expected in (
        ({**first, "resumed": []}, "32"),
        ({**first, "precision": "bf16", "resumed": []}, "bf16"),
        ({**first, "resumed": [{**first, "precision": "bf16"}]}, "bf16"),
    ):
        kept = resolve(auto, 1024, True, before)
        assert (kept.precision, kept.step) == (expected, "plain")
    other = MachineOptions(precision="32", changes="accept")
    assert resolve(other, 1024, True, {**first, "precision": "bf16"}).precision == "32"
    with pytest.raises(InputError, match=r"give --precision=bf16, or --changes=accept"):
        resolve(MachineOptions(precision="32"), 1024, True, {**first, "precision": "bf16"})


@cpu_only
def test_a_run_that_began_in_what_this_machine_lacks_says_so(tmp_path: Path) -> None:
    """A record made on a GPU, from when ``32`` meant TF32 there."""
    record = Record(tmp_path, SPEC)
    record.open({"precision": "32", "tf32": True, "step_path": "graph", "recipe": {}, "data_fingerprint": ""})
    record.close()
    with pytest.raises(InputError, match="began with --precision=tf32 --step=graph, which cannot go on here: "):
        train(record, MachineOptions(runs=tmp_path, wandb="disabled"))


@cpu_only
@pytest.mark.process
def test_bench_measures_in_the_precision_that_training_takes() -> None:
    done = run("study", "bench", "--dataset=digits", "--depth=8", "--arms=ours", "--rounds=1", "--steps=1")
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert {line["precision"] for line in lines if "precision" in line} == {"32"}, done.stderr
