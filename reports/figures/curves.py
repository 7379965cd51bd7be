"""From history to figures in the paper's shape: its axes, ranges, line styles and order of panels.

Training error is dashed, test error solid, a band spans the seeds, the paper's own digitised curve stands thin behind.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterable
from dataclasses import dataclass

import matplotlib

matplotlib.use("svg")

import matplotlib.pyplot as plt
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import LogLocator, MultipleLocator, NullFormatter

from reports.judging.kinds import CIFAR, Evidence, Net
from reports.paper import numbers as paper

DEPTHS = (20, 32, 44, 56, 110, 1202)
COLOURS = dict(zip(DEPTHS, sns.color_palette("colorblind", len(DEPTHS)).as_hex(), strict=True))
COLOURS |= {18: COLOURS[20], 34: COLOURS[56], 50: COLOURS[44], 101: COLOURS[110], 152: COLOURS[1202]}
DASHED = (0, (3, 1.5))
STYLE = {
    **{"svg.hashsalt": "resnet-study", "svg.fonttype": "none", "font.family": "sans-serif"},
    **{"font.size": 9, "axes.titlesize": 10, "axes.spines.top": False, "axes.spines.right": False},
    **{"axes.grid": True, "grid.alpha": 0.3, "grid.linewidth": 0.5, "legend.frameon": False, "legend.fontsize": 8},
}


@dataclass(frozen=True)
class Drawing:
    """One figure: its SVG and PNG, a file name, a caption and what a screen reader says."""

    name: str
    svg: str
    png: bytes
    caption: str
    alternative: str

    @property
    def inline(self) -> str:
        """The SVG for standing beside others in one page: its ids are its own."""
        return re.sub(r'(\bid="|href="#|url\(#)', rf"\g<1>{self.name}-", self.svg)


def fig1(history: pd.DataFrame, e: Evidence) -> Drawing:
    """Fig. 1: training error (left) and test error (right) of plain nets with 20 and 56 layers."""
    with plt.rc_context(STYLE):  # type: ignore[arg-type]
        figure, axes = plt.subplots(1, 2, figsize=(7.2, 3.4))
        for axis, split in zip(axes, ("train", "test"), strict=True):
            mine = _curves(history, e, [(20, "none"), (56, "none")])
            _paper(axis, "fig6_plain.csv", depths=(20, 56), splits=(split,))
            _lines(axis, mine[mine["split"] == split], solid=True)
            _cifar_axes(axis)
            _legend(axis, e, [(20, "none"), (56, "none")])
            axis.set_ylabel("training error (%)" if split == "train" else "test error (%)")
        caption = "Fig. 1. Plain nets of 20 and 56 layers on CIFAR-10. Thin: the paper's own curves, digitised."
        return _drawing(figure, "fig1", caption, mine, e)


def fig6(history: pd.DataFrame, e: Evidence) -> Drawing:
    """Fig. 6: plain nets, residual nets, and for CIFAR-10 the two deepest."""
    full = e.comparison == CIFAR
    panels = {k: v for k, v in paper.FIG6_PANELS.items() if full or k != "very deep"}
    titles = {"plain": "plain nets", "residual": "residual nets", "very deep": "110 and 1202 layers"}
    with plt.rc_context(STYLE):  # type: ignore[arg-type]
        figure, axes = plt.subplots(1, len(panels), figsize=(3.6 * len(panels), 3.9), sharey=not full, squeeze=False)
        for axis, (name, (depths, shortcut, file)) in zip(axes[0], panels.items(), strict=True):
            nets = [(depth, shortcut) for depth in depths]
            if full:
                _paper(axis, file)
                _cifar_axes(axis)
            mine = _curves(history, e, nets)
            _lines(axis, mine)
            _legend(
                axis,
                e,
                nets if full else [net for net in nets if net[0] in set(mine["depth"])],
                columns=3 if full else 2,
            )
            axis.set(title=titles[name], ylabel="", xlabel="step (1e4)" if full else "step")
        axes[0][0].set_ylabel("error (%)")
        if full:
            axes[0][2].set_xlim(3.5e4, 6.4e4)
        _split_legend(figure, full)
        where = "Fig. 6" if full else f"Fig. 6's shape, scaled down ({e.comparison.name})"
        caption = f"{where}. Training error dashed, test error solid; a band spans the seeds."
        name = f"fig6-{e.comparison.slug}"
        return _drawing(figure, name, caption + (THIN if full else ""), _curves(history, e, None), e)


def fig4(history: pd.DataFrame, e: Evidence) -> Drawing:
    """Fig. 4: ImageNet, plain and residual nets of 18 and 34 layers; validation error of centre crops."""
    with plt.rc_context(STYLE):  # type: ignore[arg-type]
        figure, axes = plt.subplots(1, 2, figsize=(8.4, 3.9))
        for axis, (depths, shortcut, file) in zip(axes, paper.FIG4_PANELS.values(), strict=True):
            nets = [(depth, shortcut) for depth in depths]
            _paper(axis, file)
            _lines(axis, _curves(history, e, nets))
            axis.set(
                xlim=(0, 5.5e5), ylim=(20, 60), yticks=[20, 30, 40, 50, 60], xlabel="step (1e4)", ylabel="error (%)"
            )
            axis.set_title("plain nets" if shortcut == "none" else "residual nets, option A")
            _tens_of_thousands(axis, 1e5)
            _legend(axis, e, nets)
        _split_legend(figure, True)
        caption = "Fig. 4. ImageNet, training error dashed and validation error of the centre crop solid." + THIN
        return _drawing(
            figure, "fig4", caption, _curves(history, e, [(d, s) for s in ("none", "A") for d in (18, 34)]), e
        )


def fig7(responses: pd.DataFrame, e: Evidence) -> Drawing | None:
    """Fig. 7: standard deviation of layer responses, in the layers' order (top) and sorted (bottom)."""
    runs = e.comparison.of(e.results)
    mine = responses.merge(runs[["run", "depth", "shortcut"]], on="run")
    measured = set(zip(mine["depth"], mine["shortcut"], strict=True))
    nets = [net for net in paper.FIG7_NETS if e.comparison == CIFAR or net in measured]
    if not nets:
        return None
    theirs = paper.responses() if e.comparison == CIFAR else paper.responses().head(0)
    with plt.rc_context(STYLE):  # type: ignore[arg-type]
        figure, axes = plt.subplots(2, 1, figsize=(7.2, 5.6))
        for axis, ordered in zip(axes, (False, True), strict=True):
            for depth, shortcut in nets:
                line = style((depth, shortcut))
                net = theirs[theirs["net"] == e.title((depth, shortcut))]["std"]
                _response(axis, net, ordered, linewidth=0.5, alpha=0.6, **line)
                ours = mine[(mine["depth"] == depth) & (mine["shortcut"] == shortcut)].groupby("layer")["std"].mean()
                _response(axis, ours, ordered, linewidth=1.3, **line)
            axis.set(ylabel="std", xlabel="layer index" + (" (sorted by magnitude)" if ordered else " (original)"))
        handles = [Line2D([], [], label=e.title(net), **style(net)) for net in nets]  # type: ignore[arg-type]
        axes[0].legend(handles=handles, ncol=2, loc="upper right")
        caption = "Fig. 7. Standard deviations of each layer's response, after batch norm and before ReLU or addition"
        caption += f": mean over seeds ({e.comparison.name})." + (THIN if e.comparison == CIFAR else "")
        means = ", ".join(f"{e.title(net)} {e.net(net)['response'].mean():.2f}" for net in nets if not e.net(net).empty)
        return saved(figure, f"fig7-{e.comparison.slug}", caption, f"Mean over layers: {means or 'no run yet'}.")


def hours(results: pd.DataFrame) -> Drawing:
    """Test error against hours of training and evaluation, a point per run."""
    with plt.rc_context(STYLE):  # type: ignore[arg-type]
        groups = list(results.groupby(["dataset", "recipe"]))
        figure, axes = plt.subplots(1, max(1, len(groups)), figsize=(3.8 * max(1, len(groups)), 3.2), squeeze=False)
        for axis, ((dataset, recipe), runs) in zip(axes[0], groups, strict=False):
            _scatter(axis, runs)
            axis.set(title=f"{dataset}, {recipe}", xlabel="hours per run", ylabel="test error (%)")
        best = [runs.nsmallest(1, "test_error").iloc[0] for _, runs in groups]
        said = [f"{run['run']} is lowest, {run['test_error']:.2f} % in {run['hours']:.2g} hours." for run in best]
        return saved(
            figure, "hours", "Test error against hours of training and evaluation, a point per run.", " ".join(said)
        )


THIN = " Thin lines: the paper's own curves, digitised."


def _curves(history: pd.DataFrame, e: Evidence, nets: Iterable[Net] | None) -> pd.DataFrame:
    """Long form of the history: a row per run, step and split; all of its networks if none are named."""
    runs = e.comparison.of(e.results)[["run", "depth", "shortcut"]]
    if nets is not None:
        wanted = pd.MultiIndex.from_tuples(nets)
        runs = runs[pd.MultiIndex.from_frame(runs[["depth", "shortcut"]]).isin(wanted)]
    renamed = history.merge(runs, on="run").rename(columns={"train/top1_error": "train", "test/top1_error": "test"})
    return renamed.melt(["run", "depth", "shortcut", "step"], ["train", "test"], var_name="split", value_name="error")


def _lines(axis: Axes, curves: pd.DataFrame, solid: bool = False) -> None:
    """A line per depth and split: the mean over seeds, and a band from the lowest to the highest."""
    for depth, split in curves[["depth", "split"]].drop_duplicates().itertuples(index=False):
        part = curves[(curves["depth"] == depth) & (curves["split"] == split)]
        seeds = part.groupby("step")["error"]
        mean, low, high = seeds.mean(), seeds.min(), seeds.max()
        line = DASHED if split == "train" and not solid else "-"
        axis.plot(mean.index, mean, color=COLOURS[depth], linestyle=line, linewidth=1.3)
        axis.fill_between(mean.index, low, high, color=COLOURS[depth], alpha=0.15, linewidth=0)


def _paper(
    axis: Axes, file: str, depths: tuple[int, ...] = tuple(COLOURS), splits: tuple[str, ...] = ("train", "test")
) -> None:
    for (net, split), curve in paper.curves(file).groupby(["net", "split"]):
        depth = int(str(net).rsplit("-", 1)[1])
        if depth in depths and split in splits:
            line = DASHED if split == "train" and len(splits) > 1 else "-"
            axis.plot(curve["step"], curve["error"], linestyle=line, color=COLOURS[depth], linewidth=0.5, alpha=0.6)


def style(net: Net) -> dict[str, object]:
    """How a net's line is drawn: in its depth's colour, dashed where it is plain."""
    return {"color": COLOURS[net[0]], "linestyle": DASHED if net[1] == "none" else "-"}


def _response(axis: Axes, stds: pd.Series[float], ordered: bool, **line: object) -> None:
    values = sorted(stds, reverse=True) if ordered else list(stds)
    axis.plot(range(1, len(values) + 1), values, **line)  # type: ignore[arg-type]


def _scatter(axis: Axes, runs: pd.DataFrame) -> None:
    """A point per run over hours, in its depth's colour, grey where the paper has no such net; crosses are plain."""
    kind = runs["shortcut"].map(lambda s: "plain" if s == "none" else "residual")
    colours = dict.fromkeys(runs["depth"], "grey") | COLOURS
    markers = {"residual": "o", "plain": "X"}
    points = {"hue": "depth", "palette": colours, "style": kind, "markers": markers, "s": 28}
    sns.scatterplot(runs, x="hours", y="test_error", ax=axis, **points)
    axis.legend(fontsize=6)
    axis.set_xscale("log")
    axis.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.xaxis.set_major_formatter("{x:g}")
    axis.xaxis.set_minor_formatter(NullFormatter())


def _cifar_axes(axis: Axes) -> None:
    """The paper's: 0 to 64k steps in 1e4, 0 to 20 % with its ticks."""
    axis.set(xlim=(0, paper.CIFAR10_STEPS), ylim=(0, paper.FIG6_TOP), yticks=[0, 5, 10, 20], xlabel="step (1e4)")
    _tens_of_thousands(axis, 1e4)


def _tens_of_thousands(axis: Axes, every: float) -> None:
    axis.xaxis.set_major_locator(MultipleLocator(every))
    axis.xaxis.set_major_formatter(lambda step, _: f"{step / 1e4:g}")
    axis.set_xlabel("step (1e4)")


def _legend(axis: Axes, e: Evidence, nets: Iterable[Net], columns: int = 2) -> None:
    handles = [Line2D([], [], color=COLOURS[net[0]], label=e.title(net)) for net in nets]
    axis.legend(handles=handles, loc="upper center", bbox_to_anchor=(0.5, -0.16), ncol=columns)


def _split_legend(figure: Figure, thin: bool) -> None:
    entries = [
        Line2D([], [], color="grey", label="test error"),
        Line2D([], [], color="grey", linestyle=DASHED, label="training error"),
    ]
    last = [Line2D([], [], color="grey", linewidth=0.5, label="thin: the paper (digitised)")] if thin else []
    figure.legend(handles=entries + last, loc="lower center", ncol=3)


def _drawing(figure: Figure, name: str, caption: str, curves: pd.DataFrame, e: Evidence) -> Drawing:
    if curves.empty:
        return saved(figure, name, caption, "The paper's curves alone: no run of ours yet.")
    ends = curves[curves["step"] == curves.groupby("run")["step"].transform("max")]
    mean = ends.groupby(["shortcut", "depth", "split"], sort=True)["error"].mean().reset_index()
    rows = mean.itertuples(index=False, name=None)
    said = [f"{e.title((int(depth), shortcut))} {split} {error:.1f} %" for shortcut, depth, split, error in rows]
    return saved(figure, name, caption, "Error against steps. At the end: " + ", ".join(said) + ".")


def saved(figure: Figure, name: str, caption: str, alternative: str) -> Drawing:
    """The figure as files that are the same each time; the SVG can stand inside a page."""
    figure.tight_layout(rect=(0, 0.06, 1, 1))
    svg, png = io.StringIO(), io.BytesIO()
    figure.savefig(svg, format="svg", metadata={"Date": None, "Creator": None})
    figure.savefig(png, format="png", dpi=160, metadata={"Software": None})
    plt.close(figure)
    text = svg.getvalue()
    return Drawing(name, re.sub(r"[ \t]+\n", "\n", text[text.index("<svg") :]), png.getvalue(), caption, alternative)
