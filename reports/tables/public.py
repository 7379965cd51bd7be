"""Tables of networks that others published, tested by us: each network, and what they decide together."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from typing import Any, NamedTuple

import pandas as pd

from reports.judging.comparison import Net
from reports.judging.evidence import METRICS, Evidence
from reports.judging.paired import Effect, paired
from reports.paper import numbers as paper
from reports.tables.formats import NONE, anchor, effect, percent, short
from reports.tables.table import Table, TableCell, Target, numbers

PUBLIC_COLUMNS = (
    "network",
    "repository",
    "test errors",
    "test error %",
    "test error as published %",
    "training error, as they are %",
    "training error, cropped and flipped %",
    "training error as published %",
    "mean response",
    "trained on",
    "commit",
    "weights",
)
PUBLIC_CAPTION = (
    "One network each, trained by its authors and put through our test; none is a run of ours, and none enters a "
    "number of ours. Training errors are counted in evaluation mode on the images that the network was trained on: as "
    "they are, and cropped and flipped as its training had them. As published: by the authors, who may have counted "
    "training errors in another way. Weights: the first ten digits of the file's SHA-256."
)
EFFECT_COLUMNS = ("difference", "claim", "repositories", "mean (95 % interval)", "as claimed")
EFFECT_CAPTION = (
    "Differences within each repository, so that both networks had the same training, in percentage points or units of "
    "the response; above 0 is what the paper says. As claimed: in so many repositories. Training errors are those "
    "on cropped and flipped images."
)
PLAIN, RESIDUAL = "none", "A"
DEPTHS = (20, 32, 44, 56, 110)


class Difference(NamedTuple):
    """One network minus another, by the claims that it is about."""

    metric: str
    upper: Net
    lower: Net
    claims: str


def public_table(e: Evidence) -> Table:
    """A row per network: where it comes from, its errors by our count and by its authors'.

    Args:
        e: `public_evidence`.
    """
    rows = [_network_row(e, network) for network in e.results.to_dict("records")]
    right = numbers(PUBLIC_COLUMNS, 1, 9, 10, 11)
    return Table("Public networks, tested by us", PUBLIC_COLUMNS, rows, PUBLIC_CAPTION, right, "public-networks")


def _network_row(e: Evidence, network: dict[Hashable, Any]) -> tuple[TableCell, ...]:
    name = e.title((network["depth"], network["shortcut"]))
    test, train = _stated(network["repository"], name)
    return (
        Target(name, anchor(network["run"])),
        network["repository"],
        f"{network['test/wrong']:,.0f} of {network['test/seen']:,.0f}",
        percent(network["test_error"]),
        percent(test),
        percent(network["as_is_error"]),
        percent(network["train_error"]),
        percent(train),
        percent(network["response"]),
        network["protocol"],
        short(network["commit"]) if isinstance(network["commit"], str) else NONE,
        short(network["sha256"]),
    )


def _stated(repository: str, net: str) -> tuple[float | None, float | None]:
    """The test and the training error that a repository states of a network; its own last epoch comes first."""
    found = [rerun for rerun in paper.reruns() if (rerun.block, rerun.net) == (repository, net)]
    return (found[0].test_error, found[0].train_error) if found else (None, None)


def effect_table(e: Evidence) -> Table:
    """What the networks decide: plain against residual, deep against shallow, within each repository.

    Args:
        e: `public_evidence`.
    """
    rows = [row for difference in differences() if (row := _effect_row(e, difference))]
    return Table("What public networks show", EFFECT_COLUMNS, rows, EFFECT_CAPTION, frozenset({3, 4}), "public-effects")


def differences() -> Iterator[Difference]:
    """Every difference of two networks that a claim is about, each turned so that the claim has it above 0."""
    plain, residual = ([(depth, kind) for depth in DEPTHS] for kind in (PLAIN, RESIDUAL))
    pairs = list(zip(plain, residual, strict=True))
    yield from (Difference("test_error", *pair, "C23") for pair in pairs)
    yield from (Difference("train_error", *pair, "") for pair in pairs)
    yield from (Difference("train_error", deep, plain[0], "C01, C06") for deep in plain[1:])
    yield from (Difference("test_error", deep, plain[0], "C02, C06") for deep in plain[1:])
    yield from (Difference("train_error", residual[0], deep, "C22b") for deep in residual[1:])
    yield from (Difference("test_error", residual[0], deep, "C21") for deep in residual[1:])
    yield from (Difference("response", *pair, "C30") for pair in pairs)
    yield from (Difference("response", residual[0], deep, "C31") for deep in residual[1:])


def within(e: Evidence, difference: Difference) -> dict[str, float]:
    """The difference in each repository that has both networks, by its name."""
    upper, lower = (_by_repository(e, net, difference.metric) for net in (difference.upper, difference.lower))
    return {str(name): value for name, value in (upper - lower).dropna().items()}


def _by_repository(e: Evidence, net: Net, metric: str) -> pd.Series[float]:
    return e.net(net).set_index("repository")[metric].astype(float)


def _effect_row(e: Evidence, difference: Difference) -> tuple[TableCell, ...] | None:
    found = within(e, difference)
    if not found:
        return None
    label = f"{METRICS[difference.metric]}: {e.title(difference.upper)} - {e.title(difference.lower)}"
    each = ", ".join(f"{name} {value:+.2f}" for name, value in found.items())
    return label, difference.claims or NONE, each, *_mean(paired(label, list(found.values())))


def _mean(found: Effect) -> Sequence[str]:
    return effect(found.value, found.low, found.high), f"{found.positive} of {found.sources}"
