"""A griffe extension: examples in docstrings are shown as code on the API's pages, wherever they stand."""

from __future__ import annotations

import re
from typing import Any

import griffe

DOCTEST = re.compile(r"^([ \t]*)>>> .*(?:\n[ \t]*\S.*)*", re.MULTILINE)  # up to the next empty line
CODE = re.compile(r"^([ \t]*)Example:\n((?!\s*>>>)(?:\1[ \t]+\S.*\n?)+)", re.MULTILINE)  # no prompt: not run


class Examples(griffe.Extension):
    """Put a fence around each example, so that Markdown does not take it for text."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        """Rewrite the docstring of a module, class or function inside a package."""
        if obj.docstring:
            prompted = DOCTEST.sub(r"\1```pycon\n\g<0>\n\1```", obj.docstring.value)
            obj.docstring.value = CODE.sub(_fenced, prompted)

    def on_package(self, *, pkg: griffe.Module, **_: Any) -> None:
        """Rewrite the docstring of the package."""
        self.on_object(obj=pkg)


def _fenced(example: re.Match[str]) -> str:
    indent = f"{example[1]}    "
    return f"{example[1]}Example:\n{indent}```python\n{example[2].rstrip()}\n{indent}```\n"
