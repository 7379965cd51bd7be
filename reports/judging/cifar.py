"""The paper's claims on CIFAR-10 (Sec. 4.2, Figs. 1, 6, 7, Table 6). Margins were set before any run was looked at."""

from __future__ import annotations

from collections.abc import Sequence

from reports.judging.kinds import (
    Claim,
    Evidence,
    Finding,
    Net,
    alike,
    all_of,
    counted,
    falling,
    higher,
    limit,
    not_higher,
    predicts,
    seeds,
)
from reports.paper import numbers as paper

RISE_MARGIN = 0.2  # points of training error; a residual net that rises by less is said not to rise
SIMILAR_MARGIN = 0.5  # points of test error; nets closer than that are "similar", three times the paper's spread
SIMILAR_TRAINING = 0.1  # points of training error at the level of ResNet-110 and 1202
PREDICTION_WIDTH = 1.0  # points; a wider prediction interval decides nothing
WARMUP_STEPS = (200, 800)  # "about 400 iterations", to a factor of two

PLAIN = [(depth, "none") for depth in (20, 32, 44, 56)]
RESIDUAL = [(depth, "A") for depth in (20, 32, 44, 56, 110)]


def plain_training(e: Evidence) -> Finding:
    """C01. The paper's own 20 and 32 layers differ by 0.13 points only and are not asked for."""
    return all_of(
        higher(e, "train_error", (44, "none"), (20, "none")), higher(e, "train_error", (56, "none"), (44, "none"))
    )


def plain_test(e: Evidence) -> Finding:
    """C02."""
    return falling(e, "test_error", PLAIN[::-1])


def not_overfitting(e: Evidence) -> Finding:
    """C06: the deeper net tests worse and also trains worse, which overfitting would not show."""
    return all_of(*(higher(e, metric, (56, "none"), (20, "none")) for metric in ("train_error", "test_error")))


def longer_training(e: Evidence) -> Finding:
    """C09: footnote 3."""
    return higher(e, "train_error", (56, "none"), (20, "none"), recipe="long")


def residual_training(e: Evidence) -> Finding:
    """C22: each depth against the shallowest."""
    shallowest, *deeper = nets_in_scope(e, RESIDUAL)
    return all_of(*(not_higher(e, "train_error", net, shallowest, RISE_MARGIN) for net in deeper))


def residual_test(e: Evidence) -> Finding:
    """C21."""
    return falling(e, "test_error", nets_in_scope(e, RESIDUAL))


def residual_beats_plain(e: Evidence) -> Finding:
    """C23: at every depth."""
    return all_of(*(higher(e, "test_error", (d, "none"), (d, "A")) for d, _ in PLAIN))


def warmup(e: Evidence) -> Finding:
    """C24: counted in each run."""
    runs = e.net((110, "A"))
    steps = seeds(runs, "warm_until")
    if not steps:
        return Finding("No run of ResNet-110 has a warm-up.", missing=("ResNet-110",))
    low, high = WARMUP_STEPS
    sentence = (
        f"The warm-up of ResNet-110 ended after {', '.join(f'{s:.0f}' for s in steps)} steps ({low} to {high} asked)."
    )
    finding = counted(all(low <= s <= high for s in steps), sentence, sum(steps) / len(steps) - 400)
    return Finding(**{**vars(finding), "n": (len(steps),), "runs": tuple(runs["run"])})


def small_and_good(e: Evidence) -> Finding:
    """C27: fewer parameters than FitNet and Highway-19 by counting, a lower error by test."""
    parameters = _parameters(e, 110)
    fewer = parameters < min(paper.HIGHWAY_PARAMETERS, paper.FITNET_PARAMETERS)
    finding = limit(e, "test_error", (110, "A"), paper.HIGHWAY_BEST_ERROR, "less")
    sentence = f"ResNet-110 has {parameters:,} parameters. {finding.sentence}"
    return Finding(**{**vars(finding), "sentence": sentence, **({} if fewer else {"counted": False})})


def very_deep_overfits(e: Evidence) -> Finding:
    """C29: worse in test, similar in training."""
    worse = higher(e, "test_error", (1202, "A"), (110, "A"))
    return all_of(worse, alike(e, "train_error", (1202, "A"), (110, "A"), SIMILAR_TRAINING))


def smaller_responses(e: Evidence) -> Finding:
    """C30: plain against residual, at 20 and at 56 layers."""
    return all_of(*(higher(e, "response", (d, "none"), (d, "A")) for d in (20, 56)))


def shrinking_responses(e: Evidence) -> Finding:
    """C31: each layer changes the signal less in a deeper net."""
    return falling(e, "response", nets_in_scope(e, [(20, "A"), (56, "A"), (110, "A")]))


def nets_in_scope(e: Evidence, nets: Sequence[Net]) -> list[Net]:
    """The nets that a claim looks at. A scaled-down comparison need not go to 110 layers; where it does, they count."""
    return [net for net in nets if net[0] < 110 or not e.is_scaled_down or len(e.net(net))]


def _parameters(e: Evidence, depth: int) -> int:
    table = e.complexity
    row = table[(table["dataset"] == "cifar10") & (table["depth"] == str(depth)) & (table["shortcut"] == "A")]
    return int(row["parameters"].iloc[0])


def plain_110(e: Evidence) -> Finding:
    """C03."""
    return limit(e, "test_error", (110, "none"), paper.PLAIN_110_ERROR_ABOVE, "greater")


def without_warmup(e: Evidence) -> Finding:
    """C25: footnote 5."""
    return alike(e, "test_error", (110, "A"), (110, "A"), SIMILAR_MARGIN, recipe="nowarmup")


def resnet_110(e: Evidence) -> Finding:
    """C26: the paper's mean."""
    return predicts(e, "test_error", (110, "A"), 6.61, PREDICTION_WIDTH)


def very_deep_trains(e: Evidence) -> Finding:
    """C28."""
    return limit(e, "train_error", (1202, "A"), 0.1, "less")


CLAIMS = (
    Claim(
        "C01",
        "Fig. 1 left, Fig. 6 left",
        "Plain nets: the deeper has the higher training error (degradation).",
        plain_training,
        in_miniature=True,
    ),
    Claim(
        "C02", "Fig. 1 right, Fig. 6 left", "Plain nets: test error rises with depth.", plain_test, in_miniature=True
    ),
    Claim("C03", "Fig. 6 caption", "Plain-110 does not train: its error stays above 60 %.", plain_110),
    Claim(
        "C06",
        "Secs. 1 and 4.1",
        "The degradation is not overfitting: it is in the training error as well.",
        not_overfitting,
        in_miniature=True,
    ),
    Claim("C09", "footnote 3", "Three times the steps do not remove the degradation.", longer_training),
    Claim(
        "C21", "Table 6, Fig. 6 middle", "Residual nets: test error falls with depth.", residual_test, in_miniature=True
    ),
    Claim(
        "C22",
        "Fig. 6 middle",
        f"Residual nets: training error does not rise with depth (by {RISE_MARGIN} points).",
        residual_training,
        in_miniature=True,
    ),
    Claim(
        "C23",
        "Fig. 6 left and middle",
        "At every depth the residual net tests better than the plain one.",
        residual_beats_plain,
        in_miniature=True,
    ),
    Claim("C24", "Sec. 4.2", "ResNet-110 is below 80 % training error after about 400 steps at 0.01.", warmup),
    Claim(
        "C25",
        "footnote 5",
        f"Without the warm-up ResNet-110 ends alike (within {SIMILAR_MARGIN} points).",
        without_warmup,
    ),
    Claim("C26", "Table 6", "ResNet-110 tests at 6.61 ± 0.16 %.", resnet_110),
    Claim(
        "C27", "Table 6", "ResNet-110 has fewer parameters than FitNet and Highway and a lower error.", small_and_good
    ),
    Claim(
        "C28", "Sec. 4.2, Fig. 6 right", "ResNet-1202 has no difficulty: training error below 0.1 %.", very_deep_trains
    ),
    Claim(
        "C29",
        "Table 6, Sec. 4.2",
        "ResNet-1202 tests worse than ResNet-110 at similar training error.",
        very_deep_overfits,
    ),
    Claim(
        "C30",
        "Fig. 7",
        "Residual nets have smaller responses than their plain twins.",
        smaller_responses,
        in_miniature=True,
    ),
    Claim("C31", "Fig. 7", "Deeper residual nets have smaller responses.", shrinking_responses, in_miniature=True),
)
