"""Table 6: errors on CIFAR-10 with the paper's beside ours; the same table, shorter, for every other comparison."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import pandas as pd

from reports.gathering.snapshot import LAST_PARTS, PARTS
from reports.gathering.tables import RECALIBRATED
from reports.judging.comparison import Net
from reports.judging.evidence import Evidence, values_of
from reports.judging.plan import plan
from reports.judging.replication import replication
from reports.paper import numbers as paper
from reports.tables.formats import NONE, best, effect, linked, millions, percent, span, spread
from reports.tables.ours import ours
from reports.tables.table import Table, TableCell, numbers

OURS = (
    f"Ours: the last step's test error, and the running training error over the last {LAST_PARTS} of {PARTS} parts of "
    "the run, each seed's or, from four seeds on, mean ± sample standard deviation; failed runs are counted, not "
    "averaged. "
)
THEIRS = (
    "The paper: training errors and plain nets as digitised from Fig. 6; 110 layers as best (mean ± std) of five runs, "
    "and so are ours. Ours minus the paper: with the 95 % interval, for which a single run of the paper's is taken as "
    f"one more run of ours; within {plan().replication_margin:g} points, or beyond, if all of the interval is."
)
PUBLIC = (
    " Public networks: others' networks, tested by us, and no runs of ours; one from each repository. Their training "
    "error is counted on cropped and flipped images in evaluation mode."
)
OURS_TEST = "test error %: ours"
TESTED = ["single/top1_error", f"single{RECALIBRATED}/top1_error"]  # by `study test`
TABLE6_COLUMNS = (
    "network",
    "parameters",
    OURS_TEST,
    "test error %: the paper",
    "test error %: ours minus the paper",
    "test error %: others (50k)",
    "training error %: ours",
    "training error %: the paper",
)
REPLICATION = TABLE6_COLUMNS.index("test error %: ours minus the paper")
ERROR_COLUMNS = ("network", "parameters", "test error %", "training error %")


def table6(e: Evidence, public: Evidence | None = None) -> Table:
    """Table 6: every network of the paper and of ours, with the paper's numbers beside ours.

    Args:
        e: Our runs.
        public: Public networks, which get rows of their own.
    """
    theirs = {(result.depth, result.shortcut): result for result in paper.CIFAR10}
    others = trained(public) if public else set()
    rows = []
    for net in in_order(trained(e) | set(theirs) | others):
        rows.append(_table6_row(e, net, theirs.get(net)))
        if public and net in others:
            rows.append(_public_row(public, net))
    caption = OURS + THEIRS + (PUBLIC if others else "")
    right = numbers(TABLE6_COLUMNS, REPLICATION)
    return Table("Table 6: errors on CIFAR-10", TABLE6_COLUMNS, rows, caption, right, "table6")


def averages_table(e: Evidence) -> Table:
    """Errors by batch norm's running averages and by true ones, of the runs that were tested by both."""
    both = e.results[e.results[TESTED].notna().all(axis=1)]
    tested = replace(e, results=both)
    rows = [(e.title(net), *(ours(tested, net, metric) for metric in TESTED)) for net in in_order(trained(tested))]
    columns = ("network", "test error %: running averages", "test error %: true averages")
    caption = (
        "In 32 bits. True averages: over training images, in place of batch norm's running ones, as the authors did "
        "after training."
    )
    title, name = f"Averages of batch norm: {e.comparison.title}", f"averages-{e.comparison.slug}"
    return Table(title, columns, rows, caption, numbers(columns), name)


def methods_table() -> Table:
    """The rows of Table 6 on other methods, which only the paper has."""
    columns = ("method", "layers", "parameters", "test error %")
    rows = [
        (method, layers, f"{size} M" if size else NONE, error) for method, layers, size, error in paper.CIFAR10_OTHERS
    ]
    return Table(
        "Table 6: other methods, as the paper quotes them", columns, rows, "", numbers(columns), "table6-others"
    )


def error_table(e: Evidence) -> Table:
    """Table 6's shape for a comparison that the paper does not have: a row per trained network, ours only."""
    rows = [_error_row(e, net) for net in in_order(trained(e))]
    title, name = f"Errors on {e.comparison.name}", f"errors-{e.comparison.slug}"
    return Table(title, ERROR_COLUMNS, rows, OURS, numbers(ERROR_COLUMNS), name)


def own_rows(errors: Table) -> Table:
    """Table 6, cut to the rows that have a test error of ours."""
    ours = errors.columns.index(OURS_TEST)
    return replace(errors, rows=[row for row in errors.rows if row[ours] != NONE])


def trained(e: Evidence) -> set[Net]:
    """The networks that have a run which counts or which failed."""
    present = [found for found in (e.results, e.failed) if len(found)]
    nets = [net for found in present for net in e.comparison.of(found)[["depth", "shortcut"]].itertuples(index=False)]
    return {(int(depth), shortcut) for depth, shortcut in nets}


def in_order(nets: Iterable[Net]) -> list[Net]:
    """Plain nets first, shallow ones first."""
    return sorted(nets, key=lambda net: (net[1] != "none", net[1], net[0]))


def _error_row(e: Evidence, net: Net) -> tuple[TableCell, ...]:
    return e.title(net), _parameters(e.net(net), None), ours(e, net, "test_error"), ours(e, net, "train_error")


def _table6_row(e: Evidence, net: Net, theirs: paper.CifarResult | None) -> tuple[TableCell, ...]:
    """One network; `theirs` is None for a network that the paper does not have."""
    return (
        e.title(net),
        _parameters(e.net(net), theirs),
        ours(e, net, "test_error", best if theirs and theirs.mean is not None else spread),
        theirs.shown if theirs else NONE,
        _replication(e, net, theirs),
        _others(e.title(net)),
        ours(e, net, "train_error"),
        percent(theirs.train_error if theirs else None),
    )


def _public_row(public: Evidence, net: Net) -> tuple[TableCell, ...]:
    """A row of public networks; the paper's numbers stand in the row of ours above it."""
    found = public.net(net)
    test, train = (values_of(public, net, metric) for metric in ("test_error", "train_error"))
    name = f"{public.title(net)}, public networks"
    shown = linked(spread(test), found)
    return name, NONE, shown, NONE, NONE, NONE, linked(spread(train), found), NONE


def _parameters(runs: pd.DataFrame, theirs: paper.CifarResult | None) -> str:
    """Counted on our network, else the paper's number."""
    if len(runs):
        return millions(runs["parameters"].iloc[0])
    return millions(theirs.parameters_millions * 1e6) if theirs else NONE


def _replication(e: Evidence, net: Net, theirs: paper.CifarResult | None) -> str:
    """``-0.12 (-0.41 to +0.17): within 0.5 points``, or a dash where one side has no run."""
    errors = list(values_of(e, net, "test_error"))
    if theirs is None or not errors:
        return NONE
    difference, low, high, outcome = replication(errors, theirs)
    shown, margin = effect(difference, low, high), plan().replication_margin
    if len(errors) < 2:
        return f"{shown}: one seed"
    return f"{shown}: open" if outcome == "open" else f"{shown}: {outcome} {margin:g} points"


def _others(net: str) -> str:
    """The range of public re-runs on all 50,000 images; the table of others' results says how each differs."""
    found = [r for r in paper.reruns() if r.dataset == "cifar10" and r.net == net and not r.excluded]
    return span([error for rerun in found if rerun.trained_on == "50k" for error in rerun.test_errors])
