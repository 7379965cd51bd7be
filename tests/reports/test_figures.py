"""What the figures draw: every line of every panel is looked up in the data that it stands for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from reports.figures import probes
from reports.figures.fig1 import fig1
from reports.figures.fig4 import fig4
from reports.figures.fig6 import fig6
from reports.figures.fig7 import fig7
from reports.figures.hours import hours
from reports.figures.style import COLOURS, Drawing
from reports.gathering import snapshot
from reports.judging.evidence import CIFAR, IMAGENET, Comparison, Evidence, Net
from reports.page import render, sections
from reports.paper import numbers as paper
from tests.support import RESULTS, ROOT

WHOLE = snapshot.read(ROOT / "tests" / "fixtures" / "snapshot")
RECORDED = snapshot.read(RESULTS)
FIG6 = [
    ("plain nets", [(depth, "none") for depth in (20, 32, 44, 56)]),
    ("residual nets", [(depth, "A") for depth in (20, 32, 44, 56, 110)]),
]
FIG4 = [
    ("plain nets", [(18, "none"), (34, "none")]),
    ("residual nets, option A", [(18, "A"), (34, "A")]),
]
Look = tuple[str, bool]  # colour and whether it is dashed


def seeds(e: Evidence, net: Net) -> pd.DataFrame:
    """The evaluations of a network's seeds."""
    return WHOLE.history[WHOLE.history["run"].isin(e.net(net)["run"])]


def curve(e: Evidence, net: Net, split: str) -> tuple[float, ...]:
    """The error at each step, by hand: the mean over the network's seeds."""
    return tuple(seeds(e, net).pivot(index="step", columns="run", values=f"{split}/top1_error").mean(axis="columns"))


def lines(axis: Axes, is_paper: bool = False) -> dict[Look, Line2D]:
    """Our lines, or the paper's, which are thin; no two of them look alike."""
    chosen = [line for line in axis.get_lines() if (line.get_linewidth() < 1) == is_paper]
    looks = {(str(line.get_color()), line.get_linestyle() == "--"): line for line in chosen}
    assert len(looks) == len(chosen)
    return looks


def shown(line: Line2D) -> np.ndarray:
    return np.asarray(line.get_ydata(), dtype=float)


def legend(owner: Axes | Figure) -> dict[str, Look]:
    """What a legend says of each entry's look."""
    found = owner.get_legend() if isinstance(owner, Axes) else owner.legends[0]
    assert found is not None
    entries = zip(found.get_lines(), found.get_texts(), strict=True)
    return {text.get_text(): (str(line.get_color()), line.get_linestyle() == "--") for line, text in entries}


@pytest.mark.parametrize(
    ("draw", "comparison", "panels"), [(fig6, CIFAR, FIG6), (fig4, IMAGENET, FIG4)], ids=["fig6", "fig4"]
)
def test_training_is_dashed_and_the_test_error_solid_and_both_are_means_over_seeds(
    draw: Callable[[pd.DataFrame, Evidence], Drawing], comparison: Comparison, panels: list[tuple[str, list[Net]]]
) -> None:
    e = Evidence(WHOLE.results, comparison)
    figure = draw(WHOLE.history, e).figure()
    for axis, (title, nets) in zip(figure.axes, panels, strict=False):
        ours = lines(axis)
        assert axis.get_title() == title and len(ours) == 2 * len(nets)
        for net in nets:
            for split, dashed in (("train", True), ("test", False)):
                line = ours[COLOURS[net[0]], dashed]
                np.testing.assert_allclose(shown(line), curve(e, net, split))
                np.testing.assert_array_equal(line.get_xdata(), sorted(seeds(e, net)["step"].unique()))
            assert legend(axis)[e.title(net)] == (COLOURS[net[0]], False)
    styles = {label: dashed for label, (_, dashed) in legend(figure).items()}
    assert styles["training error"] and not styles["test error"]


def test_the_last_panel_of_fig_6_is_the_two_deepest() -> None:
    e = Evidence(WHOLE.results, CIFAR)
    axis = fig6(WHOLE.history, e).figure().axes[2]
    assert axis.get_title() == "110 and 1202 layers" and axis.get_xlim() == (35_000, 64_000)
    np.testing.assert_allclose(shown(lines(axis)[COLOURS[1202], False]), curve(e, (1202, "A"), "test"))


@pytest.mark.parametrize(
    ("column", "split", "label"), [(0, "train", "training error (%)"), (1, "test", "test error (%)")]
)
def test_fig_1_has_training_left_and_test_right_both_solid(column: int, split: str, label: str) -> None:
    e = Evidence(WHOLE.results, CIFAR)
    axis = fig1(WHOLE.history, e).figure().axes[column]
    ours, theirs = lines(axis), lines(axis, is_paper=True)
    assert axis.get_ylabel() == label
    assert set(ours) == set(theirs) == {(COLOURS[20], False), (COLOURS[56], False)}
    for depth in (20, 56):
        np.testing.assert_allclose(shown(ours[COLOURS[depth], False]), curve(e, (depth, "none"), split))
        digitised = paper.curves("fig6_plain.csv").query(f"net == 'plain-{depth}' and split == '{split}'")
        np.testing.assert_array_equal(shown(theirs[COLOURS[depth], False]), digitised["error"])


def test_the_papers_curves_stand_thin_behind_ours() -> None:
    axis = fig6(WHOLE.history, Evidence(WHOLE.results, CIFAR)).figure().axes[1]
    theirs = lines(axis, is_paper=True)
    for (net, split), digitised in paper.curves("fig6_resnet.csv").groupby(["net", "split"]):
        colour = COLOURS[int(str(net).split("-")[1])]
        np.testing.assert_array_equal(shown(theirs[colour, split == "train"]), digitised["error"])


def test_a_band_spans_the_lowest_and_the_highest_seed() -> None:
    e = Evidence(WHOLE.results, CIFAR)
    axis = fig1(WHOLE.history, e).figure().axes[1]
    band = next(band for band in axis.collections if isinstance(band, PolyCollection))
    errors = seeds(e, (20, "none")).groupby("step")["test/top1_error"]
    heights = band.get_paths()[0].vertices[:, 1]  # type: ignore[index]
    assert {round(float(y), 9) for y in heights} == {round(y, 9) for y in (*errors.min(), *errors.max())}


def test_fig_7_is_in_the_layers_order_above_and_sorted_below() -> None:
    e = Evidence(WHOLE.results, CIFAR)
    (drawing,) = fig7(WHOLE.responses, e)
    above, below = drawing.figure().axes
    assert above.get_xlabel() == "layer index (original)" and below.get_xlabel() == "layer index (sorted by magnitude)"
    for net in paper.FIG7_NETS:
        look = (COLOURS[net[0]], net[1] == "none")
        stds = WHOLE.responses[WHOLE.responses["run"].isin(e.net(net)["run"])].groupby("layer")["std"].mean()
        np.testing.assert_allclose(shown(lines(above)[look]), stds)
        np.testing.assert_allclose(shown(lines(below)[look]), sorted(stds, reverse=True))
        theirs = paper.responses().query(f"net == '{e.title(net)}'")["std"]
        np.testing.assert_array_equal(shown(lines(above, is_paper=True)[look]), theirs)
        np.testing.assert_array_equal(shown(lines(below, is_paper=True)[look]), sorted(theirs, reverse=True))
        assert legend(above)[e.title(net)] == look


PROBED = Evidence(RECORDED.results, Comparison("cifar10", "mini"))


def probed(frame: pd.DataFrame, net: Net, x: str, y: str) -> pd.Series[float]:
    rows = frame[frame["run"].isin(PROBED.net(net)["run"])]
    return rows.dropna(subset=[y]).pivot(index=x, columns="run", values=y).mean(axis="columns")


@pytest.mark.parametrize("net", [(20, "none"), (56, "none"), (20, "A"), (56, "A")])
def test_each_panel_of_gradients_shows_the_moment_that_it_names(net: Net) -> None:
    figure = probes.gradients(RECORDED.signals, PROBED).figure()
    assert [axis.get_title() for axis in figure.axes] == list(dict.fromkeys(RECORDED.signals["moment"]))
    for axis in figure.axes:
        moment = RECORDED.signals[RECORDED.signals["moment"] == axis.get_title()]
        line = lines(axis)[COLOURS[net[0]], net[1] == "none"]
        np.testing.assert_allclose(shown(line), probed(moment, net, "layer", "gradient"))
    assert legend(figure)[PROBED.title(net)] == (COLOURS[net[0]], net[1] == "none")


@pytest.mark.parametrize("net", [(20, "none"), (56, "none"), (20, "A"), (56, "A")])
def test_each_panel_of_blocks_shows_what_its_title_says(net: Net) -> None:
    titles = {
        "change of the input, |y - x| / |x|": "change",
        "test error without the block (%)": "without",
        "error of a linear classifier (%)": "linear",
    }
    figure = probes.blocks(RECORDED.blocks, PROBED).figure()
    assert [axis.get_title() for axis in figure.axes] == list(titles)
    for axis in figure.axes:
        expected = probed(RECORDED.blocks, net, "block", titles[axis.get_title()])
        line = lines(axis)[COLOURS[net[0]], net[1] == "none"]
        np.testing.assert_allclose(shown(line), expected)
        np.testing.assert_array_equal(line.get_xdata(), expected.index)


def test_the_scatter_of_hours_has_a_point_for_each_run() -> None:
    drawing = hours(WHOLE.results)
    for axis, (_, runs) in zip(drawing.figure().axes, WHOLE.results.groupby(["dataset", "recipe"]), strict=True):
        points = np.asarray(axis.collections[0].get_offsets())
        np.testing.assert_allclose(points, runs[["hours", "test_error"]].to_numpy())
    lowest = WHOLE.results.nsmallest(1, "test_error").iloc[0]
    assert f"{lowest['run']} is lowest, {lowest['test_error']:.2f} %" in drawing.alternative


def test_the_alternative_text_says_where_the_lines_end() -> None:
    e = Evidence(WHOLE.results, CIFAR)
    drawing = fig6(WHOLE.history, e)
    drawn = {
        f"{axis_end:.1f} %"
        for axis in drawing.figure().axes
        for axis_end in (shown(line)[-1] for line in lines(axis).values())
    }
    words = drawing.alternative.removeprefix("Error against steps. At the end: ").removesuffix(".").split(", ")
    said = {" ".join(word.split()[:2]): word.split(maxsplit=2)[2] for word in words}
    assert set(said.values()) == drawn
    assert said["plain-56 train"] == f"{curve(e, (56, 'none'), 'train')[-1]:.1f} %"


def test_without_runs_the_papers_curves_stand_alone() -> None:
    drawing = fig6(WHOLE.history.head(0), Evidence(WHOLE.results.head(0), CIFAR))
    assert drawing.alternative == "The paper's curves alone: no run of ours yet."
    axis = drawing.figure().axes[0]
    assert not lines(axis) and len(lines(axis, is_paper=True)) == 8
    assert fig7(WHOLE.responses.head(0), Evidence(WHOLE.results.head(0), Comparison("digits", "mini"))) == []


def refuse() -> Figure:
    raise AssertionError("a figure was drawn")


def test_texts_and_the_check_draw_nothing() -> None:
    parts = sections.sections(WHOLE)
    refusing = [replace(part, drawings=[replace(one, draw=refuse) for one in part.drawings]) for part in parts]
    assert render.texts(refusing, synthetic=True) == render.texts(parts, synthetic=True)
    with pytest.raises(AssertionError, match="a figure was drawn"):
        render.page("report.html.j2", refusing, synthetic=True)


def test_figures_are_saved_in_the_reports_own_style() -> None:
    """Text stays text, and ids do not change from one drawing to the next."""
    drawing = fig1(WHOLE.history, Evidence(WHOLE.results, CIFAR))
    assert ">training error (%)</text>" in drawing.svg
    assert drawing.svg == replace(drawing).svg and drawing.png == replace(drawing).png
