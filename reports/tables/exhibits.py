"""The paper's tables with ours beside theirs, and the tables that say what they rest on."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import replace
from typing import Any

import pandas as pd

from reports.judging.claims import UNDECIDED, Claim, Comparison, Evidence, Finding
from reports.judging.kinds import CIFAR, Net
from reports.judging.stats import prediction_interval
from reports.paper import numbers as paper
from reports.tables.table import NONE, Link, Table, TableCell, Target, anchor, duration, linked, spread
from study.recipes import DEPARTURES

OURS = (
    "Ours: the last step's test error, and the running training error over the last 10 of 64 parts of the run; "
    "mean ± sample standard deviation over n seeds. "
)
THEIRS = (
    "The paper: plain nets as digitised from Fig. 6; 110 layers as best (mean ± std) of five runs, and so are ours. "
    "One more run: where another seed of ours would fall with 95 % confidence, beside the paper's single value."
)


def numbers(columns: Sequence[str], *words: int) -> frozenset[int]:
    """The columns of numbers: all but the first and those named."""
    return frozenset(range(1, len(columns))) - set(words)


def table1() -> Table:
    """Table 1: multiply-adds counted on our networks beside the paper's FLOPs."""
    counts, rows = paper.complexity(), []
    for key, theirs in paper.FLOPS.items():
        is_net = key.isdigit()
        found = counts[(counts["dataset"] == "imagenet") & (counts["depth" if is_net else "net"] == key)]
        row = found[found["shortcut"].isin(["B", ""])].iloc[0]
        name = f"ResNet-{key}" if is_net else key
        rows.append((name, f"{row['parameters']:,}", f"{row['multiply_adds'] / 1e9:.3f}", f"{theirs}"))
    columns = ("network", "parameters", "1e9 multiply-adds", "the paper's FLOPs (1e9)")
    caption = "Option B at every depth; convolutions and the classifier. The paper prints no parameters."
    return Table("Table 1: complexity on 224 x 224 images", columns, rows, caption, numbers(columns), "table1")


def table2(e: Evidence) -> Table:
    """Table 2: plain and residual nets of 18 and 34 layers, 10-crop."""
    theirs = {(r.depth, r.shortcut): r.tencrop for r in paper.IMAGENET}
    rows: list[tuple[TableCell, ...]] = []
    for depth in (18, 34):
        row: list[TableCell] = [f"{depth} layers"]
        for shortcut in ("none", "A"):
            row += [_ours(e, (depth, shortcut), "10crop/top1_error"), _shown(theirs[depth, shortcut], 0)]
        rows.append(tuple(row))
    columns = ("", "plain", "the paper", "ResNet", "the paper")
    caption = "Option A, which adds no parameters."
    return Table("Table 2: ImageNet, top-1 error, 10-crop", columns, rows, caption, numbers(columns), "table2")


def table3(e: Evidence) -> Table:
    """Table 3: 10-crop errors."""
    nets = [r for r in paper.IMAGENET if r.depth > 18]
    rows = [_imagenet_row(e, (r.depth, r.shortcut), "10crop", r.tencrop) for r in nets]
    return _imagenet_table("Table 3: ImageNet, 10-crop", rows, paper.TABLE3_OTHERS, "table3")


def table4(e: Evidence) -> Table:
    """Table 4: single models, fully convolutional at five scales."""
    rows = [_imagenet_row(e, (r.depth, r.shortcut), "dense", r.dense) for r in paper.IMAGENET if r.dense]
    caption = "Table 4: ImageNet, single models, scores averaged over 224, 256, 384, 480 and 640"
    return _imagenet_table(caption, rows, paper.TABLE4_OTHERS, "table4")


def table5() -> Table:
    """Table 5: ensembles on the test server."""
    columns = ("method", "ours", "the paper")
    rows = [(method, NONE, error) for method, error in paper.TABLE5]
    caption = "The test server no longer takes entries; an ensemble of ours could be tested on the validation set only."
    return Table("Table 5: ensembles, top-5 error on the test set", columns, rows, caption, numbers(columns), "table5")


def _imagenet_row(
    e: Evidence, net: Net, protocol: str, theirs: tuple[float, float | None] | None
) -> tuple[TableCell, ...]:
    top1, top5 = (_ours(e, net, f"{protocol}/{top}_error") for top in ("top1", "top5"))
    return e.title(net), top1, _shown(theirs, 0), top5, _shown(theirs, 1)


def _imagenet_table(
    name: str, rows: list[tuple[TableCell, ...]], others: Sequence[tuple[str, ...]], file: str
) -> Table:
    columns = ("network", "top-1", "the paper", "top-5", "the paper")
    peers: list[tuple[TableCell, ...]] = [(method, NONE, top1 or NONE, NONE, top5) for method, top1, top5 in others]
    return Table(name, columns, [*peers, *rows], "Errors on the validation set.", numbers(columns), file)


def _ours(e: Evidence, net: Net, metric: str) -> TableCell:
    runs = e.net(net)
    return linked(spread(runs[metric].astype(float)) if metric in runs else NONE, runs)


def _shown(theirs: tuple[float | None, ...] | None, which: int) -> str:
    value = theirs[which] if theirs else None
    return f"{value:.2f}" if value is not None else NONE


def error_table(e: Evidence) -> Table:
    """Table 6's shape: a row per network with parameters, test error and training error, ours and the paper's."""
    full = e.comparison == CIFAR
    theirs = {(r.depth, r.shortcut): r for r in paper.CIFAR10} if full else {}
    runs = e.comparison.of(e.results)
    present = set(zip(runs["depth"].astype(int), runs["shortcut"], strict=True))
    nets = sorted(present | set(theirs), key=lambda net: (net[1] != "none", net[1], net[0]))
    rows = [_error_row(e.net(net), e.title(net), theirs.get(net), full) for net in nets]
    columns = tuple(rows[0])
    others = [
        (f"{m} {layers}".strip(), f"{millions} M" if millions else NONE, NONE, error, *[NONE] * 4)
        for m, layers, millions, error in paper.CIFAR10_OTHERS
    ]
    return Table(
        "Table 6: errors on CIFAR-10" if full else f"Errors on {e.comparison.name}",
        columns,
        [*(others if full else []), *(tuple(row.values()) for row in rows)],
        OURS + (THEIRS if full else ""),
        numbers(columns),
        "table6" if full else f"errors-{e.comparison.slug}",
    )


def own_rows(errors: Table) -> Table:
    """The rows of an error table that have a test error of ours."""
    ours = errors.columns.index("test error %")
    return replace(errors, rows=[row for row in errors.rows if row[ours] != NONE])


def _error_row(runs: pd.DataFrame, name: str, theirs: paper.CifarResult | None, full: bool) -> dict[str, TableCell]:
    """One network: headings and texts, the paper's beside ours where it has any."""
    millions = runs["parameters"].iloc[0] / 1e6 if len(runs) else theirs.parameters_millions if theirs else 0.0
    test = list(runs["test_error"])
    shown = spread(runs["test_error"])
    if theirs and theirs.mean is not None and len(test) > 1:
        shown = f"{min(test):.2f} ({shown.replace(' (', ', ')}"  # best (mean ± std, n = 5), as the paper gives it
    low, high = prediction_interval(test) if test else (float("nan"),) * 2
    row: dict[str, TableCell] = {
        "network": name,
        "parameters": f"{millions:.2f} M",
        "test error %": linked(shown, runs),
    }
    if full:
        row["the paper"] = theirs.shown if theirs else NONE
        row["one more run"] = f"{low:.2f} to {high:.2f}" if low == low else NONE
    row["training error %"] = linked(spread(runs["train_error"]), runs)
    if full:
        row["the paper (digitised)"] = f"{theirs.train_error:.2f}" if theirs else NONE
        row["others, test error % (50k)"] = _others(name)
    return row


def _others(net: str) -> str:
    """The range of public re-runs on all 50,000 images; the table of others' results says how each differs."""
    peers = paper.peers()
    found = peers[(peers["dataset"] == "cifar10") & (peers["net"] == net) & (peers["trained_on"] == "50k")]["error"]
    values = sorted(float(value) for cell in found for value in cell.split(", "))
    return (
        f"{values[0]:.2f} to {values[-1]:.2f} (n = {len(values)})"
        if len(values) > 1
        else found.iloc[0]
        if values
        else NONE
    )


def peer_table(e: Evidence) -> Table:
    """What others got, ours and the paper's not repeated."""
    peers = paper.peers()
    peers = peers[peers["dataset"] == e.comparison.dataset]
    rows = [(p["net"], p["error"], p["protocol"], p["differs"], p["source"]) for p in peers.to_dict("records")]
    columns = ("network", "error", "reported", "differs from the paper in", "source")
    rows.sort(key=lambda row: (row[0].startswith("ResNet"), int(row[0].split("-")[1].split()[0])))
    caption = "Public re-runs, one run each where nothing else is said. Only rows of one protocol may be compared."
    return Table("Others' results", columns, rows, caption, frozenset({1}), f"peers-{e.comparison.dataset}")


def cost_table(results: pd.DataFrame) -> Table:
    """Time, device hours, speed and memory per cell."""
    columns = ("cell", "runs", "time per run", "device hours", "images/s", "peak memory", "device")
    rows = [_cost_row(str(name), runs) for name, runs in results.groupby(results["run"].str.rsplit("-s", n=1).str[0])]
    caption = "Time is training and evaluation, without start-up. Device hours: over all runs, times their devices."
    return Table("Cost", columns, rows, caption, numbers(columns, 6), "cost")


def _cost_row(name: str, runs: pd.DataFrame) -> tuple[TableCell, ...]:
    spent = (runs["hours"] * runs["world_size"]).sum()
    memory, speed = runs["peak_memory_mb"].max() / 1024, runs["images_per_second"].median()
    devices = ", ".join(sorted(set(runs["device"].dropna())))
    return (
        linked(name, runs),
        str(len(runs)),
        duration(runs["hours"].mean()),
        f"{spent:.2f}",
        f"{speed:,.0f}",
        f"{memory:.1f} GiB",
        devices,
    )


def command_table(e: Evidence) -> Table:
    """The networks of the paper that have no run yet, with the command that fills each."""
    family: Sequence[paper.CifarResult | paper.ImageNetResult] = (
        paper.CIFAR10 if e.comparison == CIFAR else paper.IMAGENET
    )
    empty = [(r.depth, r.shortcut) for r in family if e.net((r.depth, r.shortcut)).empty]
    rows = [(e.title(net), _command(e.comparison, net)) for net in empty]
    return Table("Networks without a run", ("network", "command that fills it"), rows)


def _command(comparison: Comparison, net: Net) -> str:
    flags = f"--dataset={comparison.dataset} --depth={net[0]} --shortcut={net[1]} --recipe={comparison.recipe} --seed=0"
    return f"python -m study train {flags}"


def claim_table(findings: list[tuple[Claim, Finding]]) -> Table:
    """A row per claim: the verdict and what it rests on."""
    rows = [_claim_row(claim, finding) for claim, finding in findings]
    columns = ("claim", "statement", "verdict", "effect (95 % interval)", "p", "n", "what the runs say")
    caption = (
        "Effects in percentage points, or in the unit of the claim. p: of the statement, by Holm over this table; "
        "orders by exact permutation over seeds, margins by Welch's test. n: seeds on each side, the fewest where "
        "several nets are compared. One seed shows a direction only."
    )
    return Table("The paper's claims", columns, rows, caption, frozenset({4}))


def _claim_row(claim: Claim, f: Finding) -> tuple[TableCell, ...]:
    verdict = f"{f.verdict}: {f.direction}" if f.verdict in ("toy", "inconclusive") and f.direction else f.verdict
    interval = "" if pd.isna(f.low) else f" ({f.low:+.2f} to {f.high:+.2f})"
    effect = NONE if pd.isna(f.effect) else f"{f.effect:+.2f}{interval}"
    p = NONE if pd.isna(f.p_holm) else "< 0.001" if f.p_holm < 0.001 else f"{f.p_holm:.3f}"
    n = "\u00a0v\u00a0".join(map(str, f.n)) or NONE
    shown: TableCell = Link(verdict, f"#{anchor(f.runs[0])}") if f.runs else verdict
    return claim.id, f"{claim.statement} ({claim.where})", shown, effect, p, n, f.sentence


def run_table(runs: pd.DataFrame) -> Table:
    """A row per run that counts: what its numbers rest on."""
    columns = ("run", "wrong of seen", "device", "precision", "devices", "commit", "data", "weights")
    rows = [
        _run_row(run) for run in runs.sort_values(["dataset", "recipe", "shortcut", "depth", "seed"]).to_dict("records")
    ]
    return Table("Runs that count", columns, rows, "Data and weights: the first ten digits of their SHA-256.")


def _run_row(run: dict[Hashable, Any]) -> tuple[TableCell, ...]:
    commit = (
        f"{str(run['commit'])[:10]}{' (modified)' if run['dirty'] else ''}" if pd.notna(run["commit"]) else "unknown"
    )
    url = str(run["url"]) if str(run["url"]).startswith(("https://", "http://")) else ""
    return (
        Target(run["run"], anchor(run["run"]), url),
        f"{run['test/wrong']:.0f} of {run['test/seen']:.0f}",
        str(run["device"]),
        str(run["precision"]),
        f"{run['world_size']:.0f}",
        commit,
        str(run["data_fingerprint"])[:10],
        str(run["weights_sha256"])[:10],
    )


def excluded_table(runs: pd.DataFrame) -> Table:
    """A row per run that does not count, with the reason."""
    return Table(
        "Runs that do not count", ("run", "reason"), [(r["run"], r["reason"]) for r in runs.to_dict("records")]
    )


def departure_table() -> Table:
    """Where the study differs from the paper."""
    return Table(
        "Departures from the paper",
        ("what", "the paper", "this study"),
        [(d.what, d.paper, d.ours) for d in DEPARTURES],
    )


def not_attempted_table() -> Table:
    """What of the paper is left out, and why."""
    exhibits = [(where, what, why) for where, what, why in paper.NOT_ATTEMPTED]
    return Table("Not attempted", ("what", "content", "because"), [*exhibits, *UNDECIDED])
