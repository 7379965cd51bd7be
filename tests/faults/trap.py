"""An object whose pickle holds code."""

from __future__ import annotations

import os
from collections.abc import Callable


class Trap:
    """Code that a pickle would run."""

    def __reduce__(self) -> tuple[Callable[[str], int], tuple[str]]:
        return os.system, ("touch trapped",)
