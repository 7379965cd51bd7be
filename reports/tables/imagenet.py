"""Tables 1 to 5: complexity, and errors on ImageNet by test protocol, with the paper's numbers beside ours."""

from __future__ import annotations

from collections.abc import Sequence

from reports.judging.evidence import Evidence, Net
from reports.paper import numbers as paper
from reports.tables.formats import NONE, linked, percent, spread
from reports.tables.table import Table, TableCell, numbers

Errors = tuple[float, float | None]  # top-1 and top-5, in percent
ERROR_COLUMNS = ("network", "top-1", "the paper", "top-5", "the paper")


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


def table2(e: Evidence) -> Table:
    """Table 2: plain and residual nets of 18 and 34 layers, 10-crop."""
    columns = ("", "plain", "the paper", "ResNet", "the paper")
    rows = [(f"{depth} layers", *_top1(e, (depth, "none")), *_top1(e, (depth, "A"))) for depth in (18, 34)]
    caption = "Option A, which adds no parameters."
    return Table("Table 2: ImageNet, top-1 error, 10-crop", columns, rows, caption, numbers(columns), "table2")


def _top1(e: Evidence, net: Net) -> tuple[TableCell, str]:
    """Our 10-crop error and the paper's."""
    theirs = next(result.tencrop for result in paper.IMAGENET if (result.depth, result.shortcut) == net)
    return _ours(e, net, "10crop/top1_error"), percent(theirs[0] if theirs else None)


def table3(e: Evidence) -> Table:
    """Table 3: nets of 34 layers and more, 10-crop."""
    rows = [_error_row(e, (r.depth, r.shortcut), "10crop", r.tencrop) for r in paper.IMAGENET if r.depth > 18]
    return _error_table("Table 3: ImageNet, 10-crop", rows, paper.TABLE3_OTHERS, "table3")


def table4(e: Evidence) -> Table:
    """Table 4: single models, fully convolutional at five scales."""
    rows = [_error_row(e, (r.depth, r.shortcut), "dense", r.dense) for r in paper.IMAGENET if r.dense]
    title = "Table 4: ImageNet, single models, averaged over the image sizes 224, 256, 384, 480 and 640"
    return _error_table(title, rows, paper.TABLE4_OTHERS, "table4")


def table5() -> Table:
    """Table 5: ensembles on the test server; the paper's numbers only."""
    columns = ("method", "ours", "the paper")
    rows = [(method, NONE, error) for method, error in paper.TABLE5]
    caption = "The test server no longer takes entries; an ensemble of ours could be tested on the validation set only."
    return Table("Table 5: ensembles, top-5 error on the test set", columns, rows, caption, numbers(columns), "table5")


def _error_table(
    title: str, rows: Sequence[tuple[TableCell, ...]], others: Sequence[tuple[str, str, str]], name: str
) -> Table:
    """The rows of other methods, which only the paper has, then ours."""
    peers = [(method, NONE, top1 or NONE, NONE, top5) for method, top1, top5 in others]
    caption = "Errors on the validation set."
    return Table(title, ERROR_COLUMNS, [*peers, *rows], caption, numbers(ERROR_COLUMNS), name)


def _error_row(e: Evidence, net: Net, protocol: str, theirs: Errors | None) -> tuple[TableCell, ...]:
    top1, top5 = theirs or (None, None)
    return (
        e.title(net),
        _ours(e, net, f"{protocol}/top1_error"),
        percent(top1),
        _ours(e, net, f"{protocol}/top5_error"),
        percent(top5),
    )


def _ours(e: Evidence, net: Net, metric: str) -> TableCell:
    """The metric's mean and spread over our seeds, linked to the runs."""
    runs = e.net(net)
    return linked(spread(runs[metric].astype(float)) if metric in runs else NONE, runs)
