"""What the figures draw: every line of every panel is looked up in the data that it stands for."""

from __future__ import annotations

import re
from dataclasses import replace
from itertools import pairwise
from statistics import mean

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from reports.figures import probes
from reports.figures.depth import final_errors
from reports.figures.fig1 import fig1
from reports.figures.fig4 import fig4
from reports.figures.fig6 import fig6
from reports.figures.fig7 import fig7
from reports.figures.palette import DARK, DEPTHS, RAMPS, WHITE, colour, contrast, palette_css, shades
from reports.figures.panels import spread
from reports.figures.series import Panel
from reports.figures.style import NARROW, WIDE, Drawing
from reports.figures.svg import path
from reports.figures.words import values
from reports.gathering import snapshot
from reports.judging.comparison import CIFAR, IMAGENET, Comparison, Net
from reports.judging.evidence import Evidence, values_of
from reports.page import render
from reports.page.model import Section
from reports.page.sections import report
from reports.paper import numbers as paper
from study.recipes import RECIPES
from tests.support import RESULTS, SNAPSHOT

WHOLE = snapshot.read(SNAPSHOT)
RECORDED = snapshot.read(RESULTS)
MINI = Evidence.of(RECORDED, Comparison("cifar10", "mini"))
DIGITS = Evidence.of(RECORDED, Comparison("digits", "mini"))
PLAIN: list[Net] = [(depth, "none") for depth in (20, 32, 44, 56)]
RESIDUAL: list[Net] = [(depth, "A") for depth in (20, 32, 44, 56, 110)]
KINDS = {
    "plain nets": PLAIN,
    "residual nets": RESIDUAL,
    "residual nets, enlarged": [*RESIDUAL, (1202, "A")],
}
IMAGENET_KINDS: dict[str, list[Net]] = {
    "plain nets": [(18, "none"), (34, "none")],
    "residual nets": [(18, "A"), (34, "A")],
}
SPLITS = {"test error (%)": "test", "validation error (%)": "test", "training error (%)": "train"}


def lines(axis: Axes, ending: str = "") -> dict[str, Line2D]:
    """The lines of a panel by their label; no two have the same."""
    chosen = [line for line in axis.get_lines() if re.fullmatch(rf"\w+-.*{ending}", str(line.get_label()))]
    found = {str(line.get_label()): line for line in chosen}
    assert len(found) == len(chosen)
    return found


def title(axis: Axes) -> str:
    return str(axis.get_title(loc="left")).replace("\n", ": ")


def texts(axis: Axes) -> list[str]:
    return [text.get_text() for text in axis.texts]


def verticals(axis: Axes) -> list[float]:
    return [float(line.get_xdata()[0]) for line in axis.get_lines() if line.get_label() == "border"]  # type: ignore[index]


def check_runs(axis: Axes, e: Evidence, history: pd.DataFrame, nets: list[Net], split: str) -> None:
    """Each run of the networks is one line of its own colour and evaluations, and there is no other run's."""
    ours = lines(axis, r", seed \d+")
    runs = {
        f"{e.title(net)}, seed {run['seed']}": (net, run["run"])
        for net in nets
        for run in e.net(net).to_dict("records")
    }
    assert set(ours) == set(runs)
    first = axis.get_xlim()[0]
    for label, (net, run) in runs.items():
        rows = history[(history["run"] == run) & (history["step"] >= first)]
        np.testing.assert_array_equal(ours[label].get_xdata(), rows["step"])
        np.testing.assert_array_equal(ours[label].get_ydata(), rows[f"{split}/top1_error"])
        assert ours[label].get_color() == colour(net)


@pytest.mark.parametrize("comparison", [CIFAR, Comparison("cifar10", "long")], ids=["paper", "long"])
def test_fig_6_has_a_line_for_each_run_of_each_panel(comparison: Comparison) -> None:
    e = Evidence.of(WHOLE, comparison)
    axes = fig6(WHOLE.history, e).figure().axes
    whole = [title(axis) for axis in axes]
    kinds = list(KINDS) if comparison == CIFAR else list(KINDS)[:2]
    assert whole == [f"{kind}: {error} error (%)" for error in ("test", "training") for kind in kinds]
    for axis in axes:
        kind, error = title(axis).split(": ")
        check_runs(axis, e, WHOLE.history, [net for net in KINDS[kind] if len(e.net(net))], SPLITS[error])
        assert verticals(axis) == list(RECIPES["cifar10"][comparison.recipe].drops)


def test_fig_4_says_validation_and_has_a_line_for_each_run() -> None:
    e = Evidence.of(WHOLE, IMAGENET)
    axes = fig4(WHOLE.history, e).figure().axes
    assert len(axes) == 4 and all(axis.get_ylim() == (20, 60) for axis in axes)
    for axis in axes:
        kind, error = title(axis).split(": ")
        assert error in ("validation error (%)", "training error (%)")
        check_runs(axis, e, WHOLE.history, IMAGENET_KINDS[kind], SPLITS[error])


def test_fig_1_has_training_left_and_test_right_once_it_has_a_run() -> None:
    e = Evidence.of(WHOLE, CIFAR)
    (drawing,) = fig1(WHOLE.history, e)
    left, right = drawing.figure().axes
    assert (title(left), title(right)) == ("plain nets: training error (%)", "plain nets: test error (%)")
    check_runs(left, e, WHOLE.history, [(20, "none"), (56, "none")], "train")
    check_runs(right, e, WHOLE.history, [(20, "none"), (56, "none")], "test")
    without = e.results[(e.results["shortcut"] != "none") | ~e.results["depth"].isin([20, 56])]
    assert fig1(WHOLE.history, replace(e, results=without)) == []


def test_the_papers_curves_lie_wide_and_pale_behind_ours() -> None:
    axes = {title(axis): axis for axis in fig6(WHOLE.history, Evidence.of(WHOLE, CIFAR)).figure().axes}
    for file, panel in (("fig6_plain.csv", "plain nets"), ("fig6_resnet.csv", "residual nets")):
        for (net, split), digitised in paper.curves(file).groupby(["net", "split"]):
            axis = axes[f"{panel}: {'test' if split == 'test' else 'training'} error (%)"]
            theirs, ours = lines(axis, ", the paper")[f"{net}, the paper"], lines(axis)[f"{net}, seed 0"]
            np.testing.assert_array_equal(theirs.get_ydata(), digitised["error"])
            assert theirs.get_color() == ours.get_color() and theirs.get_zorder() < ours.get_zorder()
            assert theirs.get_linewidth() > 3 * ours.get_linewidth() and (theirs.get_alpha() or 1) < 0.5


def test_the_enlarged_panels_show_the_end_and_the_deepest() -> None:
    axes = {title(axis): axis for axis in fig6(WHOLE.history, Evidence.of(WHOLE, CIFAR)).figure().axes}
    axis = axes["residual nets, enlarged: test error (%)"]
    assert axis.get_xlim() == (32_000, 64_000) and axis.get_ylim() == (5, 10)
    deepest = paper.curves("fig6_1202.csv").query("net == 'ResNet-1202' and split == 'test'")
    np.testing.assert_array_equal(lines(axis)["ResNet-1202, the paper"].get_ydata(), deepest["error"])
    assert set(texts(axis)) == {"20", "32", "44", "56", "110", "1202"}


def test_chance_is_marked_where_it_is_in_sight_and_all_panels_share_the_axis() -> None:
    axes = fig6(RECORDED.history, DIGITS).figure().axes
    for axis in axes:
        (level,) = [line for line in axis.get_lines() if line.get_label() == "level chance"]
        assert list(level.get_ydata()) == [90, 90] and "chance" in texts(axis)
    assert {axis.get_ylim() for axis in axes} == {(0, 100)}
    papers = fig6(WHOLE.history, Evidence.of(WHOLE, CIFAR)).figure().axes
    assert not any("chance" in texts(axis) for axis in papers)


def test_a_label_stands_at_the_error_of_the_table_and_is_joined_to_its_lines() -> None:
    panel = next(
        panel for panel in fig6(RECORDED.history, MINI).panels if panel.title == "plain nets: training error (%)"
    )
    label = next(label for label in panel.labels if label.text == "56")
    runs = RECORDED.results[RECORDED.results["run"].isin(MINI.net((56, "none"))["run"])]
    assert label.y == pytest.approx(runs["train_error"].mean())
    last = RECORDED.history[RECORDED.history["run"].isin(runs["run"])].groupby("run")["train/top1_error"].last()
    assert label.ends == (last.min(), last.max())


@given(st.lists(st.floats(0, 100), max_size=8).map(sorted))
def test_labels_keep_their_order_and_a_distance_and_stay_in_the_panel(heights: list[float]) -> None:
    placed = spread(heights, 10, 100)
    assert all(b - a >= 10 - 1e-6 for a, b in pairwise(placed))
    assert all(-1e-6 <= each <= 100 + 1e-6 for each in placed)


def test_labels_that_are_apart_stay_where_they_are() -> None:
    assert spread([10, 40, 90], 10, 100) == [10, 40, 90]
    assert spread([50, 50], 10, 100) == [45, 55]


def test_fig_7_has_plain_on_residual_nets_by_depth() -> None:
    e = Evidence.of(WHOLE, CIFAR)
    (drawing,) = fig7(WHOLE.responses, e)
    axes = drawing.figure().axes
    assert [title(axis) for axis in axes] == [f"{depth} layers: std of responses" for depth in (20, 56, 110)]
    assert len({axis.get_ylim() for axis in axes}) == 1
    for axis, depth in zip(axes, (20, 56, 110), strict=True):
        nets = [net for net in paper.FIG7_NETS if net[0] == depth]
        assert len(lines(axis)) == sum(len(e.net(net)) + 1 for net in nets)
        for net in nets:
            for run in e.net(net).to_dict("records"):
                stds = WHOLE.responses[WHOLE.responses["run"] == run["run"]]
                line = lines(axis)[f"{e.title(net)}, seed {run['seed']}"]
                np.testing.assert_array_equal(line.get_ydata(), stds["std"])
                np.testing.assert_allclose(line.get_xdata(), stds["layer"] / depth)
                assert line.get_color() == colour(net)
            theirs = paper.responses().query(f"net == '{e.title(net)}'")
            np.testing.assert_array_equal(lines(axis)[f"{e.title(net)}, the paper"].get_ydata(), theirs["std"])
    assert fig7(WHOLE.responses.head(0), Evidence.of(replace(WHOLE, runs=WHOLE.runs.head(0)), MINI.comparison)) == []


def test_the_title_of_fig_7_compares_the_largest_twins() -> None:
    e = Evidence.of(WHOLE, CIFAR)
    small, large = (e.net(net)["response"].mean() for net in ((56, "A"), (56, "none")))
    assert small < large
    (drawing,) = fig7(WHOLE.responses, e)
    expected = (
        f"The responses of ResNet-56 are smaller than those of plain-56: {small:.2f} against {large:.2f} on average"
    )
    assert drawing.title == expected


def probed(frame: pd.DataFrame, run: str, x: str) -> pd.DataFrame:
    return frame[frame["run"] == run].sort_values(x)


def test_gradients_have_a_panel_for_each_moment_on_one_axis() -> None:
    axes = probes.gradients(RECORDED.signals, MINI).figure().axes
    moments = {"before training": "start", "after one step": "one step", "after training": "now"}
    assert [title(axis) for axis in axes] == [f"{moment}: norm of the gradient" for moment in moments]
    assert len({axis.get_ylim() for axis in axes}) == 1 and all(axis.get_yscale() == "log" for axis in axes)
    for axis, moment in zip(axes, moments.values(), strict=True):
        rows = probed(RECORDED.signals[RECORDED.signals["moment"] == moment], "cifar10-56-none-mini-s0", "layer")
        line = lines(axis)["plain-56, seed 0"]
        np.testing.assert_array_equal(line.get_ydata(), rows["gradient"])
        np.testing.assert_allclose(line.get_xdata(), rows["layer"] / 56)


def test_blocks_are_dots_with_gaps_beside_the_whole_network() -> None:
    drawing = probes.blocks(RECORDED.blocks, MINI, RECORDED.deeper)
    rows = probed(RECORDED.blocks, "cifar10-20-A-mini-s0", "block")
    titles = {
        "change": "change of the input, |y - x| / |x|",
        "without": "test error without the block (%)",
        "linear": "error of a linear classifier (%)",
    }
    for axis, (column, expected) in zip(drawing.figure().axes, titles.items(), strict=True):
        assert title(axis) == expected
        line = lines(axis)["ResNet-20, seed 0"]
        np.testing.assert_array_equal(line.get_ydata(), rows[column])
        np.testing.assert_allclose(line.get_xdata(), rows["block"] / 9)
        assert (line.get_marker(), line.get_linestyle()) == ("o", "None")
        assert verticals(axis) == pytest.approx([9.5 / 27, 18.5 / 27])
    assert rows["change"].isna().sum() == 3, "the stem and the blocks that change the width"
    levels = {line.get_label(): line.get_ydata()[0] for line in drawing.figure().axes[1].get_lines()}  # type: ignore[index]
    assert levels["level ResNet-20"] == probed(RECORDED.deeper, "cifar10-20-A-mini-s0", "depth")["error"].item()


def of_depth(drawing: Drawing, comparison: Comparison, error: str) -> Panel:
    return next(panel for panel in drawing.panels if panel.title == f"{comparison.title}: {error} error (%)")


@pytest.mark.parametrize(("error", "column"), [("training", "train_error"), ("test", "test_error")])
def test_final_errors_are_a_dot_for_each_run_by_depth(error: str, column: str) -> None:
    drawing = final_errors(RECORDED)
    longest = Comparison("cifar10", "eighth")
    assert [panel.title for panel in drawing.panels] == [
        f"{comparison.title}: {split} error (%)" for comparison in (CIFAR, longest) for split in ("training", "test")
    ]
    for comparison in (CIFAR, longest):
        panel = of_depth(drawing, comparison, error)
        e, depths = Evidence.of(RECORDED, comparison), [text for _, text in panel.xticks]
        series = {one.label: one for one in panel.series}
        for kind, nets in (("plain", PLAIN), ("residual", RESIDUAL)):
            runs = [(depths.index(str(net[0])), y) for net in nets for y in e.net(net).sort_values("seed")[column]]
            dots = series[f"{kind}, runs"]
            assert list(zip(dots.x, dots.y, strict=True)) == runs and dots.mark == "dots"
            assert colour(dots.net) == colour((56, nets[0][1]))
            means = dict(zip(series[f"{kind}, mean"].x, series[f"{kind}, mean"].y, strict=True))
            for x in {x for x, _ in runs}:
                assert means[x] == pytest.approx(mean(y for at, y in runs if at == x))


def test_final_errors_have_the_papers_beside_them_and_no_line_over_a_depth_without_a_run() -> None:
    panel = of_depth(final_errors(RECORDED), CIFAR, "training")
    series = {one.label: one for one in panel.series}
    assert series["plain, the paper"].y == tuple(r.train_error for r in paper.CIFAR10 if r.shortcut == "none")
    assert series["plain, the paper"].mark == "hollow"
    ours, trained = series["plain, mean"], {net[0] for net in PLAIN if len(Evidence.of(RECORDED, CIFAR).net(net))}
    assert [y == y for y in ours.y] == [depth in trained for depth in (20, 32, 44, 56)]
    public = [series[f"{kind}, public"] for kind in ("plain", "residual")]
    assert sum(len(one.x) for one in public) == len(RECORDED.public.networks) and public[0].mark == "grey"


def test_final_errors_without_runs_are_the_papers() -> None:
    empty = replace(WHOLE, runs=WHOLE.runs.head(0), history=WHOLE.history.head(0))
    drawing = final_errors(empty)
    assert len(drawing.panels) == 2 and drawing.title == "Final error against depth, plain and residual nets"
    assert {label.text for label in drawing.panels[0].labels} == {"plain", "residual"}
    assert drawing.alternative == "CIFAR-10, the paper's recipe: no run yet."
    assert drawing.figure().axes


def test_the_title_says_which_ends_higher() -> None:
    assert final_errors(WHOLE).title.startswith(
        "plain-56 ends with a higher training error than plain-20, ResNet-56 with"
    )
    e = Evidence.of(WHOLE, CIFAR)
    assert fig6(WHOLE.history, e).title == final_errors(WHOLE).title
    turned = e.results.assign(train_error=-e.results["train_error"])
    assert fig6(WHOLE.history, replace(e, results=turned)).title.startswith("plain-56 ends with a lower training error")


def test_of_few_seeds_each_value_is_said() -> None:
    assert values([14.97, 39.44]) == "14.97, 39.44"
    assert values([1.0, 2.0, 3.0, 4.0]) == "2.50 ± 1.29 (n = 4)"


def test_the_alternative_has_the_numbers_of_the_table() -> None:
    said = fig6(RECORDED.history, MINI).alternative
    runs = MINI.net((56, "none")).sort_values("seed")
    train, test = (", ".join(f"{y:.2f}" for y in runs[column]) for column in ("train_error", "test_error"))
    assert f"plain-56: training {train}, test {test}" in said and len(runs) < 4
    many = DIGITS.net((56, "none"))["test_error"]
    assert f"test {many.mean():.2f} ± {many.std():.2f} (n = {len(many)})" in fig6(RECORDED.history, DIGITS).alternative


def test_a_run_that_never_left_its_warm_up_is_a_dot_but_not_in_the_mean_nor_in_the_numbers() -> None:
    runs, net = WHOLE.runs.copy(), (1202, "A")
    runs.loc[runs["run"].eq("cifar10-1202-A-paper-s3"), ["warm_until", "test/top1_error"]] = None, 88.0
    stuck = replace(WHOLE, runs=runs)
    series = {one.label: one for one in of_depth(final_errors(stuck), CIFAR, "test").series}
    means = dict(zip(series["residual, mean"].x, series["residual, mean"].y, strict=True))
    dots = [(x, y) for x, y in zip(series["residual, runs"].x, series["residual, runs"].y, strict=True)]
    assert len([y for x, y in dots if y == 88.0]) == 1
    at = next(x for x, y in dots if y == 88.0)
    trained = [y for x, y in dots if x == at and y != 88.0]
    assert len(trained) == 4 and means[at] == pytest.approx(mean(trained))
    said = values(values_of(Evidence.of(stuck, CIFAR), net, "test_error"))
    assert said.endswith("(n = 4)") and f"test {said}" in fig6(stuck.history, Evidence.of(stuck, CIFAR)).alternative


def test_without_runs_the_papers_curves_stand_alone() -> None:
    drawing = fig6(WHOLE.history.head(0), Evidence(WHOLE.results.head(0), CIFAR))
    assert drawing.alternative.endswith("The paper's curves alone: no run of ours yet.")
    axis = drawing.figure().axes[0]
    assert set(lines(axis)) == {f"plain-{depth}, the paper" for depth in (20, 32, 44, 56)}


def refuse(axis: Axes, panel: Panel) -> None:
    raise AssertionError("a figure was drawn")


def test_texts_and_the_check_draw_nothing() -> None:
    whole = report(WHOLE)
    refusing = replace(whole, hero=replace(whole.hero, draw=refuse), sections=[*map(refusing_part, whole.sections)])
    assert render.texts(refusing) == render.texts(whole)
    with pytest.raises(AssertionError, match="a figure was drawn"):
        render.page(refusing)


def refusing_part(part: Section) -> Section:
    drawings = [replace(one, draw=refuse) for one in part.drawings]
    return replace(part, drawings=drawings, folds=[*map(refusing_part, part.folds)])


def test_a_figure_has_the_same_bytes_each_time() -> None:
    drawing = probes.blocks(RECORDED.blocks, MINI, RECORDED.deeper)
    again = replace(drawing)
    assert drawing.svg == again.svg and drawing.png == again.png and drawing.pdf == again.pdf
    assert drawing.inline == again.inline
    assert ">change of the input, |y - x| / |x|</text>" in drawing.svg and 'fill="#ffffff"' in drawing.svg


def test_panels_of_a_page_are_images_of_their_own_in_its_colours() -> None:
    drawings = [final_errors(RECORDED), *fig1(RECORDED.history, Evidence.of(RECORDED, CIFAR))]
    inline = "".join(drawing.inline for drawing in drawings)
    panels = re.findall(r'<svg [^>]*width="([\d.]+)"[^>]*role="img" aria-label="([^"]+)"', inline)
    assert [name for _, name in panels] == [panel.title for drawing in drawings for panel in drawing.panels]
    assert all(float(width) <= 374 for width, _ in panels)
    ids = re.findall(r'\bid="([^"]+)"', inline)
    assert len(ids) == len(set(ids)) and set(re.findall(r'(?:href="#|url\(#)([^")]+)', inline)) == set(ids)
    assert not re.search(r'"#[0-9a-f]{6}"', inline), "a colour that does not follow the page"
    used = set(re.findall(r"var\((--[\w-]+)\)", inline)) - {"--line"}
    assert used and all(f"{name}:" in palette_css() for name in used)
    assert len(inline) < 3_500 * len(panels)


def test_text_is_large_enough_on_a_phone() -> None:
    """A phone of 390 px shows a panel 358 px wide; texts have 9 points, 12 px."""
    for width, _ in (WIDE, NARROW):
        assert 12 * min(1, 358 / (96 * width)) >= 11


@pytest.mark.parametrize("ground", [WHITE, DARK])
@pytest.mark.parametrize("kind", RAMPS)
def test_shades_stand_out_from_the_ground_and_from_each_other(kind: str, ground: str) -> None:
    ramp = [shades(kind, ground)[depth] for depth in DEPTHS]
    against = [contrast(shade, ground) for shade in ramp]
    assert against[0] >= 3 and against == sorted(against)
    assert all(contrast(a, b) >= 1.2 for a, b in pairwise(ramp))
    assert (colour((20, "none" if kind == "plain" else "A")) in ramp) == (ground == WHITE)


def test_every_depth_has_a_variable_on_both_grounds() -> None:
    light, dark = palette_css().split("@media")
    for kind in RAMPS:
        assert all(f"--{kind}-{depth}:#" in half for depth in DEPTHS for half in (light, dark))
        assert all(f"--{kind}-{depth}:var(--{kind}-" in light for depth in (18, 34, 50, 101, 152))
    assert len({colour((depth, "A")) for depth in (18, 34, 50, 101, 152)}) == 5
    assert contrast("#000000", "#ffffff") == pytest.approx(21)


def test_path_data_are_short_and_stay_within_half_a_pixel() -> None:
    """In tenths of a point."""
    assert path("M 10 20 L 10.52 20.04 L 12 18 z") == "M100 200l5 0 15-20z"
    assert path("M 0 0 L 5 0.1 L 10 0 M 1 1 L 1 4") == "M0 0l100 0M10 10l0 30"
    assert path("M 0 0 L 5 3 L 10 0") == "M0 0l50 30 50-30"
    assert path("M 0 2.5 C 0.66 2.5 1.3 2.24 1.77 1.77 z") == "M0 25C7 25 13 22 18 18z"
