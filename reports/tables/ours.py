"""A metric of our runs of one network, as a table's cell: mean and spread over seeds, and how many runs failed."""

from __future__ import annotations

from collections.abc import Callable

import pandas as pd

from reports.judging.comparison import Net
from reports.judging.evidence import Evidence, failed_runs, values_of
from reports.tables.formats import linked, spread
from reports.tables.table import TableCell

Write = Callable[[pd.Series, int], str]  # from the values of the seeds and the number of failed runs


def ours(e: Evidence, net: Net, metric: str, write: Write = spread) -> TableCell:
    """The metric over the seeds that did not fail, linked to the runs that have it; failed ones are counted."""
    runs = e.net(net)
    measured = runs[runs[metric].notna()] if metric in runs else runs.head(0)
    return linked(write(values_of(e, net, metric), len(failed_runs(e, net))), measured)
