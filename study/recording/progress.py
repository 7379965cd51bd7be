"""The progress of long work: a bar on a terminal, nothing elsewhere."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TypeVar

from rich.console import Console
from rich.progress import track

Item = TypeVar("Item")


def progress(items: Iterable[Item], what: str) -> Iterator[Item]:
    """Yield the items, with a bar on standard error that says what is done, where that is a terminal."""
    console = Console(stderr=True)
    yield from track(items, what, console=console, disable=not console.is_terminal, transient=True)
