"""From history to figures in the paper's shape.

Training error is dashed, test error solid, the paper's own curve thin behind.
"""

from __future__ import annotations

import io
import re
from dataclasses import dataclass

import matplotlib

matplotlib.use("svg")

import matplotlib.pyplot as plt
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MultipleLocator

from reports import paper
from reports.tables import FULL, Group
from study.spec import title

DEPTH_COLOURS = dict(zip((20, 32, 44, 56, 110, 1202), sns.color_palette("colorblind", 6).as_hex(), strict=True))
STYLE = {
    **{"svg.hashsalt": "resnet-study", "svg.fonttype": "none", "font.family": "sans-serif"},
    **{"font.size": 9, "axes.titlesize": 10, "axes.spines.top": False, "axes.spines.right": False},
    **{"axes.grid": True, "grid.alpha": 0.3, "grid.linewidth": 0.5, "legend.frameon": False, "legend.fontsize": 8},
}


@dataclass(frozen=True)
class Drawing:
    """One figure as text: its SVG, a file name, a caption and what a screen reader says."""

    name: str
    svg: str
    caption: str
    alternative: str

    @property
    def inline(self) -> str:
        """The SVG for standing beside others in one page: its ids are its own."""
        return re.sub(r'(\bid="|href="#|url\(#)', rf"\g<1>{self.name}-", self.svg)


def error_curves(history: pd.DataFrame, results: pd.DataFrame, group: Group) -> Drawing:
    """Fig. 6: plain nets, residual nets, and for CIFAR-10 the two deepest; error against steps."""
    curves = _curves(history, group.of(results))
    full = group == FULL
    panels = {k: v for k, v in paper.FIG6_PANELS.items() if full or k != "very deep"}
    with plt.rc_context(STYLE):  # type: ignore[arg-type]
        figure, axes = plt.subplots(1, len(panels), figsize=(3.6 * len(panels), 3.9), sharey=not full, squeeze=False)
        for axis, (name, (depths, shortcut, file)) in zip(axes[0], panels.items(), strict=True):
            _panel(axis, curves[curves["shortcut"] == shortcut], depths, shortcut, group, file if full else None)
            axis.set_title({"plain": "plain nets", "residual": "residual nets"}.get(name, "110 and 1202 layers"))
        axes[0][0].set_ylabel("error (%)")
        if full:
            axes[0][2].set_xlim(3.5e4, 6.4e4)
        _split_legend(figure, full)
        figure.tight_layout(rect=(0, 0.06, 1, 1))
        svg = _svg(figure)
    where = "Fig. 6" if full else f"Fig. 6's shape, scaled down ({group.name})"
    return Drawing(
        f"fig6-{group.dataset}-{group.recipe}",
        svg,
        f"{where}. Training error dashed, test error solid; a band spans the seeds."
        + (" Thin lines: the paper's own curves, digitised." if full else ""),
        _alternative(curves, group),
    )


def _curves(history: pd.DataFrame, runs: pd.DataFrame) -> pd.DataFrame:
    """Long form: a row per run, step and split."""
    joined = history.merge(runs[["run", "depth", "shortcut"]], on="run")
    renamed = joined.rename(columns={"train/top1_error": "train", "test/top1_error": "test"})
    return renamed.melt(["run", "depth", "shortcut", "step"], ["train", "test"], var_name="split", value_name="error")


def _panel(
    axis: Axes, curves: pd.DataFrame, depths: tuple[int, ...], shortcut: str, group: Group, file: str | None
) -> None:
    curves = curves[curves["depth"].isin(depths)]
    if file:
        _paper_curves(axis, file)
        axis.set_ylim(0, paper.FIG6_TOP)
        axis.set_xlim(0, paper.CIFAR10_STEPS)
        axis.set_yticks([0, 5, 10, 20])  # as in the paper
        axis.xaxis.set_major_locator(MultipleLocator(1e4))
        axis.xaxis.set_major_formatter(lambda step, _: f"{step / 1e4:g}")
    if not curves.empty:
        sns.lineplot(
            curves,
            **{"x": "step", "y": "error", "hue": "depth", "style": "split", "palette": DEPTH_COLOURS},
            **{"style_order": ["test", "train"], "dashes": {"test": "", "train": (3, 1.5)}, "errorbar": ("pi", 100)},
            **{"linewidth": 1.3, "legend": False, "ax": axis},
        )
    axis.set_xlabel("step (1e4)" if file else "step")
    axis.set_ylabel("")
    shown = depths if file else sorted(curves["depth"].unique())
    handles = [Line2D([], [], color=DEPTH_COLOURS[d], label=title(group.dataset, d, shortcut)) for d in shown]
    axis.legend(handles=handles, loc="upper center", bbox_to_anchor=(0.5, -0.16), ncol=3 if file else 2)


def _paper_curves(axis: Axes, file: str) -> None:
    for (net, split), curve in paper.curves(file).groupby(["net", "split"]):
        depth = int(str(net).rsplit("-", 1)[1])
        line = "--" if split == "train" else "-"
        axis.plot(curve["step"], curve["error"], line, color=DEPTH_COLOURS[depth], linewidth=0.5, alpha=0.6)


def _split_legend(figure: Figure, full: bool) -> None:
    entries = [
        Line2D([], [], color="grey", label="test error"),
        Line2D([], [], color="grey", linestyle=(0, (3, 1.5)), label="training error"),
    ]
    thin = [Line2D([], [], color="grey", linewidth=0.5, label="thin: the paper (digitised)")] if full else []
    figure.legend(handles=entries + thin, loc="lower center", ncol=3)


def _alternative(curves: pd.DataFrame, group: Group) -> str:
    if curves.empty:
        return "The paper's curves alone: no run of ours yet."
    last = (
        curves[curves["step"] == curves["step"].max()]
        .groupby(["shortcut", "depth", "split"], sort=True)["error"]
        .mean()
    )
    ends = [f"{title(group.dataset, int(d), str(s))} {split} {error:.1f} %" for (s, d, split), error in last.items()]
    return "Error against steps. At the end: " + ", ".join(ends) + "."


def _svg(figure: Figure) -> str:
    """The figure as an SVG that is the same each time and can stand inside a page."""
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    plt.close(figure)
    text = buffer.getvalue()
    return re.sub(r"[ \t]+\n", "\n", text[text.index("<svg") :])
