"""What is said of a figure: its finding in one sentence, and the numbers that it ends with.

All are of `Snapshot.results`, as in the tables.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from statistics import mean

import pandas as pd

from reports.figures.series import FINAL
from reports.judging.comparison import Net
from reports.judging.evidence import Evidence, values_of
from reports.tables.formats import FEW, each_or_mean


def values(errors: Sequence[float]) -> str:
    """``14.97, 39.44`` of few seeds, ``1.31 ± 0.04 (n = 5)`` where the tables show a deviation, too."""
    shown = each_or_mean(pd.Series(errors, dtype=float))
    return shown if len(errors) < FEW else f"{shown} (n = {len(errors)})"


def finals(e: Evidence, net: Net, split: str) -> list[float]:
    """The errors that a network's runs end with, by seed; runs that failed are left out, as in the tables."""
    return list(values_of(e, net, FINAL[split]))


def extremes(e: Evidence, nets: Iterable[Net]) -> list[Net]:
    """The shallowest and the deepest of the networks that have runs."""
    trained = sorted(net for net in nets if finals(e, net, "train"))
    return trained if len(trained) < 2 else [trained[0], trained[-1]]


def degradation(e: Evidence, plain: Iterable[Net], residual: Sequence[Net]) -> str:
    """Whether the deepest plain network ends with a higher training error than the shallowest, and its residual twin.

    Returns:
        A sentence without a full stop; empty where no two depths of a kind have runs.
    """
    shown = extremes(e, plain)
    alike = [net for net in residual if net[0] in {each[0] for each in shown}]  # twins of the plain ones if these ran
    twins = extremes(e, alike if len(extremes(e, alike)) == 2 else residual)
    pairs = [pair for pair in (shown, twins) if len(pair) == 2]
    return ", ".join(_compared(e, pair, is_first=i == 0) for i, pair in enumerate(pairs))


def _compared(e: Evidence, pair: list[Net], is_first: bool) -> str:
    shallow, deep = (mean(finals(e, net, "train")) for net in pair)
    how = "a higher" if deep > shallow else "a lower" if deep < shallow else "the same"
    what = "training error" if is_first else "one" if deep != shallow else "error"
    link = "than" if deep != shallow else "as"
    return f"{e.title(pair[1])} {'ends ' if is_first else ''}with {how} {what} {link} {e.title(pair[0])}"


def ends(e: Evidence, nets: Iterable[Net], test: str = "test") -> str:
    """Where networks end: ``plain-20: training 1.31, test 9.66; ...``; those without runs are left out.

    Args:
        e: The compared runs.
        nets: The networks.
        test: What the error on images that are not trained on is called.
    """
    said = [
        f"{e.title(net)}: training {values(finals(e, net, 'train'))}, {test} {values(finals(e, net, 'test'))}"
        for net in nets
        if finals(e, net, "test")
    ]
    return f"{'; '.join(said)}." if said else ""
