"""What a trained net computes, each measure against a slower and more obvious one."""

from __future__ import annotations

import json
import shutil
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.nn import functional as F

from reports.gathering import snapshot
from reports.gathering.gather import gather
from reports.page import render
from reports.page.sections import report
from study import network
from study.data.digits import load_digits
from study.data.images import Images
from study.probes.blocks import block_features, blocks
from study.probes.deeper import deeper
from study.probes.signals import signals
from study.recipes import recipe_for
from study.recording.record import Record
from study.spec import Spec
from study.weights.checkpoint import load_checkpoint
from study.weights.digest import weights_sha256
from tests.support import SPEC, run


@pytest.fixture(scope="module")
def images() -> Images:
    return load_digits().on(torch.device("cpu"), recipe_for(SPEC))


def net_of(kind: str, images: Images) -> network.ResNet:
    """A net whose batch norms have seen data and give back other means and deviations than they take away."""
    torch.manual_seed(1)
    net = network.build("digits", 8, kind)
    for step in range(5):
        net.train()(images.batch(0, step)[0])
    for name, parameter in net.named_parameters():
        if "bn" in name:
            torch.nn.init.uniform_(parameter, 0.2, 1)
    return net.eval()


@pytest.mark.parametrize("kind", ["none", "A", "B", "C"])
def test_a_net_of_twice_the_blocks_computes_the_same(kind: str, images: Images) -> None:
    net, tests = net_of(kind, images), images.test_batch(0, 100)[0]
    deep = deeper(net, Spec("digits", 8, kind), (2, 2, 2), images.batch(0, 9)[0])
    assert sum(1 for _ in deep.modules()) > 1.5 * sum(1 for _ in net.modules())
    with torch.no_grad():
        logits = net(tests)
        assert logits.std() > 0.1
        torch.testing.assert_close(deep.eval()(tests), logits, rtol=0, atol=1e-4)
        if kind == "A":
            torch.testing.assert_close(deep.train()(tests), net.train()(tests), rtol=0, atol=1e-4)


@pytest.mark.parametrize("kind", ["none", "A", "B"])
def test_an_error_without_a_block_is_that_of_the_net_with_its_branch_silenced(kind: str, images: Images) -> None:
    net, spec = net_of(kind, images), Spec("digits", 8, kind)
    rows = {row["block"]: row["without"] for row in blocks(net, spec, images)}
    assert list(rows) == ["stem", "stage1.0", "stage2.0", "stage3.0"] and rows["stem"] is None
    if kind == "none":
        assert rows["stage2.0"] is None, "no shortcut has the block's shape"
        net.stage1 = torch.nn.Sequential()
        block = "stage1.0"
    else:
        torch.nn.init.zeros_(net.stage2[0].bn2.weight)
        torch.nn.init.zeros_(net.stage2[0].bn2.bias)
        block = "stage2.0"
    inputs, labels = images.test_batch(0, images.test_size)
    with torch.no_grad():
        wrong = int((net(inputs).argmax(1) != labels).sum())
    assert rows[block] == pytest.approx(100 * wrong / 360)


def test_signals_are_those_of_the_nets_they_name(images: Images) -> None:
    net = net_of("none", images)
    before = weights_sha256(net)
    rows = signals(net, Spec("digits", 8, "none", seed=3), images)
    assert weights_sha256(net) == before, "probing changes nothing"
    assert [row["moment"] for row in rows] == ["start"] * 7 + ["one step"] * 7 + ["now"] * 7
    torch.manual_seed(3)
    start = network.build("digits", 8, "none")
    for now, of in ((start, rows[:7]), (net, rows[14:])):
        batch = images.batch(3, recipe_for(SPEC).steps)
        for row in of:
            copied, kept = deepcopy(now).train(), []
            layer = copied.get_submodule(row["layer"])
            layer.register_forward_hook(lambda _module, _inputs, response, kept=kept: kept.append(response))
            loss = F.cross_entropy(copied(batch[0]), batch[1])
            gradient, behind = torch.autograd.grad(loss, [layer.weight, *kept])
            assert row["weight"] == pytest.approx(float(layer.weight.detach().norm()), rel=1e-5)
            assert row["gradient"] == pytest.approx(float(gradient.norm()), rel=1e-3)
            assert row["signal"] == pytest.approx(kept[0].detach().numpy().std(), rel=1e-3)
            assert row["signal_gradient"] == pytest.approx(float(behind.norm()) / behind.numel() ** 0.5, rel=1e-3)
    moved = [abs(a["weight"] - b["weight"]) for a, b in zip(rows[:7], rows[7:14], strict=True)]
    assert 0 < max(moved) < 0.1, "one step at the first rate of the ramp"


def test_change_and_features_are_of_the_blocks_they_name(images: Images) -> None:
    net, batch = net_of("A", images), images.batch(0, 3)
    features = block_features(net, [batch])
    with torch.no_grad():
        x = net.stem(batch[0])
        y = net.stage1(x)
        pooled = net.pool(net.stage3(net.stage2(y)))
    assert features["stem"].change is None and features["stage2.0"].change is None
    assert features["stage1.0"].change == pytest.approx(
        float(((y - x).flatten(1).norm(dim=1) / x.flatten(1).norm(dim=1)).mean())
    )
    torch.testing.assert_close(torch.from_numpy(features["stage3.0"].means), pooled)


@pytest.mark.process
def test_the_verb_writes_what_it_found(undisturbed: Record, tmp_path: Path) -> None:
    folder = tmp_path / SPEC.name
    shutil.copytree(undisturbed.folder, folder)
    done = run("study", "probe", str(folder))
    assert done.returncode == 0 and not done.stderr, done.stderr
    assert "A copy with 14 layers" in done.stdout and "stage3.0" in done.stdout
    found = json.loads((folder / "probes.json").read_text())
    summary = undisturbed.summary()
    assert summary and found["run"] == SPEC.name and found["step"] == 40
    assert found["copy"]["error"] == pytest.approx(summary["test/top1_error"]) == found["copy"]["copy_error"]
    assert found["blocks"][-1]["linear"] < found["blocks"][0]["linear"], "deeper features are easier to read"
    assert_reported(tmp_path, found)
    net, _ = load_checkpoint(SPEC, folder / "checkpoints" / "last.ckpt")
    assert weights_sha256(net) == summary["weights_sha256"]


def assert_reported(runs: Path, found: dict[str, Any]) -> None:
    """The snapshot has every number, off the disk too, and the report shows them."""
    snapshot.write(gather(runs), runs / "out")
    read = snapshot.read(runs / "out")
    assert list(read.signals["gradient"]) == [row["gradient"] for row in found["signals"]]
    assert list(read.signals["layer"]) == [*range(1, 8)] * 3
    assert list(read.blocks["linear"]) == [row["linear"] for row in found["blocks"]]
    assert read.deeper.drop(columns="run").to_dict("records") == [found["copy"]]
    texts = render.texts(report(read))
    start = [row["gradient"] for row in found["signals"][:7]]
    row = f"ResNet-8,start,{start[0]:.2g},{start[-1]:.2g},{max(start) / min(start):.0f}"
    assert row in texts["tables/gradients-digits-smoke.csv"].splitlines()
    assert "ResNet-8,14 layers" in texts["tables/deeper-digits-smoke.csv"]
    assert "digits, scaled down (smoke)" in texts["report.html"]


@pytest.mark.process
def test_what_cannot_be_probed_is_said(undisturbed: Record, tmp_path: Path) -> None:
    bare = tmp_path / SPEC.name
    shutil.copytree(undisturbed.folder, bare, ignore=shutil.ignore_patterns("checkpoints"))
    for folder, says in (
        (bare, "has no checkpoint"),
        (tmp_path / "imagenet-18-A-paper-s0", "is a run on ImageNet; probes are for"),
        (tmp_path / "tinyimagenet-50-B-smoke-s0", "has bottleneck blocks; probes are for networks of basic blocks"),
        (tmp_path / "runs", "is not a run name"),
    ):
        done = run("study", "probe", str(folder))
        assert done.returncode == 2 and says in done.stderr and done.stderr.count("\n") == 1, done.stderr
    other = json.loads((bare / "provenance.json").read_text()) | {"data_fingerprint": "0"}
    (bare / "provenance.json").write_text(json.dumps(other))
    shutil.copytree(undisturbed.folder / "checkpoints", bare / "checkpoints")
    done = run("study", "probe", str(bare))
    assert done.returncode == 2 and "was trained with other images" in done.stderr
