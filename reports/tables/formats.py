"""How numbers are written in tables: means with their spread, durations, links to the runs they rest on."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pandas as pd

from reports.judging.stats import mean_std
from reports.tables.table import Link, TableCell

NONE = "–"
FEW = 4  # from so many values on a standard deviation is shown in their place


def percent(value: float | None) -> str:
    """``8.75``, or a dash for an error that nobody has."""
    return NONE if value is None else f"{value:.2f}"


def spread(values: pd.Series[float], failed: int = 0) -> str:
    """``8.71 ± 0.12 (n = 5)``, ``8.71, 8.60 (n = 2)`` or a dash; with ``n = 5, 1 failed`` it is of four runs."""
    values = values.dropna()
    if values.empty:
        return f"failed ({_runs(0, failed)})" if failed else NONE
    return f"{each_or_mean(values)} ({_runs(len(values), failed)})"


def each_or_mean(values: pd.Series[float]) -> str:
    """``14.97, 39.44`` for fewer than `FEW` values, else ``8.71 ± 0.12``: a deviation of three values says nothing."""
    if values.empty:
        return NONE
    if len(values) < FEW:
        return ", ".join(percent(value) for value in values)
    mean, std = mean_std(list(values))
    return f"{mean:.2f} ± {std:.2f}"


def best(values: pd.Series[float], failed: int = 0) -> str:
    """``6.43 (6.61 ± 0.16, n = 5)``: the lowest, then mean and spread, as Table 6 gives 110 layers."""
    values = values.dropna()
    if len(values) < FEW:
        return spread(values, failed)
    return f"{values.min():.2f} ({each_or_mean(values)}, {_runs(len(values), failed)})"


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


def devices(runs: pd.DataFrame) -> str:
    """The devices that runs were trained on, each once."""
    return ", ".join(sorted(set(runs["device"].dropna())))


def short(digest: object) -> str:
    """The first ten digits of a digest or commit."""
    return str(digest)[:10]


def anchor(run: str) -> str:
    """A run's place in the page; names from elsewhere cannot break out of the attribute."""
    return "run-" + "".join(c if c.isalnum() or c in "-_" else "-" for c in run)


def linked(shown: str, runs: pd.DataFrame) -> TableCell:
    """A number that leads to the runs it rests on."""
    return shown if shown == NONE else to_runs(shown, [str(run) for run in runs["run"]])


def to_runs(shown: str, runs: Sequence[str]) -> TableCell:
    """Text that leads to runs: to the row of the first, and by the page's script to the records of all."""
    return Link(shown, f"#{anchor(runs[0])}", tuple(runs)) if runs else shown
