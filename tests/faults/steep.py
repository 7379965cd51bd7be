"""Run the product with a learning rate on the digits at which every loss overflows.

python -m tests.faults.steep MODULE ...
"""

from __future__ import annotations

import runpy
import sys
from dataclasses import replace

from study import recipes

STEEP = replace(recipes.RECIPES["digits"]["smoke"], lr=1e30, ramp=0)


def change() -> None:
    """Change the recipe in this process."""
    recipes.RECIPES["digits"]["smoke"] = STEEP


def main() -> None:
    """Change the recipe, then run the module as ``python -m`` does."""
    change()
    _, module, *arguments = sys.argv
    sys.argv = [module, *arguments]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
