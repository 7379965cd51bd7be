"""Final error against depth, plain nets beside residual ones: whether the study reproduces the paper, in one figure."""

from __future__ import annotations

from collections.abc import Iterator
from math import nan
from statistics import mean

from reports.figures.fig6 import DEEPEST, PLAIN, RESIDUAL
from reports.figures.series import FINAL, PLAIN_NETS, RESIDUAL_NETS, Label, Panel, Series
from reports.figures.style import NARROW, Drawing
from reports.figures.words import degradation, ends, extremes, finals
from reports.gathering.snapshot import Snapshot
from reports.judging.comparison import CIFAR, Comparison, Net
from reports.judging.evidence import Evidence
from reports.judging.public import public_if_any
from reports.paper import numbers as paper
from study.recipes import RECIPES

SPLITS = {"train": "training error (%)", "test": "test error (%)"}
SHADE = 56  # the depth whose colours the two kinds have
FURTHER = 0.35  # in categories, so that "1202" doesn't touch "110"
ASIDE = 0.18  # how far right of ours public networks stand, in categories


def final_errors(snapshot: Snapshot) -> Drawing:
    """The figure: the paper's own protocol, then the longest one that is scaled down and has both kinds of networks."""
    public = public_if_any(snapshot.public)
    evidence = [Evidence.of(snapshot, comparison) for comparison in (CIFAR, *_scaled_down(snapshot))]
    panels = [panel for e in evidence for panel in _panels(e, public if e.comparison == CIFAR else None)]
    others = " Grey diamonds: networks that others published, tested by us." if public else ""
    caption = (
        "Error at the end of training. A filled dot per run, lines through the means of those that did not fail. "
        f"Hollow, dashed: the paper, its training errors and plain nets read off Fig. 6.{others}"
    )
    said = " ".join(_said(e) for e in evidence)
    return Drawing("depth", _title(evidence), caption, said, tuple(panels), 4, NARROW)


def _scaled_down(snapshot: Snapshot) -> list[Comparison]:
    """The scaled-down comparison with plain and residual nets that has most steps; none if there is no such."""
    runs = snapshot.results
    found = [each for each in Comparison.among(runs) if each.scale == "toy" and not each.is_from_copy]
    both = [each for each in found if each.of(runs)["shortcut"].eq("none").nunique() == 2]
    return sorted(both, key=lambda each: -RECIPES[each.dataset][each.recipe].steps)[:1]


def _kinds(e: Evidence) -> dict[str, tuple[Net, ...]]:
    """Plain and residual networks, of which for the paper's own protocol those that it has."""
    if e.comparison == CIFAR:
        return {"plain": PLAIN, "residual": (*RESIDUAL, DEEPEST)}
    return {"plain": PLAIN_NETS[e.comparison.family], "residual": RESIDUAL_NETS[e.comparison.family]}


def _panels(e: Evidence, public: Evidence | None) -> Iterator[Panel]:
    """Training and test error, on one axis."""
    places = _places(e)
    lines = {split: list(_lines(e, split, places, public)) for split in SPLITS}
    top = 1.06 * max((y for series in lines.values() for one in series for y in one.y if y == y), default=1.0)
    for split, error in SPLITS.items():
        yield Panel(
            f"{e.comparison.title}: {error}",
            tuple(lines[split]),
            "layers",
            tuple((x, str(depth)) for depth, x in places.items()),
            (-0.4, max(places.values(), default=0) + 0.4),
            (0, top),
            _labels(lines[split]),
        )


def _places(e: Evidence) -> dict[int, float]:
    """The x of each depth that has a run or a number of the paper; 1202 layers only with a run, a bit further off."""
    nets = [net for kind in _kinds(e).values() for net in kind]
    depths = sorted({net[0] for net in nets if finals(e, net, "test") or (_theirs(e, net) and net != DEEPEST)})
    return {depth: i + (FURTHER if depth == DEEPEST[0] else 0.0) for i, depth in enumerate(depths)}


def _theirs(e: Evidence, net: Net) -> dict[str, float]:
    """What the paper measured of a network of its own protocol."""
    return paper.measured("cifar10", *net) if e.comparison == CIFAR else {}


def _lines(e: Evidence, split: str, places: dict[int, float], public: Evidence | None) -> Iterator[Series]:
    """Of each kind the paper's line, ours through the means, our runs, and public networks."""
    for kind, nets in _kinds(e).items():
        at = {net: places[net[0]] for net in nets if net[0] in places}
        look: Net = (SHADE, "none" if kind == "plain" else "A")
        theirs = {net: _theirs(e, net).get(FINAL[split], nan) for net in at}
        ours = {net: [*e.net(net)[FINAL[split]].dropna()] for net in at}
        means = {net: mean(errors) if (errors := finals(e, net, split)) else nan for net in at}
        yield Series(look, f"{kind}, the paper", tuple(at.values()), tuple(theirs.values()), "paper", "hollow")
        yield Series(look, f"{kind}, mean", tuple(at.values()), tuple(means.values()))
        yield _points(look, f"{kind}, runs", at, ours)
        if public:
            others = {net: finals(public, net, split) for net in at}
            aside = {net: x + ASIDE for net, x in at.items()}
            points = _points(look, f"{kind}, public", aside, others)
            yield Series(points.net, points.label, points.x, points.y, "public", "grey")


def _points(net: Net, label: str, at: dict[Net, float], errors: dict[Net, list[float]]) -> Series:
    """A dot for each of the errors."""
    points = [(at[each], error) for each, found in errors.items() for error in found]
    return Series(net, label, tuple(x for x, _ in points), tuple(y for _, y in points), mark="dots")


def _labels(series: list[Series]) -> tuple[Label, ...]:
    """The kind at the last point of ours, or of the paper's line where there is no run."""
    labels = []
    for kind in ("plain", "residual"):
        lines = [one for one in series if one.label in (f"{kind}, mean", f"{kind}, the paper")]
        points = [(x, y) for one in lines for x, y in zip(one.x, one.y, strict=True) if y == y]
        if points:
            x, y = max(points)
            labels.append(Label(kind, lines[0].net, y, x, (y, y)))
    return tuple(labels)


def _title(evidence: list[Evidence]) -> str:
    """The finding of the first comparison that has one; its plain nets must have two depths."""
    for e in evidence:
        found = degradation(e, *_kinds(e).values())
        if found and len(extremes(e, _kinds(e)["plain"])) == 2:
            return found if e.comparison == CIFAR else f"{e.comparison.title}: {found}"
    return "Final error against depth, plain and residual nets"


def _said(e: Evidence) -> str:
    """The errors of the shallowest and the deepest networks, in percent."""
    said = ends(e, [net for nets in _kinds(e).values() for net in extremes(e, nets)])
    return f"{e.comparison.title}, final errors in percent: {said}" if said else f"{e.comparison.title}: no run yet."
