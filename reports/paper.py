"""The paper's numbers and nothing else: what our runs are held against.

Errors are in percent. Plain CIFAR nets stand in no table of the paper: their numbers, and all curves, were read off
the vector graphics of Figs. 1 and 6 (to about 0.03 points) and are called digitised wherever they stand.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pandas as pd


@dataclass(frozen=True)
class CifarResult:
    """One network on CIFAR-10 (Table 6; Fig. 6)."""

    depth: int
    shortcut: str
    parameters_millions: float
    test_error: float
    train_error: float  # digitised, mean of the last ten points
    digitised: bool = False
    mean: float | None = None  # Table 6 gives 110 layers as best (mean ± std) of five runs
    std: float | None = None

    @property
    def shown(self) -> str:
        """As the paper prints it."""
        return f"{self.test_error:.2f}" + (f" ({self.mean:.2f} ± {self.std:.2f})" if self.mean is not None else "")


CIFAR10: tuple[CifarResult, ...] = (
    CifarResult(20, "none", 0.27, 9.66, 1.31, digitised=True),
    CifarResult(32, "none", 0.46, 10.08, 1.44, digitised=True),
    CifarResult(44, "none", 0.66, 11.31, 2.69, digitised=True),
    CifarResult(56, "none", 0.85, 13.26, 5.77, digitised=True),
    CifarResult(20, "A", 0.27, 8.75, 0.65),
    CifarResult(32, "A", 0.46, 7.51, 0.28),
    CifarResult(44, "A", 0.66, 7.17, 0.18),
    CifarResult(56, "A", 0.85, 6.97, 0.10),
    CifarResult(110, "A", 1.7, 6.43, 0.06, mean=6.61, std=0.16),
    CifarResult(1202, "A", 19.4, 7.93, 0.09),
)
PLAIN_110_ERROR_ABOVE = 60.0  # Fig. 6's caption: "the error of plain-110 is higher than 60% and not displayed"
CIFAR10_STEPS = 64_000
FIG6_TOP = 20.0  # Figs. 1 and 6 are cut off above 20 %

FIG6_PANELS: dict[str, tuple[tuple[int, ...], str, str]] = {
    "plain": ((20, 32, 44, 56), "none", "fig6_plain.csv"),
    "residual": ((20, 32, 44, 56, 110), "A", "fig6_resnet.csv"),
    "very deep": ((110, 1202), "A", "fig6_1202.csv"),
}


@cache
def curves(file: str) -> pd.DataFrame:
    """The digitised curves of one panel: columns net, split, step, error."""
    wide = pd.read_csv(Path(__file__).parent / "paper_curves" / file)
    long = wide.melt("iter_1e4", var_name="curve", value_name="error").dropna()
    long[["net", "split"]] = long["curve"].str.rsplit("_", n=1, expand=True)
    long["step"] = (long["iter_1e4"] * 10_000).round().astype(int)
    return long[["net", "split", "step", "error"]]
