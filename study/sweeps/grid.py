"""Sweep files: find one by name, read its cells, refuse what is not a grid over the five factors of a cell.

W&B's agents read the same files, one per exhibit of the paper. A file that they would read differently is refused.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Sequence
from difflib import get_close_matches
from importlib import resources
from itertools import product, takewhile
from math import prod
from pathlib import Path
from typing import Any

import yaml

from study.recipes import recipe_for
from study.spec import FACTORS, WHOLE_NUMBERS, InputError, Spec, shown

KEYS = ("program", "command", "method", "metric", "name", "description", "project", "entity", "parameters", "run_cap")
LARGEST_FILE = 1_000_000  # bytes
MOST_CELLS = 100_000  # 20 times the cells of all exhibits together, with five seeds each
PACKAGE = "study_sweeps"  # under this name sweeps/ is installed


def find(name: str) -> Path:
    """The sweep file of that name: a path, or the bare name of a file of this study, as in ``digits``.

    Raises:
        InputError: There is no such file; the message lists the names that there are.
    """
    path = Path(name)
    if path.is_file():
        return path
    known = known_files()
    if name in known:
        return known[name]
    raise InputError(f"sweep file {name} does not exist; give a path, or one of these names: {', '.join(known)}")


def known_files() -> dict[str, Path]:
    """The sweep files of this study by their bare names: those of the checkout, else those that are installed."""
    files = sorted(_folder().glob("*.yaml"))
    return {file.stem: file for file in files}


def _folder() -> Path:
    checkout = Path(__file__).parents[2] / "sweeps"
    is_checkout = any(checkout.glob("*.yaml"))
    return checkout if is_checkout else Path(str(resources.files(PACKAGE)))


def cells(path: Path) -> list[Spec]:
    """Read the cells of a sweep file, in the order in which W&B's agents get them.

    Raises:
        InputError: The file cannot be read, is not a grid over the five factors, or names a cell that does not exist.
    """
    text = _read(path)
    try:
        sweep = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise InputError(f"sweep file {path} is not valid YAML: {shown(error)}") from None
    except (RecursionError, ValueError) as error:  # nested too deep, or a number of thousands of digits
        raise InputError(f"sweep file {path} holds what no grid needs: {shown(error)}") from None
    try:
        return list(dict.fromkeys(_specs(sweep)))
    except InputError as error:
        raise InputError(f"sweep file {path}: {error}") from None


def select(specs: Sequence[Spec], places: str) -> list[Spec]:
    """The cells at some places of a sweep file, counted from 0.

    Args:
        specs: All its cells, in order.
        places: Numbers and ranges with commas between them.

    Raises:
        InputError: It is no such list, or there is no cell at one of the places.

    Example:
        >>> [spec.depth for spec in select([Spec("digits", depth, "A") for depth in (8, 14, 20, 26)], "0,2-3")]
        [8, 20, 26]
    """
    if not re.fullmatch(r"\d{1,6}(-\d{1,6})?(,\d{1,6}(-\d{1,6})?)*", places):
        raise InputError(f"--only={shown(places)} is not a list of cells; write --only=0, or --only=0,4-7")
    ends = [[int(end) for end in part.split("-")] for part in places.split(",")]
    chosen = {place for part in ends for place in range(part[0], part[-1] + 1)}
    if not chosen or max(chosen) >= len(specs):
        raise InputError(f"--only={places}: the file has cells 0 to {len(specs) - 1}; --dry-run lists them in order")
    return [specs[place] for place in sorted(chosen)]


def purpose(path: Path) -> str:
    """What a sweep file of this study is for: what its head says before the number of cells."""
    lines = (
        line.removeprefix("#").strip() for line in takewhile(lambda line: line.startswith("#"), _read(path).split("\n"))
    )
    return re.split(r"\s\d+ cells\b", " ".join(lines))[0]


def _read(path: Path) -> str:
    try:
        if path.stat().st_size > LARGEST_FILE:
            raise InputError(f"sweep file {path} has more than {LARGEST_FILE:,} bytes; give a grid file")
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise InputError(f"sweep file {path} cannot be read ({error.strerror}); check its permissions") from None
    except UnicodeDecodeError:
        raise InputError(f"sweep file {path} is not a text file; give a grid file such as sweeps/digits.yaml") from None


def _specs(sweep: Any) -> Iterator[Spec]:
    if not isinstance(sweep, dict) or not isinstance(sweep.get("parameters"), dict):
        raise InputError("it needs 'method: grid' and a block 'parameters'")
    for key in sweep:
        _check_known(key, KEYS, "key")
    if sweep.get("method") != "grid":
        raise InputError(f"method {shown(sweep.get('method'))} is not 'grid'; this study trains every cell of a grid")
    grid = {name: _values(name, block) for name, block in sweep["parameters"].items()}
    for name in ("dataset", "depth", "shortcut"):
        if name not in grid:
            raise InputError(f"parameter {name!r} is missing")
    if (count := prod(map(len, grid.values()))) > MOST_CELLS:
        raise InputError(f"it has {count:,} cells; a grid of more than {MOST_CELLS:,} is a slip")
    for values in product(*(grid[name] for name in sorted(grid))):  # W&B's order: names sorted, the last varies fastest
        spec = Spec(**dict(zip(sorted(grid), values, strict=True)))
        recipe_for(spec)
        yield spec


def _values(name: str, block: Any) -> list[Any]:
    """The values of one parameter, each of the type that its factor has."""
    _check_known(name, FACTORS, "parameter")
    if not isinstance(block, dict) or len(block) != 1 or not {"value", "values"} & set(block):
        raise InputError(f"parameter {name!r} needs either 'value: ...' or 'values: [...]'")
    values = block["values"] if "values" in block else [block["value"]]
    if not isinstance(values, list) or not values:
        raise InputError(f"parameter {name!r} needs a list of values that is not empty")
    values = ["none" if value is None and name == "shortcut" else value for value in values]
    for value in values:
        _check_type(name, value)
    return values


def _check_type(name: str, value: Any) -> None:
    if isinstance(value, str) and _is_number(value):
        raise InputError(
            f"parameter {name!r}: YAML reads {shown(value)} as text; write numbers bare, and 1e-4 as 1.0e-4"
        )
    expected = int if name in WHOLE_NUMBERS else str
    if type(value) is not expected:
        kind = "a whole number" if expected is int else "a word"
        raise InputError(f"parameter {name!r}: {shown(value)} is not {kind}")


def _check_known(name: str, known: Sequence[str], what: str) -> None:
    if name not in known:
        close = get_close_matches(str(name), known, n=1)
        hint = f"did you mean {close[0]!r}?" if close else f"choose one of: {', '.join(known)}"
        raise InputError(f"{what} {shown(name)} is unknown; {hint}")


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def command(spec: Spec, options: Sequence[str]) -> list[str]:
    """The command that trains a cell."""
    return [sys.executable, "-m", "study", "train", *spec.flags, *options]
