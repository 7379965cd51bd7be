"""The paper's claims on ImageNet (Sec. 4.1, Tables 2 to 5, Fig. 4). Margins were set before any run was looked at."""

from __future__ import annotations

from reports.judging.claim import Finding, claim
from reports.judging.evidence import IMAGENET, Evidence, Net
from reports.judging.forms import alike, all_of, falling, higher, limit, not_higher
from reports.paper import numbers as paper

COMPARABLE_MARGIN = 0.5  # points of top-1 error; the paper's two 18-layer nets differ by 0.06
COMPETITIVE_MARGIN = 1.0  # points above VGG-16, where plain-34 is 0.47 above it
MARGINAL = 1.0  # points between shortcut options
TOP1, TOP5 = "10crop/top1_error", "10crop/top5_error"
DEEP: list[Net] = [(34, "B"), (50, "B"), (101, "B"), (152, "B")]


@claim(
    "C04",
    where="Table 2",
    says="Plain-34 has a higher validation error than plain-18.",
    sweeps=("imagenet_plain_vs_residual",),
    comparison=IMAGENET,
)
def plain_test(e: Evidence) -> Finding:
    """The 10-crop error of plain-34 lies above that of plain-18."""
    return higher(e, TOP1, (34, "none"), (18, "none"))


@claim(
    "C05",
    where="Fig. 4 left",
    says="Plain-34 has a higher training error than plain-18 throughout.",
    sweeps=("imagenet_plain_vs_residual",),
    comparison=IMAGENET,
)
def plain_training(e: Evidence) -> Finding:
    """The mean over the run stands for "throughout"; 93 % of the paper's own noisy points have it."""
    return higher(e, "train_curve", (34, "none"), (18, "none"))


@claim(
    "C08",
    where="Sec. 4.1",
    says=f"Plain-34 is still competitive: within {COMPETITIVE_MARGIN} point of VGG-16.",
    sweeps=("imagenet_plain_vs_residual",),
    comparison=IMAGENET,
)
def competitive(e: Evidence) -> Finding:
    """The 10-crop error lies below VGG-16's and the margin."""
    return limit(e, TOP1, (34, "none"), paper.VGG16_TENCROP + COMPETITIVE_MARGIN, "less")


@claim(
    "C10",
    where="footnote 4",
    says="Plain nets of bottlenecks degrade as well (101 against 50 layers).",
    sweeps=("imagenet_plain_bottlenecks",),
    comparison=IMAGENET,
)
def plain_bottlenecks(e: Evidence) -> Finding:
    """The training error of plain-101 lies above that of plain-50."""
    return higher(e, "train_error", (101, "none"), (50, "none"))


@claim(
    "C11",
    where="Table 2",
    says="ResNet-34 is better than ResNet-18.",
    sweeps=("imagenet_plain_vs_residual",),
    comparison=IMAGENET,
)
def reversed_by_residuals(e: Evidence) -> Finding:
    """With residual nets the order of depths is reversed."""
    return higher(e, TOP1, (18, "A"), (34, "A"))


@claim(
    "C12",
    where="Fig. 4 right",
    says="ResNet-34 trains considerably better than ResNet-18, and it generalises.",
    sweeps=("imagenet_plain_vs_residual",),
    comparison=IMAGENET,
)
def residual_training(e: Evidence) -> Finding:
    """Lower both in training over the whole run and in the last validation error."""
    return all_of(*(higher(e, metric, (18, "A"), (34, "A")) for metric in ("train_curve", "test_error")))


@claim(
    "C13",
    where="Table 2",
    says="ResNet-34 is better than plain-34.",
    sweeps=("imagenet_plain_vs_residual",),
    comparison=IMAGENET,
)
def residual_against_plain(e: Evidence) -> Finding:
    """The 10-crop error of plain-34 lies above that of ResNet-34."""
    return higher(e, TOP1, (34, "none"), (34, "A"))


@claim(
    "C14",
    where="Table 2",
    says=f"Plain-18 and ResNet-18 are comparable (within {COMPARABLE_MARGIN} points).",
    sweeps=("imagenet_plain_vs_residual",),
    comparison=IMAGENET,
)
def comparable(e: Evidence) -> Finding:
    """The 10-crop errors are equal, within the margin."""
    return alike(e, TOP1, (18, "none"), (18, "A"), COMPARABLE_MARGIN)


@claim(
    "C15",
    where="Fig. 4",
    says="ResNet-18 converges faster than plain-18 early on.",
    sweeps=("imagenet_plain_vs_residual",),
    comparison=IMAGENET,
)
def faster(e: Evidence) -> Finding:
    """The test error under the first learning rate is lower on average."""
    return higher(e, "early_error", (18, "none"), (18, "A"))


@claim(
    "C16",
    where="Table 3",
    says="All three shortcut options are better than plain.",
    sweeps=("imagenet_plain_vs_residual", "imagenet_shortcuts"),
    comparison=IMAGENET,
)
def every_option(e: Evidence) -> Finding:
    """Plain-34 has the higher 10-crop error against each option."""
    return all_of(*(higher(e, TOP1, (34, "none"), (34, option)) for option in "ABC"))


@claim(
    "C17",
    where="Table 3",
    says=f"B is slightly better than A, C than B (each by less than {MARGINAL} point).",
    sweeps=("imagenet_plain_vs_residual", "imagenet_shortcuts"),
    comparison=IMAGENET,
)
def options(e: Evidence) -> Finding:
    """B below A, C below B, and neither by much."""
    order = falling(e, TOP1, [(34, option) for option in "ABC"])
    return all_of(order, *(not_higher(e, TOP1, (34, a), (34, b), MARGINAL) for a, b in ("AB", "BC")))


@claim(
    "C18",
    where="Tables 3 and 4",
    says="50, 101 and 152 layers improve on 34, each on the one before.",
    sweeps=("imagenet_shortcuts", "imagenet_deep"),
    comparison=IMAGENET,
)
def deeper_is_better(e: Evidence) -> Finding:
    """Both 10-crop errors fall from each depth to the next."""
    return all_of(falling(e, TOP1, DEEP), falling(e, TOP5, DEEP))


@claim(
    "C20",
    where="Tables 4 and 5",
    says=f"One ResNet-152 beats all previous ensembles (top-5 below {paper.BEST_ENSEMBLE_TOP5} %).",
    sweeps=("imagenet_deep",),
    comparison=IMAGENET,
)
def beats_ensembles(e: Evidence) -> Finding:
    """A validation error against others' test errors, as in the paper."""
    return limit(e, "dense/top5_error", (152, "B"), paper.BEST_ENSEMBLE_TOP5, "less")
