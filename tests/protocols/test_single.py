"""The single view of networks that are not trained on ImageNet, by running and by true averages."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch

from study.data.digits import load_digits
from study.protocols.evaluate import evaluate
from study.recipes import recipe_for
from study.recording.record import Record
from study.spec import InputError
from study.weights.checkpoint import load_checkpoint
from tests.support import SPEC


@pytest.fixture
def tested(undisturbed: Record, tmp_path: Path) -> Record:
    """A copy of a whole run, to which results are added."""
    shutil.copytree(undisturbed.folder, tmp_path / SPEC.name)
    return Record.at(tmp_path / SPEC.name)


def errors_by_hand(record: Record, batches: int) -> int:
    """Errors on the test images, one at a time, after true averages over the run's first batches."""
    net, _ = load_checkpoint(record.spec, record.checkpoint)
    images = load_digits().on(torch.device("cpu"), recipe_for(SPEC))
    norms = [module for module in net.modules() if isinstance(module, torch.nn.BatchNorm2d)]
    sums = [[torch.zeros_like(norm.running_mean), torch.zeros_like(norm.running_var)] for norm in norms]  # type: ignore[arg-type]
    for norm in norms:
        norm.momentum = 1.0  # each batch leaves its own statistics
    with torch.no_grad():
        for step in range(batches):
            net.train()(images.batch(SPEC.seed, step)[0])
            for norm, total in zip(norms, sums, strict=True):
                total[0] += norm.running_mean / batches
                total[1] += norm.running_var / batches
        if batches:
            for norm, (mean, variance) in zip(norms, sums, strict=True):
                norm.running_mean, norm.running_var = mean, variance
        net.eval()
        pairs = [images.test_batch(i, i + 1) for i in range(images.test_size)]
        return sum(int(net(one).argmax()) != int(label) for one, label in pairs)


def test_a_run_is_tested_by_running_and_by_true_averages(tested: Record, capsys: pytest.CaptureFixture[str]) -> None:
    """Both numbers stay in the record beside what training left there; 22 batches of 64 are one pass over 1,437."""
    before = tested.summary()
    assert before is not None
    assert evaluate([tested.folder], None, Path("nowhere"), recalibrate=False) == 0
    assert evaluate([tested.folder], "single", Path("nowhere"), recalibrate=True) == 0
    after = tested.summary()
    assert after is not None and {key: after[key] for key in before} == before, "nothing is lost"
    assert (after["single/top1_wrong"], after["single/seen"]) == (before["test/wrong"], 360)
    assert after["single/top1_wrong"] == errors_by_hand(tested, batches=0)
    assert after["single-recalibrated/top1_wrong"] == errors_by_hand(tested, batches=22)
    assert after["single-recalibrated/top1_error"] == after["single-recalibrated/top1_wrong"] / 3.6
    assert after["single-recalibrated/top5_wrong"] <= after["single-recalibrated/top1_wrong"]
    assert f"{SPEC.name}: single-recalibrated top-1" in capsys.readouterr().out


def test_protocols_of_imagenet_are_refused_elsewhere(tested: Record, tmp_path: Path) -> None:
    for protocol in ("10crop", "ensemble"):
        with pytest.raises(InputError, match=f"digits is tested by --protocol=single only, not by {protocol}"):
            evaluate([tested.folder, tested.folder], protocol, tmp_path, recalibrate=False)
    weights = tmp_path / "resnet18.pth"
    weights.touch()
    with pytest.raises(InputError, match="runs on digits and imagenet cannot be tested together"):
        evaluate([tested.folder, weights], None, tmp_path, recalibrate=False)
