"""Images in memory: the single view of the whole image, by running and by true averages, and ten crops of it."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from study.data.digits import load_digits
from study.data.images import Arrays
from study.network import build
from study.protocols.evaluate import evaluate
from study.protocols.in_memory import evaluate_in_memory
from study.recipes import RECIPES, recipe_for
from study.recording.record import Record
from study.spec import InputError
from study.weights.checkpoint import load_checkpoint
from tests.support import SPEC

TINY = RECIPES["tinyimagenet"]["smoke"]


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


def wrong_of_ten(net: torch.nn.Module, arrays: Arrays, best_of: int) -> int:
    """Count the errors by ten crops of 56x56 pixels, image by image and crop by crop."""
    mean, wrong = arrays.train_images.mean(0, dtype=np.float64).astype(np.float32), 0
    for image, label in zip(arrays.test_images, arrays.test_labels, strict=True):
        pixels = (image.astype(np.float32) - mean) / 255
        total = torch.zeros(200)
        for top, left in ((0, 0), (0, 8), (8, 0), (8, 8), (4, 4)):
            for direction in (1, -1):
                crop = np.ascontiguousarray(pixels[top : top + 56, left : left + 56][:, ::direction])
                total += net(torch.from_numpy(crop).permute(2, 0, 1)[None]).softmax(1)[0]
        wrong += int(label) not in total.argsort(descending=True)[:best_of].tolist()
    return wrong


@torch.inference_mode()
def test_ten_crops_and_one_are_what_they_are_image_by_image() -> None:
    """On random images and a network that no training has touched, whose answers differ from crop to crop."""
    rng = np.random.default_rng(0)
    train, test = (rng.integers(0, 256, (n, 64, 64, 3), dtype=np.uint8) for n in (8, 30))
    labels = rng.integers(0, 200, 30)
    names = tuple(map(str, range(200)))
    torch.manual_seed(0)
    net = build("tinyimagenet", 18, "A")
    net.train()(torch.randn(16, 3, 64, 64))  # batch norm's averages
    net.eval()
    first = Arrays(train, np.arange(8), test, labels, 255, names, evaluation_batch=7)
    guessed = net(first.on(torch.device("cpu"), TINY).test_batch(0, 30)[0]).argmax(1).numpy()
    arrays = replace(first, test_labels=np.where(np.arange(30) % 2, guessed, labels))  # half of them are right
    batches = arrays.on(torch.device("cpu"), TINY)
    ten = evaluate_in_memory(net, arrays, batches, "10crop")
    assert (ten.top1_wrong, ten.top5_wrong) == (wrong_of_ten(net, arrays, 1), wrong_of_ten(net, arrays, 5))
    assert 0 < ten.top5_wrong < ten.top1_wrong < 30 and ten.seen == 30
    one = evaluate_in_memory(net, arrays, batches, "1crop")
    assert one.top1_wrong == int((guessed != arrays.test_labels).sum()) != ten.top1_wrong


def test_protocols_of_imagenet_are_refused_elsewhere(tested: Record, tmp_path: Path) -> None:
    for protocol in ("10crop", "ensemble"):
        with pytest.raises(InputError, match=f"protocol for digits '{protocol}' is unknown; choose one of: single"):
            evaluate([tested.folder, tested.folder], protocol, tmp_path, recalibrate=False)
    weights = tmp_path / "resnet18.pth"
    weights.touch()
    with pytest.raises(InputError, match="runs on digits and imagenet cannot be tested together"):
        evaluate([tested.folder, weights], None, tmp_path, recalibrate=False)
