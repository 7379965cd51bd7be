"""Figures made of pixels: a value for each cell of a grid by its colour, points in a plane, small images.

In a page each is a PNG of one pixel a cell with a transparent ground, which the browser enlarges: a few kilobytes.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from html import escape

import numpy as np
from matplotlib import colormaps, rc_context
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image

from reports.figures.style import STYLE, Drawing, saved

LEVELS = 255  # colours of a field; 0 is the transparent ground
CLOUD = 100  # pixels that a cloud of points is wide; a point is one
SIDE = 2.2  # inches of a map in a file
CLASSES = "tab10"
Palette = tuple[tuple[int, ...], ...]


@dataclass(frozen=True)
class Map:
    """One picture.

    Attributes:
        title: What it is of, short enough to stand above it.
        index: (height, width), a position in the palette for each pixel; 0 is transparent.
        palette: Red, green and blue of each colour.
        xlabel: What is from left to right, and from what to what.
        ylabel: What is from top to bottom.
        aspect: Its width over its height where it is shown.
    """

    title: str
    index: NDArray[np.uint8]
    palette: Palette
    xlabel: str = ""
    ylabel: str = ""
    aspect: float = 1.0

    @property
    def colours(self) -> NDArray[np.float64]:
        """(height, width, 4): red, green, blue and opacity from 0 to 1."""
        table = np.array([(*colour, 255 * (i > 0)) for i, colour in enumerate(self.palette)]) / 255
        colours: NDArray[np.float64] = table[self.index]
        return colours

    @cached_property
    def png(self) -> bytes:
        """One pixel for each cell."""
        image = Image.fromarray(self.index, "P")
        image.putpalette([level for colour in self.palette for level in colour])
        file = io.BytesIO()
        image.save(file, "PNG", optimize=True, transparency=0)
        return file.getvalue()


@dataclass(frozen=True)
class Maps(Drawing):
    """A figure whose panels are maps.

    Attributes:
        maps: Its panels.
    """

    maps: tuple[Map, ...] = ()

    def figure(self) -> Figure:
        """All maps in one figure."""
        rows = -(-len(self.maps) // self.columns)
        with rc_context(STYLE):
            figure = Figure(figsize=(self.columns * SIDE, rows * (SIDE + 0.4)), layout="constrained")
            axes = figure.subplots(rows, self.columns, squeeze=False).ravel()
            for axis in axes:
                axis.set_axis_off()
            for axis, each in zip(axes, self.maps, strict=False):
                axis.set_axis_on()
                axis.grid(False)
                axis.imshow(each.colours, aspect="auto", interpolation="nearest")
                axis.set_box_aspect(1 / each.aspect)
                axis.set(xticks=[], yticks=[], xlabel=each.xlabel, ylabel=each.ylabel)
                axis.set_title(each.title, fontsize=7)
        return figure

    @cached_property
    def svg(self) -> str:
        """All maps as one SVG on white ground; the same bytes each time."""
        return saved(self.figure(), "svg", {"Date": None, "Creator": None}).decode()

    @cached_property
    def inline(self) -> str:
        """The maps for a page, an image each with its texts as text."""
        maps = "".join(_inline(each) for each in self.maps)
        return f'<div class="panels maps" style="--columns:{self.columns}">\n{maps}</div>\n'


def _inline(each: Map) -> str:
    source = f"data:image/png;base64,{base64.b64encode(each.png).decode()}"
    around = " · ".join(filter(None, (each.xlabel and f"→ {each.xlabel}", each.ylabel and f"↓ {each.ylabel}")))
    texts = f"<b>{escape(each.title)}</b>", f"<small>{escape(around)}</small>" if around else ""
    image = f'<img src="{source}" alt="{escape(each.title)}" style="aspect-ratio:{each.aspect:.3g}">'
    return f'<span class="map">{texts[0]}{image}{texts[1]}</span>\n'


def field(
    title: str, values: NDArray[np.float64], limits: tuple[float, float], xlabel: str = "", ylabel: str = ""
) -> Map:
    """Values (height, width) from dark to bright; what is not a number is transparent."""
    low, high = limits
    shares = np.clip((values - low) / ((high - low) or 1), 0, 1)
    index = np.where(np.isfinite(values), 1 + np.nan_to_num(shares) * (LEVELS - 1), 0).astype(np.uint8)
    return Map(title, index, _viridis(), xlabel, ylabel)


def cloud(title: str, x: Sequence[int], y: Sequence[int], label: Sequence[int], most: int) -> Map:
    """Points in a plane, by class.

    Args:
        title: What they are.
        x: From 0 to `most`, to the right.
        y: From 0 to `most`, upwards.
        label: The class of each point.
        most: The largest coordinate.
    """
    index = np.zeros((CLOUD, CLOUD), np.uint8)
    across, up = ((np.array([x, y]) / most) * (CLOUD - 1)).astype(int)
    index[CLOUD - 1 - up, across] = 1 + np.array(label) % 10
    colours = [tuple(round(255 * level) for level in colour[:3]) for colour in colormaps[CLASSES].colors]  # type: ignore[attr-defined]
    return Map(title, index, ((255, 255, 255), *colours))


def picture(title: str, colours: NDArray[np.uint8]) -> Map:
    """An image (height, width, 3) in at most `LEVELS` - 1 colours; white is transparent."""
    reduced = Image.fromarray(colours).quantize(LEVELS - 1, dither=Image.Dither.NONE)
    levels = (reduced.getpalette() or [])[: 3 * LEVELS]
    palette = [tuple(levels[i : i + 3]) for i in range(0, len(levels), 3)]
    index = np.where((colours == 255).all(2), 0, np.asarray(reduced) + 1).astype(np.uint8)
    height, width = index.shape
    return Map(title, index, ((255, 255, 255), *palette), aspect=width / height)


def _viridis() -> Palette:
    steps = np.linspace(0, 1, LEVELS)
    colours = (255 * colormaps["viridis"](steps)[:, :3]).round().astype(int)
    return ((255, 255, 255), *(tuple(map(int, colour)) for colour in colours))
