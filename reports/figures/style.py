"""A figure as files that are the same each time: SVG and PNG on white ground, and a panel each for one page."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from reports.figures.palette import GREY, INK, LINE, palette_css, variables
from reports.figures.panels import JOINT, draw_panel
from reports.figures.series import Panel
from reports.figures.svg import FONT_SIZE, compact

__all__ = ["NARROW", "WIDE", "Drawing", "palette_css"]

# A panel's width and height in inches: three wide ones or four narrow ones stand side by side in 72 rem, and a phone
# shows each at full size, or at 95 %, so that its text is not below 11 px.
WIDE, NARROW = (3.8, 2.6), (2.85, 2.3)
LEFT, BOTTOM, LINE_OF_TEXT, LETTER = 0.34, 0.4, 0.16, 0.072  # inches
LOG = 0.12  # inches that the ticks of a logarithmic axis need in addition
STYLE: Any = {
    "svg.hashsalt": "resnet-study",
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "font.size": FONT_SIZE,
    "axes.titlesize": FONT_SIZE,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.spines.left": False,
    "axes.edgecolor": GREY,
    "axes.facecolor": "none",
    "axes.grid": True,
    "axes.grid.axis": "y",
    "axes.axisbelow": True,
    "axes.labelpad": 2,
    "grid.color": LINE,
    "grid.linewidth": 0.6,
    "text.color": INK,
    "xtick.major.size": 0,
    "xtick.labelcolor": INK,
    "ytick.major.size": 0,
    "ytick.labelcolor": INK,
}


@dataclass(frozen=True)
class Drawing:
    """One figure: what is said about it now, and how it is drawn when its files are asked for.

    Attributes:
        name: The name of its files.
        title: What it shows, as found in the data: one short sentence without markup.
        caption: What stands below it.
        alternative: What a screen reader says.
        panels: What is in each panel.
        columns: The number of panels side by side in its files.
        size: Width and height of a panel in inches.
        draw: Draws a panel; nothing is drawn until `figure` or a file is asked for.
    """

    name: str
    title: str
    caption: str
    alternative: str
    panels: tuple[Panel, ...]
    columns: int
    size: tuple[float, float] = WIDE
    draw: Callable[[Axes, Panel], None] = draw_panel

    def figure(self) -> Figure:
        """All panels in one figure, drawn again in the report's style."""
        return self._figure(self.panels, self.columns)

    @cached_property
    def _whole(self) -> Figure:
        return self.figure()

    @cached_property
    def svg(self) -> str:
        """All panels as one SVG on white ground; the same bytes each time."""
        return compact(saved(self._whole, "svg", {"Date": None, "Creator": None}).decode(), "i", self.title)

    @cached_property
    def png(self) -> bytes:
        """All panels as a PNG; the same bytes each time."""
        return saved(self._whole, "png", {"Software": None})

    @cached_property
    def pdf(self) -> bytes:
        """All panels as a PDF; the same bytes each time."""
        return saved(self._whole, "pdf", {"CreationDate": None, "Creator": None, "Producer": None})

    @cached_property
    def inline(self) -> str:
        """The panels for a page, an SVG each, that wrap where it is narrow and take its colours (`palette_css`)."""
        panels = (self._inline(i, panel) for i, panel in enumerate(self.panels))
        return f'<div class="panels">\n{"".join(panels)}</div>\n'

    def _inline(self, i: int, panel: Panel) -> str:
        figure = self._figure([panel], 1)
        figure.patch.set_visible(False)
        svg = saved(figure, "svg", {"Date": None, "Creator": None}).decode()
        return compact(svg, f"{self.name}-{i}", panel.title, variables(), root="")

    def _figure(self, panels: Sequence[Panel], columns: int) -> Figure:
        rows, (width, height) = -(-len(panels) // columns), self.size
        left, bottom, right, top = self._margins
        with rc_context(STYLE):  # the style decides how axes are made
            figure = Figure(figsize=(columns * width, rows * height))
            for i, panel in enumerate(panels):
                x, y = i % columns * width, (rows - 1 - i // columns) * height
                inches = (x + left, y + bottom, width - left - right, height - bottom - top)
                sides = (columns * width, rows * height) * 2
                axis = figure.add_axes(tuple(a / b for a, b in zip(inches, sides, strict=True)))  # type: ignore[arg-type]
                axis.set_title(self._wrapped(panel.title), x=-(left - 0.04) / inches[2])
                self.draw(axis, panel)
        return figure

    @property
    def _margins(self) -> tuple[float, float, float, float]:
        """Left, bottom, right and top of the axes in inches, alike in all panels."""
        longest = max((len(label.text) for panel in self.panels for label in panel.labels), default=0)
        lines = max(self._wrapped(panel.title).count("\n") + 1 for panel in self.panels)
        left = LEFT + LOG * any(panel.is_log for panel in self.panels)
        right = JOINT / 72 + LETTER * longest + 0.08 if longest else 2 * LETTER
        return left, BOTTOM, right, LINE_OF_TEXT * lines + 0.14

    def _wrapped(self, title: str) -> str:
        """A title that is too long for one line breaks at its colon."""
        return title.replace(": ", "\n", 1) if len(title) * LETTER > self.size[0] - 0.1 else title


def saved(figure: Figure, format: str, metadata: dict[str, None]) -> bytes:
    """A figure as a file of this format; the same bytes each time."""
    file = io.BytesIO()
    with rc_context(STYLE):  # and how a figure is saved, too
        FigureCanvasSVG(figure)
        figure.savefig(file, format=format, dpi=160, metadata=metadata)
    return file.getvalue()
