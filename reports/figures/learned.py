"""Figures of what residual learning does: along the training, to single blocks, to representations, to the loss."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from reports.figures.maps import Map, Maps, cloud, field, picture
from reports.figures.series import Panel, Series, end_labels
from reports.figures.style import NARROW, Drawing
from reports.judging.comparison import Net
from reports.judging.evidence import Evidence
from reports.tables.probes import nets_of, of_comparison, of_net
from study.recording.along import APART

ROW = 8  # filters side by side
GRID = 255  # the largest coordinate of an embedding
CHANGES = {"removed": "blocks left out at random", "exchanged": "pairs of blocks exchanged at random"}
Numbers = NDArray[np.float64]


def pair(found: pd.DataFrame, e: Evidence) -> tuple[Net, ...]:
    """The deepest plain network of a table and its residual twin, as far as it has them."""
    nets = nets_of(of_comparison(found, e))
    depths = sorted({depth for depth, _ in nets}, key=lambda depth: (_both(nets, depth), depth))
    return tuple(net for net in nets if depths and net[0] == depths[-1])


def _both(nets: Sequence[Net], depth: int) -> bool:
    return len({shortcut for layers, shortcut in nets if layers == depth}) > 1


def _first(found: pd.DataFrame, e: Evidence, net: Net) -> pd.DataFrame:
    """The rows of a network's first seed."""
    mine = of_net(of_comparison(found, e), net)
    first: pd.DataFrame = mine[mine["run"] == mine["run"].min()]
    return first


def _whose(e: Evidence) -> str:
    """Whose networks a figure shows that has one of each kind."""
    return e.said if e.is_public else f"{e.said}, first seed of each network"


def gradients_along(along: pd.DataFrame, e: Evidence) -> Drawing:
    """The norm of the gradient of every layer at every evaluation, plain beside residual."""
    nets = pair(along, e)
    tables = {net: _first(along, e, net).pivot(index="layer", columns="step", values="gradient") for net in nets}
    logs = {net: _log(table.to_numpy()) for net, table in tables.items()}
    limits = _limits(logs.values())
    maps = [
        field(
            e.title(net),
            logs[net],
            limits,
            f"step {tables[net].columns[0]:,} to {tables[net].columns[-1]:,}",
            f"layer 1 to {len(tables[net])}",
        )
        for net in nets
    ]
    title = _apart(e, {net: table.max() / table.min() for net, table in tables.items()})
    caption = (
        f"Norm of the gradient of each layer's weights on the last batch before each evaluation, its logarithm from "
        f"{limits[0]:.1f} (dark) to {limits[1]:.1f}; {_whose(e)}."
    )
    return _maps(f"along-{e.slug}", title, caption, maps, 2)


def _apart(e: Evidence, ratios: dict[Net, pd.Series[float]]) -> str:
    """At most how far apart the gradients of the layers are, and how long they are far apart."""
    said = []
    for net, ratio in ratios.items():
        far = ratio[ratio > APART]
        until = f", above {APART:,.0f} up to step {far.index[-1]:,}" if len(far) else ""
        worst = ratio.max()
        said.append(f"{worst:,.{0 if worst >= 10 else 1}f}-fold in {e.title(net)}{until}")
    return f"Along the training the layers' gradients differ at most {' and '.join(said)}"


def lesions(found: pd.DataFrame, e: Evidence) -> Drawing:
    """The test error with more and more blocks left out, or exchanged: the median of the random choices."""
    nets = nets_of(of_comparison(found, e))
    panels = []
    for change, title in CHANGES.items():
        lines = [one for net in nets if (one := _median(found, e, net, change)).x]
        series = [*lines, *(_choices(found, e, one.net, change) for one in lines)]
        most = max((one.x[-1] for one in series), default=1)
        ticks = tuple((x, f"{x:g}") for x in np.unique(np.linspace(0, most, 6).round()))
        labels = end_labels(lines, {one.net: e.title(one.net) for one in lines}, {})
        panels.append(Panel(f"{title}: test error (%)", tuple(series), "number", ticks, (0, most), (0, 100), labels))
    caption = (
        f"Test error with blocks replaced by their shortcuts, in plain nets by the identity, and with blocks of one "
        f"stage in each other's place; a dot for each of three random choices, a line through their medians, at most "
        f"1,000 test images; {e.said}."
    )
    title = _without(e, [one for one in panels[0].series if one.mark == "line"])
    return Drawing(f"lesions-{e.slug}", title, caption, f"{title}.", tuple(panels), len(panels))


def _median(found: pd.DataFrame, e: Evidence, net: Net, change: str) -> Series:
    errors = _changed(found, e, net, change).groupby("count")["error"].median()
    return Series(net, e.title(net), tuple(map(float, errors.index)), tuple(errors))


def _choices(found: pd.DataFrame, e: Evidence, net: Net, change: str) -> Series:
    mine = _changed(found, e, net, change)
    return Series(net, e.title(net), tuple(map(float, mine["count"])), tuple(mine["error"]), mark="dots")


def _changed(found: pd.DataFrame, e: Evidence, net: Net, change: str) -> pd.DataFrame:
    return of_net(of_comparison(found[found["change"] == change], e), net)


def _without(e: Evidence, series: Sequence[Series], count: int = 3) -> str:
    """The errors of the deepest networks without some blocks."""
    deepest = max((one.net[0] for one in series), default=0)
    errors = [
        f"{e.title(one.net)} tests at {one.y[one.x.index(count)]:.0f} % ({one.y[0]:.0f} % as it is)"
        for one in series
        if one.net[0] == deepest and count in one.x
    ]
    return f"Without {count} blocks at random {' and '.join(errors) or 'nothing was measured'}"


def alignment(found: pd.DataFrame, e: Evidence) -> Drawing:
    """CKA of all pairs of blocks: within the plain net, within its residual twin, and between the two."""
    nets = pair(found, e)
    runs = {net: _first(found, e, net)["run"].iloc[0] for net in nets}
    pairs = [(a, b) for i, a in enumerate(nets) for b in nets[i:]]
    grids = {(a, b): grid for a, b in pairs if (grid := _cka(found, runs[a], runs[b])) is not None}
    maps = [
        field(
            f"{e.title(a)} with {'itself' if a == b else e.title(b)}",
            grid,
            (0, 1),
            f"blocks of {e.title(b)}",
            f"blocks of {e.title(a)}",
        )
        for (a, b), grid in grids.items()
    ]
    within = [f"{np.nanmean(grid):.2f} within {e.title(a)}" for (a, b), grid in grids.items() if a == b]
    between = [f"{np.nanmean(grid):.2f} between the two" for (a, b), grid in grids.items() if a != b]
    title = f"Blocks represent the test images alike: mean CKA {', '.join([*within, *between])}"
    caption = (
        "Linear centred kernel alignment, unbiased, of all pairs of blocks for at most 1,000 test images; "
        f"the stem is first, 0 is dark; {e.said}."
    )
    return _maps(f"alignment-{e.slug}", title, caption, maps, 3)


def _cka(found: pd.DataFrame, run: str, other: str) -> Numbers | None:
    mine = found[(found["run"] == run) & (found["other"] == other)]
    if mine.empty:  # measured the other way round
        turned = found[(found["run"] == other) & (found["other"] == run)]
        return turned.pivot(index="other_block", columns="block", values="cka").to_numpy() if len(turned) else None
    return mine.pivot(index="block", columns="other_block", values="cka").to_numpy()


def embeddings(found: pd.DataFrame, e: Evidence) -> Drawing:
    """Test images in a plane along the depth, plain above residual."""
    nets = pair(found, e)
    maps, last = [], {}
    for net in nets:
        mine = _first(found, e, net)
        for _, points in mine.groupby("place"):
            title = f"{e.title(net)}, {_place(points['name'].iloc[0])}"
            x, y, label = (points[name].astype(int).tolist() for name in ("x", "y", "label"))
            maps.append(cloud(title, x, y, label, GRID))
            last[net] = neighbours(points)
    said = " and ".join(f"{share:.0%} in {e.title(net)}" for net, share in last.items())
    title = f"After the last block the nearest image in the plane is of the same class for {said}"
    caption = (
        "At most 1,000 test images by class (colours), embedded by t-SNE of their 50 first principal components, after "
        f"the stem and three blocks along the depth; {_whose(e)}."
    )
    return _maps(f"embeddings-{e.slug}", title, caption, maps, max(1, len(maps) // max(1, len(nets))))


def neighbours(points: pd.DataFrame) -> float:
    """The share of points whose nearest other point is of their class."""
    places = points[["x", "y"]].to_numpy(float)
    distances = ((places[:, None] - places[None]) ** 2).sum(2)
    np.fill_diagonal(distances, np.inf)
    labels = points["label"].to_numpy()
    return float((labels[distances.argmin(1)] == labels).mean())


def _place(name: str) -> str:
    """``stage2.3`` -> ``stage 2, block 4``."""
    stage, _, block = name.partition(".")
    return f"stage {stage.removeprefix('stage')}, block {int(block) + 1}" if block else name


def landscape(found: pd.DataFrame, e: Evidence) -> Drawing:
    """A slice of the loss around each of the two networks."""
    nets = pair(found, e)
    grids = {net: _grid(_first(found, e, net)) for net in nets}
    logs = {net: _log(grid) for net, grid in grids.items()}
    limits = _limits(logs.values())
    maps = [
        field(
            e.title(net),
            log,
            limits,
            "one random direction",
            "another",
        )
        for net, log in logs.items()
    ]
    said = " and ".join(f"{_rise(grid):.2g} in {e.title(net)}" for net, grid in grids.items())
    title = f"A quarter of the filters' norms away from the network the loss is {said}, in the median"
    caption = (
        "Mean cross-entropy on 250 training images, 15 x 15 points within one norm of every filter along two random "
        f"directions (Li et al. 2018), the network in the middle; the logarithm from {limits[0]:.1f} (dark) to "
        f"{limits[1]:.1f}; {_whose(e)}."
    )
    return _maps(f"landscape-{e.slug}", title, caption, maps, 2)


def filters(found: pd.DataFrame, e: Evidence) -> Drawing:
    """The filters of the first layer of the two networks."""
    nets = pair(found, e)
    maps = [picture(e.title(net), _tiles(_first(found, e, net))) for net in nets]
    title = f"Filters of the first layer of {' and '.join(e.title(net) for net in nets)}"
    caption = f"Each filter's weights as a colour, from its lowest to its highest; {_whose(e)}."
    return _maps(f"filters-{e.slug}", title, caption, maps, 2)


def _tiles(mine: pd.DataFrame) -> NDArray[np.uint8]:
    """All filters side by side, `ROW` in a row, a white pixel apart: (height, width, 3)."""
    shape = tuple(int(mine[name].max()) + 1 for name in ("filter", "channel", "row", "column"))
    weights = mine.sort_values(["filter", "channel", "row", "column"])["weight"].to_numpy(float).reshape(shape)
    low, high = weights.min((1, 2, 3), keepdims=True), weights.max((1, 2, 3), keepdims=True)
    levels = (254 * (weights - low) / np.maximum(high - low, 1e-12)).round().astype(np.uint8)
    images = np.repeat(levels, 3, 1) if shape[1] == 1 else levels
    padded = np.pad(images, ((0, -shape[0] % ROW), (0, 0), (0, 1), (0, 1)), constant_values=255)
    rows = padded.reshape(-1, ROW, *padded.shape[1:])  # (rows, in a row, channel, height, width)
    tiled: NDArray[np.uint8] = rows.transpose(0, 3, 1, 4, 2).reshape(len(rows) * rows.shape[3], -1, 3)
    return tiled


def _grid(mine: pd.DataFrame) -> Numbers:
    return mine.pivot(index="row", columns="column", values="loss").to_numpy()


def _rise(grid: Numbers) -> float:
    """The median loss on the square a quarter of the way from the middle to the edge."""
    middle = len(grid) // 2
    step = max(1, round(middle / 4))
    ring = [grid[middle + i, middle + j] for i in (-step, 0, step) for j in (-step, 0, step) if i or j]
    return float(np.nanmedian(ring))


def _log(values: Numbers) -> Numbers:
    with np.errstate(divide="ignore", invalid="ignore"):
        logs: Numbers = np.log10(np.asarray(values, dtype=float))
    return logs


def _limits(fields: Iterable[Numbers]) -> tuple[float, float]:
    values = np.concatenate([one[np.isfinite(one)].ravel() for one in fields] or [np.zeros(1)])
    return (float(values.min()), float(values.max())) if len(values) else (0.0, 1.0)


def _maps(name: str, title: str, caption: str, maps: Sequence[Map], columns: int) -> Drawing:
    return Maps(name, title, caption, f"{title}.", (), min(columns, max(1, len(maps))), NARROW, maps=tuple(maps))


# Each figure: the table that it shows, how it is drawn, and how its runs are made.
FIGURES: dict[str, tuple[Callable[[pd.DataFrame, Evidence], Drawing], str]] = {
    "along": (gradients_along, "runs of a plain net and its residual twin that were trained with `--signals`"),
    "lesions": (lesions, "`study probe` of a plain net and its residual twin"),
    "similarity": (alignment, "`study probe` of a plain net and its residual twin together"),
    "embeddings": (embeddings, "`study probe` of a plain net and its residual twin"),
    "landscape": (landscape, "`study probe` of a plain net and its residual twin"),
    "filters": (filters, "`study probe`"),
}
