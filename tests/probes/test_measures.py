"""Each measure of trained networks on a case whose answer is known."""

from __future__ import annotations

from random import Random

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from study import network
from study.data.digits import load_digits
from study.data.images import Images
from study.probes.batches import top1_error
from study.probes.embedding import GRID, chosen, embed, embeddings
from study.probes.landscape import POINTS, REACH, direction, landscape, slice_through
from study.probes.layers import main_layers, norms, rectified, watch
from study.probes.lesions import exchanged, lesions, removed
from study.probes.mistakes import filters, mistakes
from study.probes.places import places, replaced
from study.probes.similarity import hsic, kernels, similarity, with_other
from study.recipes import recipe_for
from study.spec import Spec

SPEC = Spec("digits", 20, "A", "smoke")


@pytest.fixture(scope="module")
def images() -> Images:
    return load_digits().on(torch.device("cpu"), recipe_for(SPEC))


@pytest.fixture(params=["none", "A"])
def net(request: pytest.FixtureRequest, images: Images) -> network.ResNet:
    """A network whose running averages have seen images."""
    torch.manual_seed(3)
    made = network.build("digits", 20, request.param)
    for step in range(20):
        made.train()(images.batch(0, step)[0])
    return made.eval()


def cka(left: Tensor, right: Tensor) -> float:
    """Of two kernels by the definition."""
    crossed = hsic(left[None], right[None])
    return float(crossed / (hsic(left[None], left[None]) * hsic(right[None], right[None])).sqrt())


def kernel(features: Tensor) -> Tensor:
    return (features @ features.T).fill_diagonal_(0)


def test_cka_of_a_rotation_and_a_factor_is_one_and_of_noise_about_zero() -> None:
    torch.manual_seed(0)
    features = torch.randn(120, 30).double()
    rotation = torch.linalg.qr(torch.randn(30, 30).double()).Q
    assert cka(kernel(features), kernel(3 * features @ rotation)) == pytest.approx(1)
    noise = [cka(kernel(torch.randn(40, 2_000).double()), kernel(torch.randn(40, 2_000).double())) for _ in range(50)]
    assert abs(np.mean(noise)) < 0.02, "the usual, biased estimator has 0.98 here"
    assert min(noise) < 0 < max(noise)


def test_hsic_is_the_mean_over_all_choices_of_four_images() -> None:
    """Song et al. (2012): the estimator is a U-statistic, which this computes from its definition."""
    torch.manual_seed(1)
    left, right = (kernel(torch.randn(6, 3).double()) for _ in range(2))
    terms = []
    for i, j, q, r in torch.cartesian_prod(*[torch.arange(6)] * 4).tolist():
        if len({i, j, q, r}) == 4:
            terms.append(float(left[i, j] * (right[i, j] + right[q, r] - 2 * right[i, q])))
    assert float(hsic(left[None], right[None])) == pytest.approx(np.mean(terms))


def test_similarity_is_of_the_blocks_outputs(net: network.ResNet, images: Images) -> None:
    tests = images.test_batch(0, 40)[0]
    own = np.array(similarity(net, net, [(tests[:20], tests[:20]), (tests[20:], tests[20:])]))
    assert own.shape == (10, 10) and np.allclose(np.diag(own), 1) and np.allclose(own, own.T)
    assert own[1, 2] > own[0, 9], "neighbours are more alike than the ends"
    with torch.no_grad():
        stem = net.stem(tests).flatten(1).double()
    torch.testing.assert_close(kernels(net, tests)[0], kernel(stem))


def test_a_comparison_is_made_once_and_again_if_the_other_network_was_trained_again() -> None:
    old = [{"with": "a", "weights_sha256": "1", "cka": [[1.0]]}, {"with": "b", "weights_sha256": "1", "cka": [[0.5]]}]
    assert with_other(old, {"with": "b", "weights_sha256": "1"}, lambda: {"cka": [[0.0]]}) == old
    rows = with_other(old, {"with": "b", "weights_sha256": "2"}, lambda: {"cka": [[0.7]]})
    assert rows == [old[0], {"with": "b", "weights_sha256": "2", "cka": [[0.7]]}]
    same_weights = with_other(old, {"with": "c", "weights_sha256": "1"}, lambda: {"cka": [[0.1]]})
    assert [row["with"] for row in same_weights] == ["a", "b", "c"], "option A has the weights of a plain network"


def test_a_block_that_adds_nothing_can_be_left_out_or_exchanged(images: Images) -> None:
    torch.manual_seed(3)
    net = network.build("digits", 20, "A").eval()
    for name, module in net.named_modules():
        if name.endswith("bn2"):
            nn.init.zeros_(module.weight)  # type: ignore[arg-type]
    tests, _ = images.test_batch(0, 200)
    whole = net(tests)
    for change in (removed(net, 5, Random(0)), exchanged(net, 3, Random(0))):
        assert change
        with replaced(net, change):
            torch.testing.assert_close(net(tests), whole)
    torch.testing.assert_close(net(tests), whole)
    errors = {row["error"] for row in lesions(net, SPEC, images)}
    assert errors == {top1_error(net(images.test_batch(0, 360)[0]), images.test_labels)}


def test_lesions_are_of_the_blocks_that_they_name(net: network.ResNet, images: Images) -> None:
    tests = images.test_batch(0, 50)[0]
    change = removed(net, 2, Random(5))
    x = net.stem(tests)
    for name, block in list(places(net).items())[1:]:
        x = torch.relu(block.shortcut(x) if block.shortcut else x) if name in change else block(x)  # type: ignore[operator]
    with replaced(net, change):
        torch.testing.assert_close(net(tests), net.head(net.pool(x)))
    pairs = exchanged(net, 2, Random(5))
    blocks = dict(places(net))
    assert len(pairs) == 4 and all(pairs[here] is not blocks[here] for here in pairs)
    assert {name.partition(".")[0] for name in pairs} <= {"stage1", "stage2", "stage3"}
    assert not any(name.endswith(".0") for name in pairs), "a first block may change the shape"
    rows = lesions(net, SPEC, images)
    assert {(row["change"], row["count"]) for row in rows} >= {("removed", 0), ("removed", 6), ("exchanged", 3)}


def test_norms_are_those_of_two_layers_by_hand() -> None:
    """y = b a x with one number each: the gradients of y are b x and a x."""
    net = nn.Sequential(*(nn.Conv2d(1, 1, 1, bias=False) for _ in range(2)))
    assert norms(net) is None, "there is no gradient yet"
    for layer, weight in zip(net, (2.0, -5.0), strict=True):
        nn.init.constant_(layer.weight, weight)  # type: ignore[arg-type]
    net(torch.full((1, 1, 1, 1), 3.0)).sum().backward()
    assert norms(net) == {"weight": [2, 5], "gradient": [15, 6]}


@pytest.mark.parametrize("depth", [18, 50])
def test_relus_are_counted_where_they_are(depth: int) -> None:
    """In every kind of block: the values that the ReLU sets to zero, by running the network with ReLUs watched."""
    torch.manual_seed(0)
    net = network.build("tinyimagenet", depth, "B").eval()
    inputs, shares = torch.randn(2, 3, 64, 64), []
    relu = nn.functional.relu

    def counting(x: Tensor, inplace: bool = False) -> Tensor:
        shares.append(float((x <= 0).float().mean()))
        return relu(x)

    with pytest.MonkeyPatch.context() as patch, torch.no_grad():
        patch.setattr(nn.functional, "relu", counting)
        net(inputs)
        patch.undo()
        with watch(net) as signals:
            net(inputs)
    assert len(rectified(net)) == len(main_layers(net)) == depth - 1 == len(shares)
    assert signals.measured()["off"] == pytest.approx(shares, rel=1e-4)


def test_a_slice_through_a_quadratic_is_a_parabola() -> None:
    weights = [torch.tensor([[1.0, 2.0]]), torch.tensor([[3.0]])]
    directions = [[torch.tensor([[1.0, 0.0]]), torch.zeros(1, 1)], [torch.zeros(1, 2), torch.tensor([[2.0]])]]
    loss = slice_through(lambda: float(sum((w**2).sum() for w in weights)), weights, directions)
    at = np.linspace(-REACH, REACH, POINTS)
    expected = (1 + at[:, None]) ** 2 + 4 + (3 + 2 * at[None, :]) ** 2
    np.testing.assert_allclose(loss, expected, rtol=1e-5)
    assert weights[0].tolist() == [[1, 2]] and weights[1].tolist() == [[3]], "the weights are put back"


def test_a_direction_has_the_norms_of_the_filters(net: network.ResNet, images: Images) -> None:
    weights = [parameter for parameter in net.parameters() if parameter.ndim > 1]
    for weight, drawn in zip(weights, direction(weights, 1), strict=True):
        torch.testing.assert_close(weight.detach().flatten(1).norm(dim=1), drawn.flatten(1).norm(dim=1))
    found = landscape(net, SPEC, images)
    inputs, labels = images.train_batch(0, found["images"])
    with torch.no_grad():
        loss = float(nn.functional.cross_entropy(net(inputs), labels))
    middle = POINTS // 2
    assert found["loss"][middle][middle] == pytest.approx(loss, rel=1e-5)


def test_embeddings_are_the_same_twice_and_take_clusters_apart(net: network.ResNet, images: Images) -> None:
    first, second = embeddings(net, SPEC, images), embeddings(net, SPEC, images)
    assert first == second
    assert [row["block"] for row in first] == chosen(list(places(net)))
    assert all(len(row["x"]) == len(row["y"]) == len(row["label"]) == 360 for row in first)
    assert all(0 <= value <= GRID for row in first for value in (*row["x"], *row["y"]))
    rng = np.random.default_rng(0)
    points = embed(np.concatenate([rng.normal(0, 1, (50, 20)), rng.normal(30, 1, (50, 20))]).astype("f4"))
    inner = max(np.ptp(points[:50], 0).max(), np.ptp(points[50:], 0).max())
    assert np.linalg.norm(points[:50].mean(0) - points[50:].mean(0)) > inner / 2


def test_mistakes_are_the_test_images_that_are_wrong(net: network.ResNet, images: Images) -> None:
    found = mistakes(net, SPEC, images)
    inputs, labels = images.test_batch(0, images.test_size)
    with torch.no_grad():
        predicted = net(inputs).argmax(1)
    expected = [
        [number, int(label), int(guess)]
        for number, (label, guess) in enumerate(zip(labels, predicted, strict=True))
        if label != guess
    ]
    assert found["wrong"] == expected and found["seen"] == 360 and found["classes"] == [str(n) for n in range(10)]
    weights = net.stem.get_submodule("conv").get_parameter("weight").detach()
    torch.testing.assert_close(
        torch.tensor(filters(net, SPEC, images)), weights, rtol=0, atol=0.01 * float(weights.abs().max())
    )
