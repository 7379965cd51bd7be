"""How a panel is drawn from its numbers: lines, points, levels, and labels at the lines' ends."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, LogLocator, MaxNLocator, NullFormatter

from reports.figures.palette import GREY, colour
from reports.figures.series import Label, Panel, Series

LINE_HEIGHT = 10.0  # points between two labels
JOINT = 10.0  # points from the axes to the labels
# Options B and C have the hue and the lightness of A, and are told apart by dashes.
DASHES: dict[str, Any] = {"none": "-", "A": "-", "B": (0, (4, 1.5)), "C": (0, (1, 1.2))}


def draw_panel(axis: Axes, panel: Panel) -> None:
    """Draw everything that is in a panel; the axes' place in its figure must be final."""
    axis.set(xlim=panel.xlim, ylim=panel.ylim, xlabel=panel.xlabel)
    _set_ticks(axis, panel)
    for x in panel.borders:
        axis.axvline(x, color=GREY, linewidth=0.6, linestyle=(0, (1, 2)), label="border", zorder=1)
    for level in panel.levels:
        shade = colour(level.net) if level.net else GREY
        axis.axhline(level.y, color=shade, linewidth=0.8, linestyle=(0, (4, 2)), label=f"level {level.text}", zorder=1)
        if level.text and not level.net:
            axis.annotate(
                level.text, (1, level.y), (-2, 2), ("axes fraction", "data"), textcoords="offset points", ha="right"
            )
    for series in panel.series:
        draw_series(axis, series)
    _draw_labels(axis, panel.labels)


def _set_ticks(axis: Axes, panel: Panel) -> None:
    axis.set_xticks([x for x, _ in panel.xticks], [text for _, text in panel.xticks])
    if not panel.is_log:
        axis.yaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
        return
    axis.set_yscale("log")
    axis.set_ylim(panel.ylim)
    axis.yaxis.set_major_locator(LogLocator(numticks=6))
    axis.yaxis.set_minor_locator(FixedLocator([]))
    axis.yaxis.set_minor_formatter(NullFormatter())
    axis.yaxis.set_major_formatter("{x:g}")


def draw_series(axis: Axes, series: Series) -> None:
    """Draw one line: ours thin, the paper's wide and pale behind it, points of public networks as diamonds."""
    axis.plot(series.x, series.y, label=series.label, **look(series))


def look(series: Series) -> dict[str, Any]:
    """How a line is drawn."""
    shade = GREY if series.mark == "grey" else colour(series.net)
    if series.source == "public":
        return _points(shade, "D", 2.6, zorder=4) | {"clip_on": False}
    if series.mark == "dots":
        return _points(shade, "o", 3.2, zorder=3) | {"clip_on": False}
    if series.mark == "hollow":
        broken = {"linestyle": (0, (3, 2)), "linewidth": 0.9, "clip_on": False}
        return _points(shade, "o", 5.0, zorder=2) | broken | {"markerfacecolor": "none"}
    if series.source == "paper":
        return {"color": shade, "linewidth": 3.5, "alpha": 0.35, "zorder": 2}
    dashes: Any = (0, (4, 1.5)) if series.mark == "dashes" else DASHES[series.net[1]]
    return {"color": shade, "linewidth": 1.0, "linestyle": dashes, "zorder": 3}


def _points(shade: str, marker: str, size: float, zorder: float) -> dict[str, Any]:
    return {"color": shade, "marker": marker, "markersize": size, "linestyle": "none", "zorder": zorder}


def _draw_labels(axis: Axes, labels: Sequence[Label]) -> None:
    """Texts right of the axes, apart from each other, each with thin lines to the ends of its own."""
    low, high = axis.get_ylim()
    inside = sorted((label for label in labels if low <= label.y <= high), key=lambda label: label.y)
    box = axis.get_window_extent()
    width, height = (float(side) * 72 / axis.figure.dpi for side in (box.width, box.height))  # in points
    heights = [height * _place(axis, label.x, label.y)[1] for label in inside]
    look: dict[str, Any] = {"linewidth": 0.6, "clip_on": False, "zorder": 1, "transform": axis.transAxes}
    for label, to in zip(inside, spread(heights, LINE_HEIGHT, height), strict=True):
        for end in dict.fromkeys(label.ends):
            x, y = _place(axis, label.x, min(max(end, low), high))
            joint = (x, 1 + (JOINT - 2) / width), (y, to / height)
            axis.plot(*joint, color=colour(label.net), label="_joint", **look)
        axis.text(1 + JOINT / width, to / height, label.text, transform=axis.transAxes, va="center_baseline")


def _place(axis: Axes, x: float, y: float) -> tuple[float, float]:
    """A point as parts of the axes' width and height."""
    across, up = axis.transAxes.inverted().transform(axis.transData.transform((x, y)))
    return float(across), float(up)


def spread(heights: Sequence[float], gap: float, top: float) -> list[float]:
    """Move ascending heights apart until neighbours are a gap apart, as little as possible, between 0 and the top.

    >>> spread([10, 11, 50], 10, 100)
    [5.5, 15.5, 50.0]
    """
    groups: list[list[float]] = []  # of each the sum of (height - offset) and the number of members
    for height in heights:
        groups.append([height, 1])
        while len(groups) > 1 and _start(groups[-2], gap) + groups[-2][1] * gap > _start(groups[-1], gap):
            total, size = groups.pop()
            groups[-1] = [groups[-1][0] + total, groups[-1][1] + size]
    placed = [_start(group, gap) + gap * i for group in groups for i in range(int(group[1]))]
    over = max(0.0, placed[-1] - top) if placed else 0.0
    return [max(gap * i, place - over) for i, place in enumerate(placed)]


def _start(group: list[float], gap: float) -> float:
    """Where the lowest of a group stands when the group's middle is that of its members."""
    total, size = group
    return total / size - gap * (size - 1) / 2
