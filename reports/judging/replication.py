"""How far our error of a network lies from the paper's, and whether that replicates it (Table 6)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal, NamedTuple

from reports.judging import stats
from reports.judging.evidence import papers_110
from reports.judging.plan import plan
from reports.paper.numbers import CifarResult

Outcome = Literal["within", "beyond", "open"]


class Replication(NamedTuple):
    """Our mean minus the paper's error, in points, with its 95 % interval, and whether that lies within the margin."""

    difference: float
    low: float
    high: float
    outcome: Outcome


def replication(errors: Sequence[float], theirs: CifarResult) -> Replication:
    """Compare our test errors with the paper's.

    Where the paper has the mean of several runs, the interval is Welch's. A single run of the paper's is taken as one
    more run of ours, as it has no spread of its own. One seed has no interval and leaves it open.

    Args:
        errors: One for each of our seeds that did not fail.
        theirs: The paper's network.
    """
    resolution, margin = plan().resolution["cifar10"]["test_error"], plan().replication_margin
    if theirs.mean is not None:
        found = stats.equal(stats.sample(errors, resolution), papers_110(), margin)
        return Replication(*found[:3], _outcome(found.low, found.high, margin))
    mean, _ = stats.mean_std(errors)
    low, high = (end - theirs.test_error for end in stats.prediction_interval(errors, resolution))
    return Replication(mean - theirs.test_error, low, high, _outcome(low, high, margin))


def _outcome(low: float, high: float, margin: float) -> Outcome:
    if math.isnan(low):
        return "open"
    if -margin < low and high < margin:
        return "within"
    return "beyond" if low > margin or high < -margin else "open"
