"""The paper's numbers and nothing else: what our runs are held against.

Errors are in percent. Plain CIFAR nets stand in no table of the paper: their numbers, and all curves, were read off
the vector graphics of Figs. 1 and 6 (to about 0.03 points) and are called digitised wherever they stand.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pandas as pd

FOLDER = Path(__file__).parent


@dataclass(frozen=True)
class CifarResult:
    """One network on CIFAR-10 (Table 6; Fig. 6)."""

    depth: int
    shortcut: str
    parameters_millions: float
    test_error: float
    train_error: float  # digitised, mean of the last ten points
    mean: float | None = None  # Table 6 gives 110 layers as best (mean ± std) of five runs
    std: float | None = None

    @property
    def shown(self) -> str:
        """As the paper prints it."""
        return f"{self.test_error:.2f}" + (f" ({self.mean:.2f} ± {self.std:.2f})" if self.mean is not None else "")


CIFAR10: tuple[CifarResult, ...] = (
    CifarResult(20, "none", 0.27, 9.66, 1.31),
    CifarResult(32, "none", 0.46, 10.08, 1.44),
    CifarResult(44, "none", 0.66, 11.31, 2.69),
    CifarResult(56, "none", 0.85, 13.26, 5.77),
    CifarResult(20, "A", 0.27, 8.75, 0.65),
    CifarResult(32, "A", 0.46, 7.51, 0.28),
    CifarResult(44, "A", 0.66, 7.17, 0.18),
    CifarResult(56, "A", 0.85, 6.97, 0.10),
    CifarResult(110, "A", 1.7, 6.43, 0.06, mean=6.61, std=0.16),
    CifarResult(1202, "A", 19.4, 7.93, 0.09),
)
RUNS_OF_110 = 5  # behind the mean and the standard deviation of 110 layers (Table 6)
WARMUP_STEPS = 400  # "about 400 iterations" of ResNet-110 at 0.01 (Sec. 4.2)
CIFAR10_STEPS = 64_000
FIG6_TOP = 20.0  # Figs. 1 and 6 are cut off above 20 %

# Table 6's other rows: method, layers, millions of parameters, error
CIFAR10_OTHERS = (
    ("Maxout", "", "", "9.38"),
    ("NIN", "", "", "8.81"),
    ("DSN", "", "", "8.22"),
    ("FitNet", "19", "2.5", "8.39"),
    ("Highway", "19", "2.3", "7.54 (7.72 ± 0.16)"),
    ("Highway", "32", "1.25", "8.80"),
)

# Table 1: 1e9 multiply-adds; VGG-19 from Fig. 3, VGG-16 from Sec. 4.1
FLOPS = {"18": 1.8, "34": 3.6, "50": 3.8, "101": 7.6, "152": 11.3, "VGG-16": 15.3, "VGG-19": 19.6}


@dataclass(frozen=True)
class ImageNetResult:
    """One network on ImageNet's validation set: top-1 and top-5 error by test protocol."""

    depth: int
    shortcut: str
    tencrop: tuple[float, float | None] | None = None  # Tables 2 and 3
    dense: tuple[float, float] | None = None  # Table 4: single model, five scales
    centre: tuple[float, float] | None = None  # Fig. 4, digitised: validation, training; mean of the last five points


IMAGENET: tuple[ImageNetResult, ...] = (
    ImageNetResult(18, "none", (27.94, None), centre=(31.42, 31.44)),
    ImageNetResult(34, "none", (28.54, 10.02), centre=(32.49, 32.49)),
    ImageNetResult(18, "A", (27.88, None), centre=(31.08, 30.48)),
    ImageNetResult(34, "A", (25.03, 7.76), centre=(28.28, 24.87)),
    ImageNetResult(34, "B", (24.52, 7.46), (21.84, 5.71)),
    ImageNetResult(34, "C", (24.19, 7.40), (21.53, 5.60)),
    ImageNetResult(50, "B", (22.85, 6.71), (20.74, 5.25)),
    ImageNetResult(101, "B", (21.75, 6.05), (19.87, 4.60)),
    ImageNetResult(152, "B", (21.43, 5.71), (19.38, 4.49)),
)
# Others' rows of Tables 3, 4 and 5: method, top-1, top-5
TABLE3_OTHERS = (("VGG-16", "28.07", "9.33"), ("GoogLeNet", "", "9.15"), ("PReLU-net", "24.27", "7.38"))
TABLE4_OTHERS = (
    ("VGG (ILSVRC'14)", "", "8.43 (test set)"),
    ("GoogLeNet (ILSVRC'14)", "", "7.89"),
    ("VGG (v5)", "24.4", "7.1"),
    ("PReLU-net", "21.59", "5.71"),
    ("BN-inception", "21.99", "5.81"),
)
TABLE5 = (
    ("VGG (ILSVRC'14)", "7.32"),
    ("GoogLeNet (ILSVRC'14)", "6.66"),
    ("VGG (v5)", "6.8"),
    ("PReLU-net", "4.94"),
    ("BN-inception", "4.82"),
    ("ResNet (ILSVRC'15), six models", "3.57"),
)
BEST_ENSEMBLE = 3.57  # top-5 error of six models, on the test set
HIGHWAY_BEST_ERROR, HIGHWAY_PARAMETERS, FITNET_PARAMETERS = 7.54, 2.3e6, 2.5e6

NOT_ATTEMPTED = (
    (
        "Tables 7 and 8",
        "object detection on PASCAL VOC and COCO",
        "the study covers the classification part of the paper",
    ),
    ("Tables 9 to 11", "improvements of detection", "as above"),
    ("Table 12", "ImageNet detection", "as above"),
    ("Tables 13 and 14", "ImageNet localisation", "as above"),
)

CurvePanel = tuple[tuple[int, ...], str, str]  # depths, shortcut, and the file of its digitised curves
FIG6_PANELS: dict[str, CurvePanel] = {
    "plain": ((20, 32, 44, 56), "none", "fig6_plain.csv"),
    "residual": ((20, 32, 44, 56, 110), "A", "fig6_resnet.csv"),
    "very deep": ((110, 1202), "A", "fig6_1202.csv"),
}
FIG4_PANELS: dict[str, CurvePanel] = {
    "plain": ((18, 34), "none", "fig4_plain.csv"),
    "residual": ((18, 34), "A", "fig4_resnet.csv"),
}
FIG7_NETS = ((20, "none"), (56, "none"), (20, "A"), (56, "A"), (110, "A"))

# The networks that the paper trains, by data set and recipe; a comparison that is not here has no exhibit in the paper.
NETWORKS: dict[tuple[str, str], tuple[tuple[int, str], ...]] = {
    ("cifar10", "paper"): tuple((result.depth, result.shortcut) for result in CIFAR10),
    ("imagenet", "paper"): tuple((result.depth, result.shortcut) for result in IMAGENET),
}


def _networks(dataset: str, nets: Iterable[tuple[int, str]]) -> frozenset[tuple[str, int, str]]:
    return frozenset((dataset, *net) for net in nets)


def _of_panels(panels: dict[str, CurvePanel]) -> Iterable[tuple[int, str]]:
    return ((depth, shortcut) for depths, shortcut, _ in panels.values() for depth in depths)


# The exhibits that need training, and the networks of each: data set, depth, shortcut.
EXHIBITS: dict[str, frozenset[tuple[str, int, str]]] = {
    "Table 2": _networks("imagenet", [(18, "none"), (34, "none"), (18, "A"), (34, "A")]),
    "Table 3": _networks("imagenet", [(r.depth, r.shortcut) for r in IMAGENET if r.depth > 18]),
    "Table 4": _networks("imagenet", [(r.depth, r.shortcut) for r in IMAGENET if r.dense]),
    "Table 6": _networks("cifar10", [(r.depth, r.shortcut) for r in CIFAR10]),
    "Fig. 1": _networks("cifar10", [(20, "none"), (56, "none")]),
    "Fig. 4": _networks("imagenet", _of_panels(FIG4_PANELS)),
    "Fig. 6": _networks("cifar10", _of_panels(FIG6_PANELS)),
    "Fig. 7": _networks("cifar10", FIG7_NETS),
}


@cache
def curves(file: str) -> pd.DataFrame:
    """The digitised curves of one panel: columns net, split (train or test), step, error."""
    wide = pd.read_csv(FOLDER / "curves" / file)
    long = wide.melt("iter_1e4", var_name="curve", value_name="error").dropna()
    long[["net", "split"]] = long["curve"].str.rsplit("_", n=1, expand=True)
    long["split"] = long["split"].replace("val", "test")
    long["step"] = (long["iter_1e4"] * 10_000).round().astype(int)
    return long[["net", "split", "step", "error"]]


def error_curve(panels: Iterable[CurvePanel], depth: int, shortcut: str, split: str) -> pd.DataFrame:
    """The digitised curve of one network from the first of the panels that has it: net, split, step, error."""
    for depths, kind, file in panels:
        if depth in depths and kind == shortcut:
            found = curves(file)
            return found[found["net"].str.endswith(f"-{depth}") & (found["split"] == split)]
    return pd.DataFrame(columns=["net", "split", "step", "error"])


@cache
def responses() -> pd.DataFrame:
    """Fig. 7, digitised: columns net, layer, std."""
    wide = pd.read_csv(FOLDER / "curves" / "fig7_original.csv").rename(columns={"layer_index": "layer"})
    return wide.melt("layer", var_name="net", value_name="std").dropna()


@cache
def measured(dataset: str, depth: int, shortcut: str) -> dict[str, float]:
    """What the paper measured of a network, by the names of our metrics; the mean where it trained several."""
    if dataset == "cifar10":
        found = next((r for r in CIFAR10 if (r.depth, r.shortcut) == (depth, shortcut)), None)
        errors = {"test_error": found.mean or found.test_error, "train_error": found.train_error} if found else {}
        return errors | _response(f"{'plain' if shortcut == 'none' else 'ResNet'}-{depth}")
    nets = [r for r in IMAGENET if dataset == "imagenet" and (r.depth, r.shortcut) == (depth, shortcut)]
    return _imagenet_errors(nets[0]) if nets else {}


def _response(net: str) -> dict[str, float]:
    found = responses()
    mine = found[found["net"] == net]["std"]
    return {} if mine.empty else {"response": float(mine.mean())}


def _imagenet_errors(net: ImageNetResult) -> dict[str, float]:
    found: dict[str, float | None] = {}
    for protocol, errors in (("10crop", net.tencrop), ("dense", net.dense)):
        if errors:
            found |= {f"{protocol}/top1_error": errors[0], f"{protocol}/top5_error": errors[1]}
    if net.centre:
        found |= {"test_error": net.centre[0], "train_error": net.centre[1]}
    return {name: error for name, error in found.items() if error is not None}


@cache
def complexity() -> pd.DataFrame:
    """Parameters and multiply-adds of every network, counted by study/commands/complexity.py."""
    return pd.read_csv(FOLDER / "complexity.csv", keep_default_na=False, dtype={"depth": str})


@dataclass(frozen=True)
class Rerun:
    """What one public re-run got for one network; what its source does not say is empty or None.

    Attributes:
        dataset: `cifar10` or `imagenet`.
        source: Who published it.
        block: Which protocol of the source; networks of one block were trained alike and may be compared.
        net: The network in the paper's words, as ``ResNet-18 B``.
        shown: Its errors as published: ``8.04 (0.40)`` with the training error, ``30.4 / 10.8`` with top-5, ``failed``.
        test_errors: In percent, one for each run, or a single one where the source gives one.
        top5_error: In percent, on ImageNet.
        train_error: In percent.
        failed: The network did not train; then there is no error.
        runs: Number of runs.
        reported: Which epoch, or on ImageNet which test protocol.
        trained_on: The split: `50k`, `45k`.
        steps: Number of steps.
        epochs: Number of epochs.
        warmup: Its length, or `none`.
        batch: Images per step.
        excluded: Why no effect is computed from it; empty if one is.
        differs: What else differs from the paper.
    """

    dataset: str
    source: str
    block: str
    net: str
    shown: str
    test_errors: tuple[float, ...]
    top5_error: float | None
    train_error: float | None
    failed: bool
    runs: str
    reported: str
    trained_on: str
    steps: str
    epochs: str
    warmup: str
    batch: str
    excluded: str
    differs: str

    @property
    def test_error(self) -> float | None:
        """The mean over the runs."""
        return sum(self.test_errors) / len(self.test_errors) if self.test_errors else None

    @property
    def depth(self) -> int:
        """Number of layers."""
        return int(self.net.split("-")[1].split()[0])


FAILED = "failed"  # stands in peers.csv for the error of a network that did not train


@cache
def reruns() -> tuple[Rerun, ...]:
    """What public re-runs got, in the order of peers.csv: one entry for each network of a block."""
    with (FOLDER / "peers.csv").open(newline="") as file:
        return tuple(_rerun(row) for row in csv.DictReader(file))


def _rerun(row: dict[str, str]) -> Rerun:
    test, top5, train = (row.pop(name) for name in ("test_error", "top5_error", "train_error"))
    errors = [] if test in ("", FAILED) else test.split(", ")
    return Rerun(
        shown=(test or "–") + (f" / {top5}" if top5 else "") + (f" ({train})" if train else ""),
        test_errors=tuple(map(float, errors)),
        top5_error=float(top5) if top5 else None,
        train_error=float(train) if train else None,
        failed=test == FAILED,
        **row,
    )
