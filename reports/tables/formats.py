"""How numbers are written in tables: means with their spread, durations, links to the runs they rest on."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pandas as pd

from reports.judging.stats import mean_std
from reports.tables.table import Link, TableCell

NONE = "–"


def percent(value: float | None) -> str:
    """``8.75``, or a dash for an error that nobody has."""
    return NONE if value is None else f"{value:.2f}"


def spread(values: pd.Series[float], failed: int = 0) -> str:
    """``8.71 ± 0.12 (n = 5)``, ``8.71 (n = 1)`` or a dash; ``8.71 ± 0.12 (n = 5, 2 failed)`` is of three runs."""
    values = values.dropna()
    if values.empty:
        return f"failed ({_runs(0, failed)})" if failed else NONE
    if len(values) == 1:
        return f"{values.iloc[0]:.2f} ({_runs(1, failed)})"
    return f"{_mean_std(values)} ({_runs(len(values), failed)})"


def best(values: pd.Series[float], failed: int = 0) -> str:
    """``6.43 (6.61 ± 0.16, n = 5)``: the lowest, then mean and spread, as Table 6 gives 110 layers."""
    values = values.dropna()
    if len(values) < 2:
        return spread(values, failed)
    return f"{values.min():.2f} ({_mean_std(values)}, {_runs(len(values), failed)})"


def repositories(values: pd.Series[float]) -> str:
    """``8.50 ± 0.60 (8.04, 9.18, 8.27; n = 3 repositories)``: one value from each."""
    if len(values) < 2:
        return f"{values.iloc[0]:.2f} (n = 1 repository)" if len(values) else NONE
    each = ", ".join(f"{value:.2f}" for value in values)
    return f"{_mean_std(values)} ({each}; n = {len(values)} repositories)"


def _runs(succeeded: int, failed: int) -> str:
    """``n = 5``, or ``n = 5, 2 failed``: all runs, and how many of them have no error to be averaged."""
    return f"n = {succeeded + failed}" + (f", {failed} failed" if failed else "")


def span(values: Sequence[float]) -> str:
    """``8.04 to 8.60 (n = 5)``, ``9.69`` for a single value, or a dash for none."""
    if not values:
        return NONE
    if len(values) == 1:
        return percent(values[0])
    return f"{min(values):.2f} to {max(values):.2f} (n = {len(values)})"


def millions(count: float) -> str:
    """``0.27 M`` for 269,722 parameters."""
    return f"{count / 1e6:.2f} M"


def duration(hours: float) -> str:
    """``21 s``, ``12.3 min`` or ``4.5 h``."""
    if hours < 1 / 60:
        return f"{3600 * hours:.0f} s"
    return f"{60 * hours:.1f} min" if hours < 1 else f"{hours:.1f} h"


def effect(value: float, low: float, high: float) -> str:
    """``+1.20 (+0.80 to +1.60)``: an effect with its 95 % interval, which a single seed does not have."""
    if math.isnan(value):
        return NONE
    return f"{value:+.2f}" if math.isnan(low) else f"{value:+.2f} ({low:+.2f} to {high:+.2f})"


def p_value(p: float) -> str:
    """``0.012``, ``< 0.001``, or a dash where it is undefined."""
    if math.isnan(p):
        return NONE
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def short(digest: object) -> str:
    """The first ten digits of a digest or commit."""
    return str(digest)[:10]


def anchor(run: str) -> str:
    """A run's place in the page; names from elsewhere cannot break out of the attribute."""
    return "run-" + "".join(c if c.isalnum() or c in "-_" else "-" for c in run)


def linked(shown: str, runs: pd.DataFrame) -> TableCell:
    """A number that leads to the runs it rests on."""
    return shown if runs.empty or shown == NONE else Link(shown, f"#{anchor(str(runs['run'].iloc[0]))}")


def _mean_std(values: pd.Series[float]) -> str:
    mean, std = mean_std(list(values))
    return f"{mean:.2f} ± {std:.2f}"
