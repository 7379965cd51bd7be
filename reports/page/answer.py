"""The answer in words: does the paper's main result reproduce? One sentence a protocol, made from verdicts and errors.

README, REPORT.md, report.html, claims.json and the W&B report print these sentences and no others.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from reports.gathering.snapshot import Snapshot
from reports.judging.claim import Claim, Finding
from reports.judging.comparison import CIFAR, IMAGENET, Comparison, Net
from reports.judging.evidence import Evidence, values_of
from reports.judging.peers import public_reruns
from reports.judging.plan import plan
from reports.judging.public import public_evidence
from reports.paper import numbers as paper
from reports.tables.cifar import trained
from reports.tables.formats import FEW, each_or_mean, percent

Findings = Sequence[tuple[Claim, Finding]]
# The claims that decide it, the first that has its runs: the training error of plain nets over depths, plain-56 against
# plain-20, and on ImageNet plain-34 against plain-18.
DECIDING = ("C01", "C06", "C05")
WORDS = {"supported": "yes", "contradicted": "no", "inconclusive": "open"}
IN_MINIATURE = {"agrees": "yes, in miniature", "disagrees": "no, in miniature"}
MOST_NAMED = 3  # networks that one sentence lists


@dataclass(frozen=True)
class Answer:
    """One sentence: whether plain nets degrade with depth and residual nets do not.

    Attributes:
        about: The protocol, in words.
        word: The answer: yes, no, open.
        numbers: What it rests on, with n.
        comparison: Whose runs it is about; None for public networks and re-runs.
    """

    about: str
    word: str
    numbers: str
    comparison: Comparison | None = None

    @property
    def text(self) -> str:
        """The whole sentence."""
        return f"{self.about}: {self.word}. {self.numbers}"


def answers(snapshot: Snapshot, judged: dict[Comparison, Findings], tested: dict[str, Finding]) -> list[Answer]:
    """The answers of a snapshot, the paper's own protocol first.

    Args:
        snapshot: The runs.
        judged: The findings of each comparison, in the report's order.
        tested: What public networks say of each claim.
    """
    ours = [answer for comparison, found in judged.items() for answer in _ours(snapshot, comparison, found)]
    public = list(_public(snapshot, tested))
    if not ours:
        return [_nothing_yet(), *public]
    return [*ours[:1], *public, *ours[1:]] if ours[0].comparison == CIFAR else [*public, *ours]


def _ours(snapshot: Snapshot, comparison: Comparison, found: Findings) -> Iterator[Answer]:
    """The answer of one comparison; none where it has no run, or where no claim on degradation is about it."""
    e = Evidence.of(snapshot, comparison)
    by_claim = {claim.id: finding for claim, finding in found}
    nets, deciding = trained(e), _deciding(by_claim)
    if deciding:
        yield Answer(comparison.title, _word(by_claim[deciding]), _extremes(e, deciding), comparison)
    elif nets and comparison in (CIFAR, IMAGENET):
        yield Answer(comparison.title, "open", _trained(e, nets), comparison)


def _deciding(found: Mapping[str, Finding]) -> str | None:
    """The first claim on degradation whose networks have runs."""
    return next((claim for claim in DECIDING if claim in found and not found[claim].missing), None)


def _word(finding: Finding) -> str:
    if finding.verdict == "toy":
        return IN_MINIATURE.get(finding.direction, "open, in miniature")
    return WORDS[finding.verdict] + (" (interim)" if finding.interim else "")


def _extremes(e: Evidence, claim: str) -> str:
    """``Training error at 20 and 56 layers: plain 12.0/12.5 and 51.0 %, residual 9.8 and 9.5 % (n = 2, 1, 1, 1).``"""
    depths = [net.depth for net in plan().claims[claim].nets if net.is_plain]
    shallow, deep = min(depths), max(depths)
    nets: list[Net] = [(shallow, "none"), (deep, "none"), (shallow, "A"), (deep, "A")]
    errors = [values_of(e, net, "train_error") for net in nets]
    shown = [_short(values) for values in errors]
    counts = ", ".join(str(len(values)) for values in errors)
    says = f"Training error at {shallow} and {deep} layers: plain {shown[0]} and {shown[1]} %"
    return f"{says}, residual {shown[2]} and {shown[3]} % (n = {counts})."


def _short(values: pd.Series[float]) -> str:
    """``15.0/39.4`` for fewer than `FEW` seeds, else their mean."""
    return "/".join(f"{value:.1f}" for value in values) if len(values) < FEW else f"{values.mean():.1f}"


def _trained(e: Evidence, nets: set[Net]) -> str:
    """``2 of the paper's 10 networks have a run; test error plain-20 9.31 % (the paper 9.66), ...``"""
    deepest = sorted(nets, key=lambda net: (net[0], net[1] != "none"))[-MOST_NAMED:]
    named = [_beside_the_paper(e, net) for net in deepest]
    of = f"{len(nets & set(e.comparison.networks))} of the paper's {len(e.comparison.networks)} networks"
    return f"{of} have a run; test error {', '.join(named)}."


def _beside_the_paper(e: Evidence, net: Net) -> str:
    theirs = paper.measured(e.comparison.dataset, *net).get("test_error")
    beside = "" if theirs is None else f" (the paper {percent(theirs)})"
    return f"{e.title(net)} {each_or_mean(values_of(e, net, 'test_error'))} %{beside}"


def _public(snapshot: Snapshot, tested: dict[str, Finding]) -> Iterator[Answer]:
    """The answer of networks that others published, once a repository has plain nets of two depths."""
    deciding = _deciding(tested)
    if deciding is None:
        return
    e = public_evidence(snapshot.public)
    pairs = [e.net((depth, "none")).set_index("repository")["train_error"].astype(float) for depth in (20, 56)]
    steps = (pairs[1] - pairs[0]).dropna()
    numbers = (
        f"In training error plain-56 lies {' and '.join(f'{step:.1f}' for step in steps)} points above plain-20 "
        f"(n = {len(steps)} repositories)."
    )
    yield Answer("CIFAR-10, networks that others published, tested by us", _word(tested[deciding]), numbers)


def _nothing_yet() -> Answer:
    """What an empty study says: the paper's claim, what public re-runs say, how to begin."""
    shallow, deep, residual = (
        paper.measured("cifar10", *net)["train_error"] for net in ((20, "none"), (56, "none"), (56, "A"))
    )
    reruns = public_reruns("C02")
    others = f" Public re-runs are {reruns.outcome} it ({reruns.sources} sources)." if reruns else ""
    numbers = (
        f"The paper has a training error of {percent(shallow)} % for plain-20, {percent(deep)} % for plain-56 and "
        f"{percent(residual)} % for ResNet-56.{others} To begin: `make demo`, or a command of the coverage table."
    )
    return Answer("No run yet", "open", numbers)
