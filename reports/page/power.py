"""The page docs/power.md: how often the verdicts decide, by simulation.

python -m reports power --out=docs/power.md
"""

from __future__ import annotations

import sys
from pathlib import Path

from rich.console import Console
from rich.progress import Progress

from reports.judging.plan import plan
from reports.judging.power import SEEDS, SIMULATED, Power, power, settings
from reports.tables.table import Table, markdown, numbers

COLUMNS = (
    "claim",
    "seeds",
    "paper's world: supported %",
    "contradicted %",
    "reversed: supported %",
    "contradicted %",
    "flat: supported %",
    "contradicted %",
)


def write(out: Path, draws: int, seed: int) -> None:
    """Simulate and write the page; shows its progress on a terminal."""
    console = Console(stderr=True)
    with Progress(console=console, disable=not sys.stderr.isatty(), transient=True) as progress:
        task = progress.add_task("simulating", total=sum(1 for _ in settings()))
        found = power(draws, seed, lambda: progress.advance(task))
    out.write_text(page(found, draws, seed))


def page(found: list[Power], draws: int, seed: int) -> str:
    """The whole page."""
    rows = [_row(found, id, seeds) for id in SIMULATED for seeds in SEEDS]
    table = Table("", COLUMNS, rows, "", numbers(COLUMNS))
    command = f"python -m reports power --draws={draws} --seed={seed} --out=docs/power.md"
    return f"""# Power of the verdicts

How often the rules of `reports/plan.toml` decide, on {draws} synthetic draws a row and world. Written by `{command}`.

Three worlds. The paper's: networks end near its values. Reversed: the same mirrored, so that every order is the other
way round and every gap has the other sign. Flat: nothing differs. A claim with a margin or a bound has its flat world
at exactly that, where neither it nor its opposite is true. What is alike (C14, C17) stays alike when mirrored; its
reversed world has twice the margin between the networks. Standard deviations between seeds are assumed in the plan. A
row marked with * has the planned number of seeds; with fewer a verdict is interim.

Not simulated: C05 and C15 are judged on whole curves, C10 on networks of which the paper has no numbers.

{markdown(table).strip()}
"""


def _row(found: list[Power], id: str, seeds: int) -> tuple[str, ...]:
    worlds = [one for one in found if (one.claim, one.seeds) == (id, seeds)]
    shares = [f"{100 * share:.0f}" for one in worlds for share in (one.supported, one.contradicted)]
    mark = "*" if seeds == plan().claims[id].seeds else ""
    return (id, f"{seeds}{mark}", *shares)
