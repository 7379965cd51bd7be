"""The paper's claims on size and complexity: no run is needed, they are counted on the networks."""

from __future__ import annotations

from reports.judging.claim import Finding, claim
from reports.judging.evidence import IMAGENET, Evidence
from reports.judging.forms import counted

DOUBLE = (1.8, 2.2)  # what "doubles" allows


@claim(
    "C19",
    where="Table 1, Sec. 4.1",
    says="152 layers are still less complex than VGG-16 and VGG-19.",
    comparison=IMAGENET,
)
def less_than_vgg(e: Evidence) -> Finding:
    """Multiply-adds of ResNet-152 against both VGG nets."""
    ours, others = _count(e, depth="152"), [_count(e, net=name) for name in ("VGG-16", "VGG-19")]
    sentence = (
        f"1e9 multiply-adds: ResNet-152 {ours / 1e9:.2f}, VGG-16 {others[0] / 1e9:.2f}, VGG-19 {others[1] / 1e9:.2f}."
    )
    return counted(ours < min(others), sentence)


@claim(
    "C32",
    where="Secs. 3.2 and 4.2",
    says="Option A adds no parameters: plain and residual twins have as many.",
)
def no_parameters(e: Evidence) -> Finding:
    """Parameters of plain and option-A nets at each depth of Table 6."""
    nets = e.complexity[(e.complexity["dataset"] == "cifar10") & e.complexity["shortcut"].isin(["none", "A"])]
    equal = bool((nets.groupby("depth")["parameters"].nunique() == 1).all())
    return counted(equal, f"Parameters of plain and option-A nets agree at {nets['depth'].nunique()} of 6 depths.")


@claim(
    "C34",
    where="Sec. 4.1",
    says="A projection in place of a bottleneck's identity doubles its size and work.",
    comparison=IMAGENET,
)
def projection_doubles(e: Evidence) -> Finding:
    """The block of Fig. 5 right, with its identity replaced by a projection."""
    size, work = (_ratio(e, column) for column in ("parameters", "multiply_adds"))
    low, high = DOUBLE
    sentence = f"A projection multiplies a bottleneck's parameters by {size:.2f} and its multiply-adds by {work:.2f}."
    return counted(low < size < high and low < work < high, sentence)


def _count(e: Evidence, net: str = "", depth: str = "") -> int:
    table = e.complexity
    rows = table[(table["dataset"] == "imagenet") & (table["net"] == net) & (table["depth"] == depth)]
    return int(rows["multiply_adds"].iloc[0])


def _ratio(e: Evidence, column: str) -> float:
    blocks = e.complexity.query("dataset == 'block' and net == 'bottleneck'").set_index("shortcut")[column]
    return float(blocks["C"] / blocks["A"])
