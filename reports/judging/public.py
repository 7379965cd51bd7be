"""What networks that others published, tested by us, say of each claim: beside our verdict, and never part of it.

A claim is judged by its own function, test, margin and level in the plan, with repositories in the place of seeds. Only
repositories that have all of the claim's networks take part, so that no network is compared with one of another
protocol. Their protocols differ, so a verdict is at most interim.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pandas as pd

from reports.gathering.public import Public
from reports.judging.cifar import nets_in_scope
from reports.judging.claim import Claim, Finding
from reports.judging.claims import CLAIMS, give_verdict
from reports.judging.comparison import CIFAR
from reports.judging.evidence import Evidence

# Our metrics, and the images on which a public network's errors are counted for them.
SPLITS = {"test_error": "test", "train_error": "train_augmented", "as_is_error": "train"}
METRICS = {"test_error", "train_error", "response"}


def public_evidence(public: Public) -> Evidence:
    """Public networks as evidence of their own: a row per network, numbered by its repository instead of a seed.

    The training error is that on cropped and flipped images, in evaluation mode. `as_is_error` is that on the images as
    they are.
    """
    networks = public.networks
    errors = {name: _percent(networks, split) for name, split in SPLITS.items()}
    responses = public.responses.groupby("run")["std"].mean()
    seeds = networks["repository"].map({name: i for i, name in enumerate(sorted(set(networks["repository"])))})
    own: Any = {"recipe": CIFAR.recipe, "seed": seeds, "warm_until": 0.0, "response": networks["run"].map(responses)}
    return Evidence(networks.assign(**own, **errors), CIFAR, is_public=True)


def public_if_any(public: Public) -> Evidence | None:
    """`public_evidence`, where there are any public networks."""
    return public_evidence(public) if len(public.networks) else None


def _percent(networks: pd.DataFrame, split: str) -> pd.Series[float]:
    return 100 * networks[f"{split}/wrong"].astype(float) / networks[f"{split}/seen"].astype(float)


def judge_public(public: Public, claims: Sequence[Claim] = CLAIMS) -> Mapping[str, Finding]:
    """The finding on each claim that is about errors or responses of CIFAR-10 networks, by the claim's number."""
    if public.networks.empty:
        return {}
    e = public_evidence(public)
    return {claim.id: _judge(claim, e) for claim in claims if _is_measured(claim)}


def _is_measured(claim: Claim) -> bool:
    nets, metrics = claim.planned.nets, set(claim.planned.metrics)
    return claim.comparison == CIFAR and metrics <= METRICS and not any(net.recipe for net in nets)


def _judge(claim: Claim, e: Evidence) -> Finding:
    nets = nets_in_scope(e, claim.planned)
    having = [set(e.net((net.depth, net.shortcut))["repository"]) for net in nets]
    complete = e.results[e.results["repository"].isin(set.intersection(*having))]
    if complete.empty:
        names = tuple(e.title((net.depth, net.shortcut)) for net in nets)
        return Finding(f"No repository has {' and '.join(names)}.", missing=names)
    found = claim.judge(replace(e, results=complete))
    return give_verdict(replace(found, cap="interim"), claim.planned, is_scaled_down=False)
