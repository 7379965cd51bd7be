"""Others' CIFAR-10 networks in ours: synthetic files of each layout, and real ones where they are."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from study.commands import cli
from study.data.images import Arrays, Images
from study.probes.measures import MEASURES
from study.probes.similarity import similarity
from study.protocols.public import _augmented, _train, images_of, measure, measure_files
from study.recipes import recipe_for
from study.spec import InputError, Spec
from study.weights.foreign import LAYOUTS, Network, _orders, _stratified, read_foreign
from study.weights.pretrained import Preprocess, TrainedResNet
from tests.support import BESIDE, refusal
from tests.weights.test_export import Trap

DEPTH = 14
REAL = BESIDE / "others-weights" / "a-martyn"
# Wrong of 10,000, as its authors published them: 20, 32, 44 and 56 layers.
PUBLISHED = {"none": (969, 1004, 1156, 1307), "A": (804, 779, 751, 746)}


class Theirs(nn.Module):
    """A network as others write it: option A may put half of the zeros in front, convolutions may have biases."""

    def __init__(self, shortcut: str, half_in_front: bool, biased: bool) -> None:
        super().__init__()
        self.shortcut, self.half = shortcut, half_in_front
        widths = [16, *(w for w in (16, 32, 64) for _ in range(4))]
        self.convs = nn.ModuleList(
            nn.Conv2d(a, b, 3, 1 + (a != b and a > 3), 1, bias=biased)
            for a, b in zip([3, *widths], widths, strict=False)
        )
        self.norms = nn.ModuleList(nn.BatchNorm2d(width) for width in widths)
        self.projections = nn.ModuleDict()
        if shortcut == "B":
            for at, (a, b) in {5: (16, 32), 9: (32, 64)}.items():
                self.projections[str(at)] = nn.Sequential(nn.Conv2d(a, b, 1, 2, bias=False), nn.BatchNorm2d(b))
        self.fc = nn.Linear(64, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = self.layer(0, x).relu()
        for at in range(1, len(self.convs), 2):
            y = self.layer(at + 1, self.layer(at, x).relu())
            x = (y if self.shortcut == "none" else y + self.around(at, x, y)).relu()
        logits: Tensor = self.fc(x.mean((2, 3)))
        return logits

    def layer(self, at: int, x: Tensor) -> Tensor:
        y: Tensor = self.norms[at](self.convs[at](x))
        return y

    def around(self, at: int, x: Tensor, y: Tensor) -> Tensor:
        if x.shape == y.shape:
            return x
        if str(at) in self.projections:
            projected: Tensor = self.projections[str(at)](x)
            return projected
        extra = y.shape[1] - x.shape[1]
        front = extra // 2 if self.half else 0
        return F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, front, extra - front))


def theirs(repository: str, shortcut: str) -> Theirs:
    """A network with random weights and statistics."""
    torch.manual_seed(0)
    layout = next(layout for layout in LAYOUTS if layout.repository == repository)
    net = Theirs(shortcut, layout.half_in_front, biased=repository.startswith("wooyeol")).eval()
    for name, tensor in net.state_dict().items():
        if tensor.is_floating_point() and tensor.ndim == 1:
            tensor.uniform_(0.5, 1.5) if "running_var" in name else tensor.normal_()
    return net


def in_their_words(repository: str, net: Theirs) -> dict[str, Tensor]:
    """The state dict as that code base saves it."""
    state = {}
    for at, (conv, norm) in enumerate(zip(net.convs, net.norms, strict=True)):
        for (name, module), what in zip(layer_names(repository, at), (conv, norm), strict=True):
            state |= {f"{name}.{part}": tensor for part, tensor in what.state_dict().items()}
            assert module
    for at, projection in net.projections.items():
        stage = 2 if at == "5" else 3
        state |= {f"layer{stage}.0.downsample.{part}": tensor for part, tensor in projection.state_dict().items()}
    head = {"a-martyn": "fcOut", "wooyeolBaek": "fc.fc", "akamaster": "module.linear", "chenyaofo": "fc"}
    name = head[repository.split("/")[0]]
    return state | {f"{name}.{part}": tensor for part, tensor in net.fc.state_dict().items()}


def layer_names(repository: str, at: int) -> Iterator[tuple[str, bool]]:
    """The names of convolution number `at` and of its batch norm."""
    stage, block, layer = (at - 1) // 4 + 1, (at - 1) % 4 // 2, (at - 1) % 2 + 1
    match repository.split("/")[0]:
        case "a-martyn":
            part = f"stack1.{block}" if stage == 1 else f"stack{stage}{'b.0' if block else 'a'}"
            names = (f"{part}.conv{layer}", f"{part}.bn{layer}") if at else ("convIn", "bnIn")
        case "wooyeolBaek":
            part = f"conv{stage + 1}_x.conv{stage + 1}_x.{block}.f"
            names = (
                (f"{part}.{3 * (layer - 1)}", f"{part}.{3 * (layer - 1) + 1}") if at else ("conv1.conv1", "conv1.bn1")
            )
        case owner:
            prefix = "module." if owner == "akamaster" else ""
            part = f"{prefix}layer{stage}.{block}"
            names = (f"{part}.conv{layer}", f"{part}.bn{layer}") if at else (f"{prefix}conv1", f"{prefix}bn1")
    yield from ((name, True) for name in names)


CASES = [
    (layout.repository, shortcut)
    for layout in LAYOUTS
    for shortcut in (("B",) if layout.repository.startswith("chenyaofo") else ("none", "A"))
]


@pytest.mark.parametrize(("repository", "shortcut"), CASES)
def test_a_network_in_each_layout_computes_in_ours_what_it_does(
    repository: str, shortcut: str, arrays: Arrays, tmp_path: Path
) -> None:
    net = theirs(repository, shortcut)
    torch.save({"state_dict": in_their_words(repository, net), "best_prec1": 91.7}, tmp_path / "net.th")
    ours, layout = read_foreign(tmp_path / "net.th", Network.parse(f"cifar10-{DEPTH}-{shortcut}"), arrays)
    images = torch.randn(4, 3, 32, 32)
    with torch.no_grad():
        torch.testing.assert_close(ours(images), net(images), rtol=1e-4, atol=1e-3)
    assert layout.repository == repository
    levels = torch.from_numpy(arrays.test_images[:2]).permute(0, 3, 1, 2)
    if not callable(layout.mean):
        mean, std = (torch.tensor(each)[:, None, None] for each in (layout.mean, layout.std))
        torch.testing.assert_close(ours.preprocess(levels), (levels / 255 - mean) / std, rtol=1e-4, atol=1e-5)


def test_half_of_the_zeros_in_front_is_an_order_of_channels() -> None:
    """Their channels 24 to 39 of 64 are the stem's: 8 zeros come before it in stage 2, 16 more in stage 3."""
    orders = _orders(16)
    assert orders[2][:16] == list(range(8, 24)) and orders[3][:16] == list(range(24, 40))
    assert [sorted(order) for order in orders] == [list(range(len(order))) for order in orders]


def test_a_missing_and_an_extra_tensor_are_named(arrays: Arrays, tmp_path: Path) -> None:
    state = in_their_words("akamaster/pytorch_resnet_cifar10", theirs("akamaster/pytorch_resnet_cifar10", "A"))
    like = Network.parse(f"cifar10-{DEPTH}-A")
    for change, says in (
        ({"module.layer2.0.bn1.weight": None}, r"it lacks stage2\.0\.bn1\.weight"),
        ({"module.layer9.weight": torch.ones(1)}, r"it has stage9\.weight besides"),
        (
            {"module.linear.weight": torch.ones(10, 32)},
            r"its head\.weight is \(10, 32\)",
        ),
    ):
        changed = {name: tensor for name, tensor in (state | change).items() if tensor is not None}
        torch.save(changed, tmp_path / "net.th")
        with pytest.raises(InputError, match=says):
            read_foreign(tmp_path / "net.th", like, arrays)
    torch.save(state, tmp_path / "net.th")
    with pytest.raises(InputError, match=r"does not hold ResNet-20: it lacks stage1\.2"):
        read_foreign(tmp_path / "net.th", Network.parse("cifar10-20-A"), arrays)


def test_what_is_no_state_dict_is_refused_in_one_line(tmp_path: Path, cifar10: Path) -> None:
    path, data = tmp_path / "net.th", f"--data={cifar10}"
    for content, says in ((b"", "cannot be read"), (b"text", "cannot be read")):
        path.write_bytes(content)
        assert says in refusal(cli.run, "test", str(path), "--like=cifar10-20-A", data)
    sprung = tmp_path / "sprung"
    torch.save({"weight": Trap(sprung)}, path)
    assert "never loaded, as it could run code" in refusal(cli.run, "test", str(path), "--like=cifar10-20-A", data)
    assert not sprung.exists()
    torch.save({"weight": torch.ones(1)}, path)
    assert "is of no known layout" in refusal(cli.run, "test", str(path), "--like=cifar10-20-A", data)
    for like, says in (
        ("resnet20", "one looks like cifar10-56-A"),
        ("cifar10-21-A", "depth 21 is not 6n"),
        ("cifar10-20-A,cifar10-56-A", "names 2 networks for 1 files"),
        ("cifar10-20-A,digits-20-A", "several data sets"),
    ):
        assert says in refusal(cli.run, "test", str(path), f"--like={like}", data)


def wrong(shortcut: str, depth: int, cifar10: Path, capsys: pytest.CaptureFixture[str]) -> int:
    """The test errors of one of a-martyn's networks, as the command counts them."""
    if not REAL.exists():
        pytest.skip(f"the networks that others trained are not in {REAL}")
    file = REAL / f"{'plain' if shortcut == 'none' else 'res'}net{depth}.pt"
    assert cli.run(["test", str(file), f"--like=cifar10-{depth}-{shortcut}", f"--data={cifar10}"]) == 0
    return int(capsys.readouterr().out.split(": ")[-1].split(" of ")[0].replace(",", ""))


@pytest.mark.parametrize("shortcut", ["none", "A"])
def test_a_real_network_has_its_published_error(
    shortcut: str, cifar10: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert wrong(shortcut, 20, cifar10, capsys) == PUBLISHED[shortcut][0]


@pytest.mark.slow
@pytest.mark.parametrize("shortcut", ["none", "A"])
def test_real_networks_of_every_depth_have_their_published_errors(
    shortcut: str, cifar10: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = tuple(wrong(shortcut, depth, cifar10, capsys) for depth in (20, 32, 44, 56))
    assert found == PUBLISHED[shortcut]


def some_of(arrays: Arrays) -> Arrays:
    """300 training images and 100 test images."""
    train, test = arrays.train_images[:300], arrays.test_images[:100]
    return Arrays(train, arrays.train_labels[:300], test, arrays.test_labels[:100], arrays.peak, arrays.classes)


def test_errors_on_training_images_are_those_of_a_plain_loop(arrays: Arrays) -> None:
    few = some_of(arrays)
    net = TrainedResNet("cifar10", DEPTH, "A")
    preprocess = Preprocess(torch.full((3, 32, 32), 120.0), few.peak, torch.tensor([0.2, 0.3, 0.4])[:, None, None])
    net.make_preprocess = lambda: preprocess
    spec = Spec("cifar10", DEPTH, "A")
    measured = measure(net.eval(), spec, images_of(net, few, spec, torch.device("cpu")))
    levels = torch.from_numpy(few.train_images).permute(0, 3, 1, 2)
    with torch.no_grad():
        answers = net(preprocess(levels)).argmax(1)
    expected = int((answers != torch.from_numpy(few.train_labels)).sum())
    assert measured["train"] == {"wrong": expected, "seen": 300} and measured["train_augmented"]["seen"] == 300
    assert len(measured["responses"]["std"]) == DEPTH - 1 == len(measured["signals"])


def test_networks_are_compared_and_what_is_on_record_is_not_measured_again(
    arrays: Arrays, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With two parts only, which take seconds."""
    few, asked = some_of(arrays), list[str]()
    for part, measured in list(MEASURES.items()):
        monkeypatch.delitem(MEASURES, part)
        if part in ("mistakes", "filters"):
            counted = lambda *given, p=part, m=measured: (asked.append(p), m(*given))[1]  # noqa: E731
            monkeypatch.setitem(MEASURES, part, counted)
    networks, layout = [Network("cifar10", DEPTH, kind) for kind in ("none", "A")], "a-martyn/resnet"
    paths = [tmp_path / f"{network.shortcut}.pt" for network in networks]
    for path, network in zip(paths, networks, strict=True):
        torch.save(in_their_words(layout, theirs(layout, network.shortcut)), path)
    plain, residual = measure_files(paths, networks, few, None, tmp_path)
    assert [row["with"] for row in plain.record["similarity"]] == [plain.name, residual.name]
    assert [row["with"] for row in residual.record["similarity"]] == [residual.name], "each pair once"
    crossed = similarity(plain.net, residual.net, [(plain.images, residual.images)])
    np.testing.assert_allclose(plain.record["similarity"][1]["cka"], crossed, atol=1e-4)

    path = tmp_path / f"a-martyn+resnet-cifar10-{DEPTH}-A.json"
    before = json.loads(path.read_text())
    path.write_text(json.dumps({key: value for key, value in before.items() if key not in ("filters", "similarity")}))
    asked.clear()
    measure_files(paths[1:], networks[1:], few, None, tmp_path)
    assert asked == ["filters"] and json.loads(path.read_text()) == before
    path.write_text(json.dumps(before | {"sha256": "of another file"}))
    measure_files(paths[1:], networks[1:], few, None, tmp_path)
    assert asked == ["filters", "mistakes", "filters"], "of another file all is measured"
    path.write_text("{")
    with pytest.raises(InputError, match="move it away"):
        measure_files(paths[1:], networks[1:], few, None, tmp_path)


def test_the_border_of_a_crop_is_what_the_training_had(arrays: Arrays) -> None:
    """Of a crop from the upper left corner the first row is border: mean, black, or row 4 of the image."""
    levels = torch.from_numpy(arrays.train_images[:1]).float()
    mean = np.full((32, 32, 3), 120.0, dtype=np.float32)
    corner = torch.zeros(4, 1, dtype=torch.long)  # of image 0, not flipped
    for border, first in (("mean", 0.0), ("black", -120.0 / arrays.peak)):
        images = Images(arrays, recipe_for(Spec("cifar10", DEPTH, "A")), torch.device("cpu"), mean, border=border)
        crop = images.crop(corner)[0].permute(0, 2, 3, 1)
        torch.testing.assert_close(crop[0, 0], torch.full((32, 3), first))
        torch.testing.assert_close(crop[0, 4:, 4:], (levels[0, :28, :28] - 120) / arrays.peak)
    images = Images(arrays, images.recipe, torch.device("cpu"), mean, border="reflect")
    crop = images.crop(corner)[0].permute(0, 2, 3, 1)
    torch.testing.assert_close(crop[0, 0, 4:], (levels[0, 4, :28] - 120) / arrays.peak)


def test_images_that_a_network_was_not_trained_on_are_no_training_images(arrays: Arrays) -> None:
    used = _stratified(arrays)
    assert len(set(used.tolist())) == len(used) == 0.9 * arrays.train_size
    assert len(set(np.bincount(arrays.train_labels[used]))) == 1, "each class has as many"
    spec = Spec("cifar10", DEPTH, "A")
    images = arrays.on(torch.device("cpu"), recipe_for(spec))
    numbers = np.flatnonzero(images.train_labels.numpy() == 3)
    chosen = [
        torch.cat([labels for _, labels in part]) for part in (_train(images, numbers), _augmented(images, 0, numbers))
    ]
    assert [set(labels.tolist()) for labels in chosen] == [{3}, {3}] and {len(labels) for labels in chosen} == {
        len(numbers)
    }
