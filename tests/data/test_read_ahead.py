"""Worker processes that read ImageNet end with the process that started them, and readers are not kept."""

from __future__ import annotations

import gc
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from torch.utils.data import Dataset

from study.data.imagenet import read_ahead
from study.data.imagenet.read_ahead import ReadAhead
from study.data.imagenet.readers import Batch
from tests.support import ROOT

LEAVE = """
import sys
from pathlib import Path
import torch
from study.data.datasets import dataset_info
from study.recipes import RECIPES
images = dataset_info("imagenet").load(Path(sys.argv[1])).on(torch.device("cpu"), RECIPES["imagenet"]["smoke"])
print(images.batch(0, 0)[0].shape)
"""


@dataclass(frozen=True)
class Numbers(Dataset[Batch]):
    """A batch that says which it is."""

    offset: int = 0

    def __getitem__(self, key: int) -> Batch:
        number = torch.tensor([key + self.offset])
        return Batch(number, number, number, number, number)


def test_batches_come_in_order_and_from_the_reader_that_is_asked() -> None:
    ahead = ReadAhead(workers=1, pin=False)
    got = [int(ahead.get(Numbers(), key, range(key, 9)).labels) for key in (3, 4, 5)]
    assert got == [3, 4, 5]
    assert int(ahead.get(Numbers(), 8, range(8, 9)).labels) == 8, "out of order, and the last"
    assert int(ahead.get(Numbers(), 2, range(2, 9)).labels) == 2
    assert int(ahead.get(Numbers(100), 3, range(3, 9)).labels) == 103
    ahead.close()
    assert int(ahead.get(Numbers(100), 4, range(4, 9)).labels) == 104


def test_readers_are_not_kept_for_the_end_of_the_process() -> None:
    gc.collect()
    before = len(read_ahead._READERS)
    readers = [ReadAhead(workers=0, pin=False) for _ in range(5)]
    assert len(read_ahead._READERS) == before + 5
    del readers
    gc.collect()
    assert len(read_ahead._READERS) == before


@pytest.mark.process
def test_a_process_with_workers_that_read_ahead_ends(imagenet: Path) -> None:
    """Workers ignore the SIGTERM by which multiprocessing ends them at exit."""
    done = subprocess.run(
        [sys.executable, "-c", LEAVE, str(imagenet)], cwd=ROOT, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0 and "224, 224" in done.stdout, done.stderr
