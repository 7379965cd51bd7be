"""The paper's test protocols against slow, obvious references, and others' weights in our networks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision import models, transforms

from study.data.imagenet import folder, jpeg
from study.data.imagenet.batches import Jpegs
from study.data.imagenet.dataset import ImageNet
from study.network import ResNet, build
from study.protocols import evaluate as evaluation
from study.protocols.errors import Candidate, Score, evaluate_protocol
from study.protocols.evaluate import evaluate, recalibrated
from study.protocols.logits import dense_logits, probabilities, resize_mean
from study.protocols.views import SIZES, Protocol, views
from study.recipes import RECIPES, ImageNetRecipe
from study.spec import InputError, Spec
from study.weights.torchvision import from_torchvision, read_torchvision


def shaken(net: nn.Module) -> nn.Module:
    """Batch norm with statistics and weights as training might leave them."""
    generator = torch.Generator().manual_seed(1)
    for m in net.modules():
        if isinstance(m, nn.BatchNorm2d):
            for tensor, low in ((m.weight, 0.5), (m.bias, -0.5), (m.running_mean, -0.5), (m.running_var, 0.5)):
                assert tensor is not None
                tensor.data.uniform_(low, low + 1, generator=generator)
    return net.eval()


@pytest.fixture(scope="module")
def candidate() -> Candidate:
    """A net of 18 layers, and a mean that differs from pixel to pixel."""
    torch.manual_seed(0)
    net = shaken(build("imagenet", 18, "A"))
    assert isinstance(net, ResNet)
    return Candidate(net, torch.rand(224, 224, 3) * 255)


@pytest.fixture(scope="module")
def picture(jpegs: list[Path]) -> Path:
    return jpegs[0]


def prepared(image: Image.Image, mean: Tensor) -> Tensor:
    """(1, 3, H, W)."""
    return ((torch.tensor(np.asarray(image)).double() - mean.double()) / 255).permute(2, 0, 1)[None].float()


@torch.no_grad()
def test_ten_crops_are_alexnets(candidate: Candidate, picture: Path) -> None:
    """Ten separate passes over crops that PIL cuts out of the central 256x256 square."""
    with Image.open(picture) as image:
        square = transforms.CenterCrop(256)(transforms.Resize(256)(image.convert("RGB")))
    total = torch.zeros(1000)
    for left, top in ((0, 0), (32, 0), (0, 32), (32, 32), (16, 16)):
        crop = prepared(square.crop((left, top, left + 224, top + 224)), candidate.mean)
        for view in (crop, torch.flip(crop, dims=[3])):
            total += torch.softmax(candidate.net(view)[0], dim=0)
    got = candidate.probabilities("10crop", pixels("10crop", picture))
    torch.testing.assert_close(got, total / 10, atol=1e-5, rtol=0)
    assert float((got - total.mean()).abs().max()) > 1e-3, "the net tells classes apart"


def pixels(protocol: Protocol, path: Path) -> list[Tensor]:
    return [torch.tensor(view) for view in views(protocol, jpeg.decode(path))]


@torch.no_grad()
def test_dense_logits_are_a_map_averaged_over_places_mirrors_and_sizes(candidate: Candidate, picture: Path) -> None:
    net, total, count = candidate.net, torch.zeros(1000), 0
    for size in SIZES:
        with Image.open(picture) as image:
            whole = transforms.Resize(size)(image.convert("RGB"))
        x = prepared(whole, resize_mean(candidate.mean, (whole.height, whole.width)))
        for view in (x, torch.flip(x, dims=[3])):
            last = net.stage4(net.stage3(net.stage2(net.stage1(net.stem(view)))))[0]
            logits = [
                net.head(last[:, i : i + 7, j : j + 7].mean(dim=(1, 2)))
                for i in range(last.shape[1] - 6)
                for j in range(last.shape[2] - 6)
            ]
            total, count = total + torch.softmax(torch.stack(logits).mean(0), dim=0), count + 1
            assert len(logits) >= 1 if size == 224 else len(logits) > 1
    assert count == 10
    got = candidate.probabilities("dense", pixels("dense", picture))
    torch.testing.assert_close(got, total / 10, atol=1e-5, rtol=0)


@torch.no_grad()
def test_the_dense_test_on_a_224_image_equals_the_single_crop(candidate: Candidate) -> None:
    x = torch.rand(2, 3, 224, 224)
    torch.testing.assert_close(dense_logits(candidate.net, x), candidate.net(x), atol=1e-5, rtol=1e-5)
    assert resize_mean(candidate.mean, (224, 224)) is candidate.mean
    single = probabilities("1crop", candidate.net, [x[:1]])
    torch.testing.assert_close(F.softmax(dense_logits(candidate.net, x[:1]), dim=1)[0], single, atol=1e-5, rtol=0)


def test_errors_are_counted_as_by_hand_and_an_ensemble_averages(candidate: Candidate, imagenet: Path) -> None:
    files = folder.load(imagenet).val
    few = folder.Files(files.folder, files.names[::5], files.labels[::5])
    torch.manual_seed(7)
    other = Candidate(shaken(build("imagenet", 18, "none")), torch.zeros(224, 224, 3))  # type: ignore[arg-type]
    images = [pixels("1crop", Path(few.path(i))) for i in range(4)]
    with torch.no_grad():
        each = [[one.probabilities("1crop", image) for image in images] for one in (candidate, other)]
    for candidates, scores in (
        ([candidate], each[0]),
        ([candidate, other], [(a + b) / 2 for a, b in zip(*each, strict=True)]),
    ):
        ranks = [sorted(range(1000), key=lambda c, p=p: -float(p[c])) for p in scores]
        # Labels that some images get right at once, some among the first five and some not at all.
        labels = np.array([ranks[0][0], ranks[1][3], ranks[2][4], ranks[3][5]])
        relabelled = folder.Files(few.folder, few.names, labels)
        assert evaluate_protocol(candidates, "1crop", relabelled) == Score(top1_wrong=3, top5_wrong=1, seen=4, broken=0)
    assert Score(3, 1, 4, 0).columns("1crop")["1crop/top5_error"] == 25.0


@torch.no_grad()
@pytest.mark.parametrize("depth", [18, 34, 50, 101, 152])
def test_torchvisions_weights_give_torchvisions_outputs(depth: int) -> None:
    torch.manual_seed(depth)
    theirs = shaken(getattr(models, f"resnet{depth}")()).double()
    ours = from_torchvision(theirs.state_dict(), normalised=False).double().eval()
    x = torch.rand(2, 3, 96, 96, dtype=torch.double)
    want = theirs(x)
    torch.testing.assert_close(ours(x), want, atol=1e-5, rtol=1e-5)
    assert float(want.std()) > 1e-3
    if depth == 50:
        papers = build("imagenet", 50, "B").double().eval()
        papers.load_state_dict(ours.state_dict())
        assert not torch.allclose(papers(x), want, rtol=1e-2), "the stride's place tells"


@torch.no_grad()
def test_a_file_of_torchvisions_weights_is_read_with_its_normalisation(tmp_path: Path, picture: Path) -> None:
    torch.manual_seed(0)
    theirs = shaken(models.resnet18())
    torch.save(theirs.state_dict(), tmp_path / "resnet18.pth")
    net, mean = read_torchvision(tmp_path / "resnet18.pth")
    with Image.open(picture) as image:
        x = models.ResNet18_Weights.IMAGENET1K_V1.transforms(antialias=True)(image.convert("RGB"))[None]
    got = Candidate(net.eval(), torch.from_numpy(mean)).probabilities("1crop", pixels("1crop", picture))
    torch.testing.assert_close(got, torch.softmax(theirs(x)[0], dim=0), atol=1e-5, rtol=1e-4)


def test_a_file_that_holds_no_such_weights_is_said(tmp_path: Path, imagenet: Path) -> None:
    torch.save({"a": torch.zeros(1)}, tmp_path / "a.pth")
    (tmp_path / "b.pth").write_text("weights")
    torch.save(models.resnet18(num_classes=10).state_dict(), tmp_path / "c.pth")
    for name, says in (
        ("a", "no ResNet of Table 1"),
        ("b", "no state dict"),
        ("c", "not the weights of torchvision's ResNet-18"),
    ):
        with pytest.raises(InputError, match=f"{name}.pth cannot be read as torchvision's weights: .*{says}"):
            evaluate([tmp_path / f"{name}.pth"], "1crop", imagenet, recalibrate=False)


@torch.no_grad()
def test_recalibrated_statistics_are_true_averages(imagenet: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the first layer, whose inputs are the images themselves."""
    monkeypatch.setattr(evaluation, "RECALIBRATION_IMAGES", 40)
    images, recipe = folder.load(imagenet), RECIPES["imagenet"]["smoke"]
    assert isinstance(recipe, ImageNetRecipe)
    torch.manual_seed(0)
    net, cpu = build("imagenet", 18, "A"), torch.device("cpu")
    recalibrated(net, Spec("imagenet", 18, "A", "smoke", 3), ImageNet(images), cpu)
    batches = Jpegs(images, recipe, cpu, workers=0)
    outputs = [net.stem.conv(batches.batch(3, step)[0]) for step in range(40 // recipe.batch)]
    mean = torch.stack([y.mean((0, 2, 3)) for y in outputs]).mean(0)
    variance = torch.stack([y.transpose(0, 1).flatten(1).var(1) for y in outputs]).mean(0)
    torch.testing.assert_close(net.stem.bn.running_mean, mean, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(net.stem.bn.running_var, variance, atol=1e-4, rtol=1e-3)
