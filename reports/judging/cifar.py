"""The paper's claims on CIFAR-10 (Sec. 4.2, Figs. 1, 6, 7, Table 6). Margins were set before any run was looked at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from reports.judging.claim import Finding, claim
from reports.judging.evidence import Evidence, Net, seeds
from reports.judging.forms import alike, all_of, counted, falling, higher, limit, not_higher, predicts
from reports.paper import numbers as paper

RISE_MARGIN = 0.2  # points of training error; a residual net that rises by less is said not to rise
SIMILAR_MARGIN = 0.5  # points of test error; nets closer than that are "similar", three times the paper's spread
SIMILAR_TRAINING = 0.1  # points of training error at the level of ResNet-110 and 1202
FULLY_TRAINED = 0.1  # percent of training error; below it a net has no difficulty (Sec. 4.2)
PREDICTION_WIDTH = 1.0  # points; a wider prediction interval decides nothing
WARMUP_STEPS = (200, 800)  # "about 400 iterations", to a factor of two

PLAIN: list[Net] = [(depth, "none") for depth in (20, 32, 44, 56)]
RESIDUAL: list[Net] = [(depth, "A") for depth in (20, 32, 44, 56, 110)]


@claim(
    "C01",
    where="Fig. 1 left, Fig. 6 left",
    says="Plain nets: the deeper has the higher training error (degradation).",
    sweeps=("cifar_plain",),
    in_miniature=True,
)
def plain_training(e: Evidence) -> Finding:
    """Training error rises from 20 to 44 to 56 layers; the paper's own 20 and 32 layers differ by 0.13 points only."""
    return all_of(
        higher(e, "train_error", (44, "none"), (20, "none")),
        higher(e, "train_error", (56, "none"), (44, "none")),
    )


@claim(
    "C02",
    where="Fig. 1 right, Fig. 6 left",
    says="Plain nets: test error rises with depth.",
    sweeps=("cifar_plain",),
    in_miniature=True,
)
def plain_test(e: Evidence) -> Finding:
    """Test error rises at each of the four depths."""
    return falling(e, "test_error", PLAIN[::-1])


@claim(
    "C03",
    where="Fig. 6 caption",
    says="Plain-110 does not train: its error stays above 60 %.",
    sweeps=("cifar_plain",),
)
def plain_110(e: Evidence) -> Finding:
    """The test error lies above the caption's 60 %."""
    return limit(e, "test_error", (110, "none"), paper.PLAIN_110_ERROR_ABOVE, "greater")


@claim(
    "C06",
    where="Secs. 1 and 4.1",
    says="The degradation is not overfitting: it is in the training error as well.",
    sweeps=("cifar_plain",),
    in_miniature=True,
)
def not_overfitting(e: Evidence) -> Finding:
    """The deeper net tests worse and also trains worse, which overfitting would not show."""
    return all_of(*(higher(e, metric, (56, "none"), (20, "none")) for metric in ("train_error", "test_error")))


@claim(
    "C09",
    where="footnote 3",
    says="Three times the steps do not remove the degradation.",
    sweeps=("cifar_long",),
)
def longer_training(e: Evidence) -> Finding:
    """Under the recipe `long` the deeper plain net still has the higher training error."""
    return higher(e, "train_error", (56, "none"), (20, "none"), recipe="long")


@claim(
    "C21",
    where="Table 6, Fig. 6 middle",
    says="Residual nets: test error falls with depth.",
    sweeps=("cifar_residual", "cifar_110"),
    in_miniature=True,
)
def residual_test(e: Evidence) -> Finding:
    """Test error falls from each depth to the next."""
    return falling(e, "test_error", nets_in_scope(e, RESIDUAL))


@claim(
    "C22",
    where="Fig. 6 middle",
    says=f"Residual nets: training error does not rise with depth (by {RISE_MARGIN} points).",
    sweeps=("cifar_residual", "cifar_110"),
    in_miniature=True,
)
def residual_training(e: Evidence) -> Finding:
    """No depth has a higher training error than the shallowest, but for the margin."""
    shallowest, *deeper = nets_in_scope(e, RESIDUAL)
    return all_of(*(not_higher(e, "train_error", net, shallowest, RISE_MARGIN) for net in deeper))


@claim(
    "C23",
    where="Fig. 6 left and middle",
    says="At every depth the residual net tests better than the plain one.",
    sweeps=("cifar_plain", "cifar_residual"),
    in_miniature=True,
)
def residual_beats_plain(e: Evidence) -> Finding:
    """The plain net has the higher test error at each of the four depths."""
    return all_of(*(higher(e, "test_error", (depth, "none"), (depth, "A")) for depth, _ in PLAIN))


@claim(
    "C24",
    where="Sec. 4.2",
    says="ResNet-110 is below 80 % training error after about 400 steps at 0.01.",
    sweeps=("cifar_110",),
)
def warmup(e: Evidence) -> Finding:
    """Each run notes the step at which its warm-up ended; the steps are counted, not tested."""
    runs = e.net((110, "A"))
    steps = seeds(runs, "warm_until")
    if not steps:
        return Finding("No run of ResNet-110 has a warm-up.", missing=("ResNet-110",))
    low, high = WARMUP_STEPS
    ended = ", ".join(f"{step:.0f}" for step in steps)
    sentence = f"The warm-up of ResNet-110 ended after {ended} steps ({low} to {high} asked)."
    finding = counted(all(low <= step <= high for step in steps), sentence, sum(steps) / len(steps) - 400)
    return replace(finding, n=(len(steps),), runs=tuple(runs["run"]))


@claim(
    "C25",
    where="footnote 5",
    says=f"Without the warm-up ResNet-110 ends alike (within {SIMILAR_MARGIN} points).",
    sweeps=("cifar_110", "cifar_nowarmup"),
)
def without_warmup(e: Evidence) -> Finding:
    """The recipe `nowarmup` gives the same test error as the paper's recipe, within the margin."""
    return alike(e, "test_error", (110, "A"), (110, "A"), SIMILAR_MARGIN, recipe="nowarmup")


@claim(
    "C26",
    where="Table 6",
    says="ResNet-110 tests at 6.61 ± 0.16 %.",
    sweeps=("cifar_110",),
)
def resnet_110(e: Evidence) -> Finding:
    """The paper's mean lies where one more run of ours would."""
    return predicts(e, "test_error", (110, "A"), 6.61, PREDICTION_WIDTH)


@claim(
    "C27",
    where="Table 6",
    says="ResNet-110 has fewer parameters than FitNet and Highway and a lower error.",
    sweeps=("cifar_110",),
)
def small_and_good(e: Evidence) -> Finding:
    """Fewer parameters than FitNet and Highway-19 by counting, a lower error by test."""
    parameters = _parameters(e, 110)
    finding = limit(e, "test_error", (110, "A"), paper.HIGHWAY_BEST_ERROR, "less")
    finding = replace(finding, sentence=f"ResNet-110 has {parameters:,} parameters. {finding.sentence}")
    fewer = parameters < min(paper.HIGHWAY_PARAMETERS, paper.FITNET_PARAMETERS)
    return finding if fewer else replace(finding, counted=False)


@claim(
    "C28",
    where="Sec. 4.2, Fig. 6 right",
    says=f"ResNet-1202 has no difficulty: training error below {FULLY_TRAINED} %.",
    sweeps=("cifar_1202",),
)
def very_deep_trains(e: Evidence) -> Finding:
    """The training error of 1202 layers lies below 0.1 %."""
    return limit(e, "train_error", (1202, "A"), FULLY_TRAINED, "less")


@claim(
    "C29",
    where="Table 6, Sec. 4.2",
    says="ResNet-1202 tests worse than ResNet-110 at similar training error.",
    sweeps=("cifar_110", "cifar_1202"),
)
def very_deep_overfits(e: Evidence) -> Finding:
    """Worse in test, similar in training."""
    worse = higher(e, "test_error", (1202, "A"), (110, "A"))
    return all_of(worse, alike(e, "train_error", (1202, "A"), (110, "A"), SIMILAR_TRAINING))


@claim(
    "C30",
    where="Fig. 7",
    says="Residual nets have smaller responses than their plain twins.",
    sweeps=("cifar_plain", "cifar_residual"),
    in_miniature=True,
)
def smaller_responses(e: Evidence) -> Finding:
    """Plain against residual, at 20 and at 56 layers."""
    return all_of(*(higher(e, "response", (depth, "none"), (depth, "A")) for depth in (20, 56)))


@claim(
    "C31",
    where="Fig. 7",
    says="Deeper residual nets have smaller responses.",
    sweeps=("cifar_residual", "cifar_110"),
    in_miniature=True,
)
def shrinking_responses(e: Evidence) -> Finding:
    """Each layer changes the signal less in a deeper net."""
    return falling(e, "response", nets_in_scope(e, [(20, "A"), (56, "A"), (110, "A")]))


def nets_in_scope(e: Evidence, nets: Sequence[Net]) -> list[Net]:
    """The nets that a claim looks at. A scaled-down comparison need not go to 110 layers; where it does, they count."""
    return [net for net in nets if net[0] < 110 or not e.is_scaled_down or len(e.net(net))]


def _parameters(e: Evidence, depth: int) -> int:
    table = e.complexity
    row = table[(table["dataset"] == "cifar10") & (table["depth"] == str(depth)) & (table["shortcut"] == "A")]
    return int(row["parameters"].iloc[0])
