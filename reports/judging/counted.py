"""The paper's claims on size and complexity: no run is needed, they are counted on the networks."""

from __future__ import annotations

from reports.judging.kinds import CIFAR, IMAGENET, Claim, Evidence, Finding, counted


def less_than_vgg(e: Evidence) -> Finding:
    """C19."""
    ours, others = _count(e, depth="152"), [_count(e, net=name) for name in ("VGG-16", "VGG-19")]
    sentence = (
        f"1e9 multiply-adds: ResNet-152 {ours / 1e9:.2f}, VGG-16 {others[0] / 1e9:.2f}, VGG-19 {others[1] / 1e9:.2f}."
    )
    return counted(ours < min(others), sentence)


def no_parameters(e: Evidence) -> Finding:
    """C32."""
    nets = e.complexity[(e.complexity["dataset"] == "cifar10") & e.complexity["shortcut"].isin(["none", "A"])]
    equal = bool((nets.groupby("depth")["parameters"].nunique() == 1).all())
    return counted(equal, f"Parameters of plain and option-A nets agree at {nets['depth'].nunique()} of 6 depths.")


def projection_doubles(e: Evidence) -> Finding:
    """C34: the block of Fig. 5 right, with its identity replaced by a projection."""
    size, work = (_ratio(e, column) for column in ("parameters", "multiply_adds"))
    sentence = f"A projection multiplies a bottleneck's parameters by {size:.2f} and its multiply-adds by {work:.2f}."
    return counted(1.8 < size < 2.2 and 1.8 < work < 2.2, sentence)


def _count(e: Evidence, net: str = "", depth: str = "") -> int:
    table = e.complexity
    rows = table[(table["dataset"] == "imagenet") & (table["net"] == net) & (table["depth"] == depth)]
    return int(rows["multiply_adds"].iloc[0])


def _ratio(e: Evidence, column: str) -> float:
    blocks = e.complexity.query("dataset == 'block' and net == 'bottleneck'").set_index("shortcut")[column]
    return float(blocks["C"] / blocks["A"])


CLAIMS = (
    Claim(
        "C19",
        "Table 1, Sec. 4.1",
        "152 layers are still less complex than VGG-16 and VGG-19.",
        less_than_vgg,
        (IMAGENET,),
    ),
    Claim(
        "C32",
        "Secs. 3.2 and 4.2",
        "Option A adds no parameters: plain and residual twins have as many.",
        no_parameters,
        (CIFAR,),
    ),
    Claim(
        "C34",
        "Sec. 4.1",
        "A projection in place of a bottleneck's identity doubles its size and work.",
        projection_doubles,
        (IMAGENET,),
    ),
)
