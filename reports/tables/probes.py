"""Tables of what `study probe` found in trained nets, on questions that the paper leaves open."""

from __future__ import annotations

import pandas as pd

from reports.judging.comparison import Net
from reports.judging.evidence import Evidence
from reports.tables.cifar import in_order
from reports.tables.formats import linked
from reports.tables.table import Table, TableCell, numbers

GRADIENT_COLUMNS = ("network", "moment", "first layer", "last layer", "largest / smallest")
MISTAKE_COLUMNS = ("networks", "both wrong", "only the shallower", "only the deeper", "the deeper's own, commonest")
COMMONEST = 3  # confusions that are named
DEEPER_COLUMNS = ("network", "its copy", "test error %", "the copy's", "logits differ by", "loss", "the copy's")


def gradient_table(signals: pd.DataFrame, e: Evidence) -> Table:
    """Norms of the first and last layer's gradients at each moment, and how far the layers are apart."""
    found = of_comparison(signals, e)
    rows = [
        _gradient_row(e, net, str(moment), mine)
        for net in nets_of(found)
        for moment, mine in of_net(found, net).groupby("moment", sort=False)
    ]
    caption = (
        "Norm of the gradient of the loss with respect to a layer's weights, in training mode, on one batch. Start: "
        "the initial weights. One step: after the first update. Now: the trained weights. Mean over seeds."
    )
    name = f"gradients-{e.slug}"
    return Table("Are the gradients healthy?", GRADIENT_COLUMNS, rows, caption, numbers(GRADIENT_COLUMNS, 1), name)


def _gradient_row(e: Evidence, net: Net, moment: str, mine: pd.DataFrame) -> tuple[TableCell, ...]:
    ends = mine.groupby("run")["gradient"].agg(["first", "last"]).mean()
    return (
        linked(e.title(net), e.net(net)),
        moment,
        f"{ends['first']:.2g}",
        f"{ends['last']:.2g}",
        f"{gradient_ratio(mine):,.0f}",
    )


def deeper_table(deeper: pd.DataFrame, e: Evidence) -> Table:
    """Networks with twice the blocks, built to compute the same function as the trained ones."""
    found = of_comparison(deeper, e)
    rows = [_deeper_row(e, net, of_net(found, net)) for net in nets_of(found)]
    caption = (
        "Each new block returns its input: in a residual net its branch is zero, in a plain net its convolutions copy "
        "and its batch norms undo their own normalisation. Test errors on up to 2,000 images in evaluation mode, the "
        "loss on one batch in training mode."
    )
    name = f"deeper-{e.slug}"
    return Table("Could a deeper net copy this one?", DEEPER_COLUMNS, rows, caption, numbers(DEEPER_COLUMNS), name)


def _deeper_row(e: Evidence, net: Net, mine: pd.DataFrame) -> tuple[TableCell, ...]:
    mean = mine.mean(numeric_only=True)
    return (
        linked(e.title(net), e.net(net)),
        f"{mean['depth_found']:.0f} layers",
        f"{mean['error']:.2f}",
        f"{mean['copy_error']:.2f}",
        f"{mine['difference'].max():.1g} of {mean['largest_score']:.0f}",
        f"{mean['training_loss']:.3g}",
        f"{mean['copy_training_loss']:.3g}",
    )


def mistakes_table(mistakes: pd.DataFrame, e: Evidence) -> Table:
    """The test images that a deeper network gets wrong and a shallower one right, and the other way round."""
    found = of_comparison(mistakes, e)
    rows = [
        _mistakes_row(e, (shallow, deep), of_net(found, shallow), of_net(found, deep))
        for kind in ("none", "A")
        for shallow, deep in _ends([net for net in nets_of(found) if net[1] == kind])
    ]
    caption = (
        "Test images by which of two networks gets them wrong, first seed of each, and what the deeper one most often "
        "takes an image for that the shallower one has right."
    )
    name = f"mistakes-{e.slug}"
    return Table("Which images does depth cost?", MISTAKE_COLUMNS, rows, caption, numbers(MISTAKE_COLUMNS), name)


def _ends(nets: list[Net]) -> list[tuple[Net, Net]]:
    return [(nets[0], nets[-1])] if len(nets) > 1 else []


def _mistakes_row(
    e: Evidence, nets: tuple[Net, Net], shallow: pd.DataFrame, deep: pd.DataFrame
) -> tuple[TableCell, ...]:
    first, second = (one[one["run"] == one["run"].min()] for one in (shallow, deep))
    both = set(first["image"]) & set(second["image"])
    own = second[~second["image"].isin(both)]
    pairs = (own["class"] + " as " + own["predicted"]).value_counts().sort_index().nlargest(COMMONEST)
    said = ", ".join(f"{confused} {count}" for confused, count in pairs.items())
    names = f"{e.title(nets[0])}, {e.title(nets[1])}"
    return names, f"{len(both):,}", f"{len(first) - len(both):,}", f"{len(own):,}", said


def of_comparison(frame: pd.DataFrame, e: Evidence) -> pd.DataFrame:
    """The rows of the compared runs that count, with their depth and shortcut."""
    return frame.merge(e.comparison.of(e.results)[["run", "depth", "shortcut"]], on="run", suffixes=("_found", ""))


def of_net(found: pd.DataFrame, net: Net) -> pd.DataFrame:
    """The rows of one network."""
    return found[(found["depth"] == net[0]) & (found["shortcut"] == net[1])]


def nets_of(found: pd.DataFrame) -> list[Net]:
    """The networks that were probed: plain nets first, shallow ones first."""
    return in_order(set(zip(found["depth"].astype(int), found["shortcut"], strict=True)))


def gradient_ratio(signals: pd.DataFrame) -> float:
    """The largest gradient of a net's layers over the smallest, mean over seeds."""
    gradients = signals.groupby("run")["gradient"]
    return float((gradients.max() / gradients.min()).mean())
