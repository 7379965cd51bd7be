"""How figures are drawn: colours, line styles, legends, and figures as files that are the same each time.

In curves the training error is dashed and the test error solid; elsewhere plain nets are dashed. A band spans the
seeds. The paper's own digitised curve stands thin behind ours.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MultipleLocator

from reports.figures.series import Panel, Series
from reports.judging.evidence import Net

# Each depth has one colour everywhere; readers who are colour-blind can tell them apart (seaborn's "colorblind").
COLOURS = {
    20: "#0173b2",
    32: "#de8f05",
    44: "#029e73",
    56: "#d55e00",
    110: "#cc78bc",
    1202: "#ca9161",
}
COLOURS |= {18: COLOURS[20], 34: COLOURS[56], 50: COLOURS[44], 101: COLOURS[110], 152: COLOURS[1202]}
DASHED = (0, (3, 1.5))
THIN = " Thin lines: the paper's own curves, digitised."
DIAMOND: Any = {"marker": "D", "linestyle": "none", "markeredgewidth": 0.8}  # public networks, tested by us
STRIP = (1.03, 0.03)  # where their points stand, right of the axes: the first network's place, and the next one's
STYLE: Any = {
    "svg.hashsalt": "resnet-study",
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "font.size": 9,
    "axes.titlesize": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.alpha": 0.3,
    "grid.linewidth": 0.5,
    "legend.frameon": False,
    "legend.fontsize": 8,
}


@dataclass(frozen=True)
class Drawing:
    """One figure: what is said about it now, and how it is drawn when its files are asked for.

    Attributes:
        name: The name of its files.
        caption: What stands below it.
        alternative: What a screen reader says.
        draw: Makes the figure; nothing is drawn until `figure`, `svg` or `png` is asked for.
    """

    name: str
    caption: str
    alternative: str
    draw: Callable[[], Figure]

    def figure(self) -> Figure:
        """The figure, drawn again in the report's style."""
        with rc_context(STYLE):
            return self.draw()

    @cached_property
    def svg(self) -> str:
        """The figure as an SVG element; the same bytes each time."""
        return self._files[0]

    @cached_property
    def png(self) -> bytes:
        """The figure as a PNG; the same bytes each time."""
        return self._files[1]

    @property
    def inline(self) -> str:
        """The SVG for standing beside others in one page: its ids are its own."""
        return re.sub(r'(\bid="|href="#|url\(#)', rf"\g<1>{self.name}-", self.svg)

    @cached_property
    def _files(self) -> tuple[str, bytes]:
        svg, png = io.StringIO(), io.BytesIO()
        with rc_context(STYLE):  # the style decides how a figure is saved, too
            figure = self.figure()
            FigureCanvasSVG(figure)
            figure.tight_layout(rect=(0, 0.06, 1, 1))
            figure.savefig(svg, format="svg", metadata={"Date": None, "Creator": None})
            figure.savefig(png, format="png", dpi=160, metadata={"Software": None})
        text = svg.getvalue()
        return re.sub(r"[ \t]+\n", "\n", text[text.index("<svg") :]), png.getvalue()


def panels_of(rows: int, columns: int, size: tuple[float, float], **more: Any) -> tuple[Figure, list[Axes]]:
    """A figure of `size` inches and its axes, row by row."""
    figure = Figure(figsize=size)
    return figure, list(figure.subplots(rows, columns, squeeze=False, **more).flat)


def draw_panel(axis: Axes, panel: Panel) -> None:
    """Draw the lines of a panel, and points of each layer in the same way."""
    for series in panel.series:
        draw_series(axis, series)


def draw_strip(axis: Axes, points: Sequence[Series]) -> None:
    """Draw what networks ended with in a strip right of the axes, a place for each network."""
    places = {net: STRIP[0] + STRIP[1] * i for i, net in enumerate(dict.fromkeys(series.net for series in points))}
    for series in points:
        x, look = [places[series.net]] * len(series.mean), point_style(series.net[0], series.dashed)
        axis.plot(x, series.mean, transform=axis.get_yaxis_transform(), clip_on=False, markersize=3.5, **look)


def draw_series(axis: Axes, series: Series) -> None:
    """Draw one line, thin where it is the paper's, with its band where it has one; public networks as points."""
    if series.is_public:
        axis.plot(series.x, series.mean, markersize=3, **point_style(series.net[0], series.dashed))
        return
    look = line_style(series.net[0], series.dashed)
    if series.is_paper:
        axis.plot(series.x, series.mean, linewidth=0.5, alpha=0.6, **look)
        return
    axis.plot(series.x, series.mean, linewidth=1.3, **look)
    if series.low:
        axis.fill_between(series.x, series.low, series.high, color=look["color"], alpha=0.15, linewidth=0)


def line_style(depth: int, dashed: bool) -> dict[str, Any]:
    """The colour of a depth, and dashes where they are due."""
    return {"color": COLOURS[depth], "linestyle": DASHED if dashed else "-"}


def point_style(depth: int, hollow: bool) -> dict[str, Any]:
    """A diamond in the colour of a depth."""
    return {**DIAMOND, "color": COLOURS[depth], "markerfacecolor": "none" if hollow else COLOURS[depth]}


def tens_of_thousands(axis: Axes, every: float) -> None:
    """Ticks at each `every` steps, written in units of 1e4 as the paper does."""
    axis.xaxis.set_major_locator(MultipleLocator(every))
    axis.xaxis.set_major_formatter(lambda step, _: f"{step / 1e4:g}")
    axis.set_xlabel("step (1e4)")


def net_legend(axis: Axes, nets: Iterable[tuple[Net, str]], columns: int = 2) -> None:
    """A legend of colours below a panel, an entry for each network and its name."""
    handles = [Line2D([], [], color=COLOURS[net[0]], label=label) for net, label in nets]
    axis.legend(handles=handles, loc="upper center", bbox_to_anchor=(0.5, -0.16), ncol=columns)


def split_legend(figure: Figure, is_paper_shown: bool, is_public_shown: bool = False) -> None:
    """A legend of line styles below a figure of curves, and of points beside them."""
    handles = [
        Line2D([], [], color="grey", label="test error"),
        Line2D([], [], color="grey", linestyle=DASHED, label="training error"),
    ]
    if is_paper_shown:
        handles.append(Line2D([], [], color="grey", linewidth=0.5, label="thin: the paper (digitised)"))
    if is_public_shown:
        public = "public networks, tested by us (filled: test, hollow: training)"
        handles.append(Line2D([], [], color="grey", markersize=3.5, label=public, **DIAMOND))
    figure.legend(handles=handles, loc="lower center", ncol=len(handles))


def style_handles(series: Sequence[Series], **more: Any) -> list[Line2D]:
    """Legend entries for lines that differ in colour and dashes, one for each network."""
    by_label = {one.label: one for one in series}
    looks = {s.label: (point_style if s.is_public else line_style)(s.net[0], s.dashed) for s in by_label.values()}
    return [Line2D([], [], label=label, markersize=3, **more, **look) for label, look in looks.items()]
