"""Tables 1 to 5: complexity, and errors on ImageNet by test protocol, with the paper's numbers beside ours."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from reports.gathering.tables import RECALIBRATED
from reports.judging.comparison import Net
from reports.judging.ensembles import Ensemble, ensembles
from reports.judging.evidence import Evidence, values_of
from reports.paper import numbers as paper
from reports.tables.formats import NONE, anchor, percent
from reports.tables.ours import ours
from reports.tables.table import Link, Table, TableCell, numbers

Errors = tuple[float, float | None]  # top-1 and top-5, in percent
ERROR_COLUMNS = ("network", "top-1", "the paper", "top-5", "the paper")
TRUE_AVERAGES = " Rows with true averages: batch norm recalibrated on training images, as the authors did."


def table1() -> Table:
    """Table 1: multiply-adds counted on our networks beside the paper's FLOPs."""
    columns = ("network", "parameters", "1e9 multiply-adds", "the paper's FLOPs (1e9)")
    rows = [_complexity_row(key, theirs) for key, theirs in paper.FLOPS.items()]
    caption = "Option B at every depth; convolutions and the classifier. The paper prints no parameters."
    return Table("Table 1: complexity on 224 x 224 images", columns, rows, caption, numbers(columns), "table1")


def _complexity_row(key: str, theirs: float) -> tuple[str, ...]:
    """One network, of `paper.FLOPS`' keys: a depth of ours, or the name of another net."""
    counts, is_depth = paper.complexity(), key.isdigit()
    found = counts[(counts["dataset"] == "imagenet") & (counts["depth" if is_depth else "net"] == key)]
    counted = found[found["shortcut"].isin(["B", ""])].iloc[0]
    name = f"ResNet-{key}" if is_depth else key
    return name, f"{counted['parameters']:,}", f"{counted['multiply_adds'] / 1e9:.3f}", f"{theirs}"


def table2(e: Evidence, tiny: Evidence | None = None) -> Table:
    """Table 2: plain and residual nets of 18 and 34 layers, 10-crop.

    Args:
        e: Our runs on ImageNet.
        tiny: Our runs on Tiny ImageNet, which get columns of their own.
    """
    columns: tuple[str, ...] = ("depth", "plain", "the paper", "ResNet", "the paper")
    columns += ("plain, Tiny ImageNet (ours)", "ResNet, Tiny ImageNet (ours)") if tiny else ()
    rows = [_twins_row(e, tiny, depth, "") for depth in (18, 34)]
    recalibrated = [
        _twins_row(e, tiny, depth, RECALIBRATED)
        for depth in (18, 34)
        if any(_is_recalibrated(e, (depth, shortcut), "10crop") for shortcut in ("none", "A"))
    ]
    caption = "Option A, which adds no parameters." + (TRUE_AVERAGES if recalibrated else "") + _small(tiny)
    rows += recalibrated
    return Table("Table 2: ImageNet, top-1 error, 10-crop", columns, rows, caption, numbers(columns), "table2")


def _small(tiny: Evidence | None) -> str:
    """What the columns of Tiny ImageNet hold."""
    return f" {tiny.comparison.title}: 10 crops of 56 of 64 pixels; decides nothing." if tiny else ""


def _twins_row(e: Evidence, tiny: Evidence | None, depth: int, averages: str) -> tuple[TableCell, ...]:
    """Plain and residual net of one depth, by running averages ("") or by true ones."""
    name = f"{depth} layers, true averages" if averages else f"{depth} layers"
    small = [ours(tiny, (depth, kind), f"10crop{averages}/top1_error") for kind in ("none", "A")] if tiny else []
    return name, *_top1(e, (depth, "none"), averages), *_top1(e, (depth, "A"), averages), *small


def _top1(e: Evidence, net: Net, averages: str) -> tuple[TableCell, str]:
    """Our 10-crop error and the paper's."""
    theirs = next(result.tencrop for result in paper.IMAGENET if (result.depth, result.shortcut) == net)
    return ours(e, net, f"10crop{averages}/top1_error"), percent(theirs[0] if theirs else None)


def table3(e: Evidence, tiny: Evidence | None = None) -> Table:
    """Table 3: nets of 34 layers and more, 10-crop; with columns for Tiny ImageNet if there are runs."""
    rows = [row for r in paper.IMAGENET if r.depth > 18 for row in _error_rows(e, r, "10crop", r.tencrop)]
    table = _error_table("Table 3: ImageNet, 10-crop", rows, paper.TABLE3_OTHERS, "table3")
    return _beside(table, tiny) if tiny else table


def _beside(table: Table, tiny: Evidence) -> Table:
    """Table 3 with our errors on Tiny ImageNet, in the rows of our networks by running averages."""
    nets = {tiny.title((r.depth, r.shortcut)): (r.depth, r.shortcut) for r in paper.IMAGENET}
    columns = (*table.columns, "top-1, Tiny ImageNet (ours)", "top-5, Tiny ImageNet (ours)")
    rows = []
    for row in table.rows:
        net = nets.get(str(row[0]))
        rows.append((*row, *(ours(tiny, net, f"10crop/{top}_error") if net else NONE for top in ("top1", "top5"))))
    return replace(table, columns=columns, rows=rows, caption=table.caption + _small(tiny), right=numbers(columns))


def table4(e: Evidence) -> Table:
    """Table 4: single models, fully convolutional at five scales."""
    rows = [row for r in paper.IMAGENET if r.dense for row in _error_rows(e, r, "dense", r.dense)]
    title = "Table 4: ImageNet, single models, averaged over the image sizes 224, 256, 384, 480 and 640"
    return _error_table(title, rows, paper.TABLE4_OTHERS, "table4")


def table5(e: Evidence) -> Table:
    """Table 5: ensembles, the paper's on the test server and ours on the validation set."""
    columns = ("method", "ours (validation)", "the paper (test)")
    rows = [*((method, NONE, error) for method, error in paper.TABLE5), *map(_ensemble_row, ensembles(e))]
    caption = (
        "The test server no longer takes entries, so ours are tested on the validation set. A row lists its networks."
    )
    return Table("Table 5: ensembles, top-5 error", columns, rows, caption, numbers(columns), "table5")


def _ensemble_row(ensemble: Ensemble) -> tuple[TableCell, ...]:
    method = f"{' + '.join(ensemble.members)}, {ensemble.averages} averages"
    return method, Link(percent(ensemble.top5_error), f"#{anchor(ensemble.members[0])}"), NONE


def _error_table(
    title: str, rows: Sequence[tuple[TableCell, ...]], others: Sequence[tuple[str, str, str]], name: str
) -> Table:
    """The rows of other methods, which only the paper has, then ours."""
    peers = [(method, NONE, top1 or NONE, NONE, top5) for method, top1, top5 in others]
    is_recalibrated = any("true averages" in str(row[0]) for row in rows)
    caption = "Errors on the validation set." + (TRUE_AVERAGES if is_recalibrated else "")
    return Table(title, ERROR_COLUMNS, [*peers, *rows], caption, numbers(ERROR_COLUMNS), name)


def _error_rows(
    e: Evidence, result: paper.ImageNetResult, protocol: str, theirs: Errors | None
) -> list[tuple[TableCell, ...]]:
    """A network by running averages, and by true ones where it was recalibrated."""
    net = (result.depth, result.shortcut)
    rows = [_error_row(e, net, e.title(net), protocol, theirs)]
    if _is_recalibrated(e, net, protocol):
        rows.append(_error_row(e, net, f"{e.title(net)}, true averages", protocol + RECALIBRATED, theirs))
    return rows


def _is_recalibrated(e: Evidence, net: Net, protocol: str) -> bool:
    return len(values_of(e, net, f"{protocol}{RECALIBRATED}/top1_error")) > 0


def _error_row(e: Evidence, net: Net, name: str, protocol: str, theirs: Errors | None) -> tuple[TableCell, ...]:
    top1, top5 = theirs or (None, None)
    return (
        name,
        ours(e, net, f"{protocol}/top1_error"),
        percent(top1),
        ours(e, net, f"{protocol}/top5_error"),
        percent(top5),
    )
