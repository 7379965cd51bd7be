"""The paper's claims on ImageNet (Sec. 4.1, Tables 2 to 5, Fig. 4). Margins were set before any run was looked at."""

from __future__ import annotations

from reports.judging.kinds import IMAGENET, Claim, Evidence, Finding, alike, all_of, falling, higher, limit, not_higher
from reports.paper import numbers as paper

COMPARABLE_MARGIN = 0.5  # points of top-1 error; the paper's two 18-layer nets differ by 0.06
COMPETITIVE_MARGIN = 1.0  # points above VGG-16, where plain-34 is 0.47 above it
MARGINAL = 1.0  # points between shortcut options
TOP1, TOP5 = "10crop/top1_error", "10crop/top5_error"
DEEP = [(34, "B"), (50, "B"), (101, "B"), (152, "B")]


def plain_test(e: Evidence) -> Finding:
    """C04."""
    return higher(e, TOP1, (34, "none"), (18, "none"))


def plain_training(e: Evidence) -> Finding:
    """C05: "throughout" is asked of the mean over the run; 93 % of the paper's own noisy points have it."""
    return higher(e, "train_curve", (34, "none"), (18, "none"))


def competitive(e: Evidence) -> Finding:
    """C08."""
    return limit(e, TOP1, (34, "none"), paper.VGG16_TENCROP + COMPETITIVE_MARGIN, "less")


def plain_bottlenecks(e: Evidence) -> Finding:
    """C10: footnote 4."""
    return higher(e, "train_error", (101, "none"), (50, "none"))


def reversed_by_residuals(e: Evidence) -> Finding:
    """C11."""
    return higher(e, TOP1, (18, "A"), (34, "A"))


def residual_training(e: Evidence) -> Finding:
    """C12."""
    return all_of(*(higher(e, metric, (18, "A"), (34, "A")) for metric in ("train_curve", "test_error")))


def residual_against_plain(e: Evidence) -> Finding:
    """C13."""
    return higher(e, TOP1, (34, "none"), (34, "A"))


def comparable(e: Evidence) -> Finding:
    """C14."""
    return alike(e, TOP1, (18, "none"), (18, "A"), COMPARABLE_MARGIN)


def faster(e: Evidence) -> Finding:
    """C15."""
    return higher(e, "early_error", (18, "none"), (18, "A"))


def every_option(e: Evidence) -> Finding:
    """C16."""
    return all_of(*(higher(e, TOP1, (34, "none"), (34, option)) for option in "ABC"))


def options(e: Evidence) -> Finding:
    """C17: B below A, C below B, and neither by much."""
    order = falling(e, TOP1, [(34, option) for option in "ABC"])
    return all_of(order, *(not_higher(e, TOP1, (34, a), (34, b), MARGINAL) for a, b in ("AB", "BC")))


def deeper_is_better(e: Evidence) -> Finding:
    """C18."""
    return all_of(falling(e, TOP1, DEEP), falling(e, TOP5, DEEP))


def beats_ensembles(e: Evidence) -> Finding:
    """C20: a validation error against others' test errors, as in the paper."""
    return limit(e, "dense/top5_error", (152, "B"), paper.BEST_ENSEMBLE_TOP5, "less")


def _claim(id: str, where: str, statement: str, judge: object) -> Claim:
    return Claim(id, where, statement, judge, comparisons=(IMAGENET,))  # type: ignore[arg-type]


CLAIMS = (
    _claim("C04", "Table 2", "Plain-34 has a higher validation error than plain-18.", plain_test),
    _claim("C05", "Fig. 4 left", "Plain-34 has a higher training error than plain-18 throughout.", plain_training),
    _claim(
        "C08", "Sec. 4.1", f"Plain-34 is still competitive: within {COMPETITIVE_MARGIN} point of VGG-16.", competitive
    ),
    _claim(
        "C10", "footnote 4", "Plain nets of bottlenecks degrade as well (101 against 50 layers).", plain_bottlenecks
    ),
    _claim("C11", "Table 2", "ResNet-34 is better than ResNet-18.", reversed_by_residuals),
    _claim(
        "C12",
        "Fig. 4 right",
        "ResNet-34 trains considerably better than ResNet-18, and it generalises.",
        residual_training,
    ),
    _claim("C13", "Table 2", "ResNet-34 is better than plain-34.", residual_against_plain),
    _claim("C14", "Table 2", f"Plain-18 and ResNet-18 are comparable (within {COMPARABLE_MARGIN} points).", comparable),
    _claim("C15", "Fig. 4", "ResNet-18 converges faster than plain-18 early on.", faster),
    _claim("C16", "Table 3", "All three shortcut options are better than plain.", every_option),
    _claim("C17", "Table 3", f"B is slightly better than A, C than B (each by less than {MARGINAL} point).", options),
    _claim("C18", "Tables 3 and 4", "50, 101 and 152 layers improve on 34, each on the one before.", deeper_is_better),
    _claim(
        "C20", "Tables 4 and 5", "One ResNet-152 beats all previous ensembles (top-5 below 4.82 %).", beats_ensembles
    ),
)
