"""The networks in reports/results/weights: the errors that their cards state are counted again from the files."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from study import load
from study.data.images import Arrays
from study.weights.pretrained import CARD, WEIGHTS
from tests.support import RESULTS

SHIPPED = sorted((RESULTS / "weights").glob("*"))
ROUNDING = 2  # images: processors add in other orders


def test_networks_are_shipped_and_small() -> None:
    assert SHIPPED
    sizes = [(folder / WEIGHTS).stat().st_size for folder in SHIPPED]
    assert max(sizes) <= 1_200_000 and sum(sizes) <= 8_000_000


@pytest.mark.parametrize("folder", SHIPPED, ids=lambda folder: folder.name)
def test_a_shipped_network_makes_the_errors_of_its_card(folder: Path, cifar10: Path, arrays: Arrays) -> None:
    net = load(folder)
    assert net.config is not None and net.config.measured is not None and net.config.name == folder.name
    wrong = 0
    with torch.inference_mode():
        for start in range(0, arrays.test_size, 500):
            images = torch.from_numpy(arrays.test_images[start : start + 500]).permute(0, 3, 1, 2)
            inputs = net.preprocess(images).contiguous(memory_format=torch.channels_last)
            wrong += int((net(inputs).argmax(1) != torch.from_numpy(arrays.test_labels[start : start + 500])).sum())
    assert net.config.measured.seen == arrays.test_size
    assert abs(wrong - net.config.measured.wrong) <= ROUNDING
    assert f"{net.config.measured.wrong:,}" in (folder / CARD).read_text()
