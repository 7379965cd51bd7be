"""Run the product with its images on another device than its network once Lightning has torn its strategy down.

    python -m tests.elsewhere study train ...

That is how every run on a GPU ends: `Strategy.teardown` moves the network to the CPU and leaves the images where they
are. Here the network is on the CPU from the start, so the images go to torch's ``meta`` device instead. It has no
values, and mixing it with another device is an error, as on a GPU. What it does not show: anything else that CUDA does
at the end of a run.
"""

from __future__ import annotations

import runpy
import sys

import torch
from pytorch_lightning.strategies import DDPStrategy, SingleDeviceStrategy, Strategy

from study.training.module import TrainingModule


def move_images_after(teardown: type[Strategy]) -> None:
    """Let the images of a run be on another device after its strategy's `teardown`."""
    original = teardown.teardown

    def torn_down(strategy: Strategy) -> None:
        original(strategy)
        module = strategy.lightning_module
        assert isinstance(module, TrainingModule)
        module._images = module.dataset.on(torch.device("meta"), module.recipe)

    teardown.teardown = torn_down  # type: ignore[method-assign]


def main() -> None:
    """Patch Lightning, then run the module as ``python -m`` does."""
    for strategy in (SingleDeviceStrategy, DDPStrategy):
        move_images_after(strategy)
    sys.argv = sys.argv[1:]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
