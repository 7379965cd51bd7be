"""Text in CSV files that a spreadsheet would compute: what is written instead, and back."""

from __future__ import annotations

import re

# What a spreadsheet computes, however many quotes stand before it, so that one more can be taken off again.
FORMULA = re.compile(r"'*(?:[=@\t\r]|[+-](?![\d.]))")


def no_formula(cell: str) -> str:
    """Text that a spreadsheet does not take for a formula; numbers with a sign stay as they are.

    >>> no_formula("=cmd()"), no_formula("-0.5 points"), no_formula("ResNet-56")
    ("'=cmd()", '-0.5 points', 'ResNet-56')
    """
    return f"'{cell}" if FORMULA.match(cell) else cell


def as_it_was(cell: str) -> str:
    """The text from which `no_formula` made a cell."""
    return cell[1:] if cell.startswith("'") and FORMULA.match(cell) else cell
