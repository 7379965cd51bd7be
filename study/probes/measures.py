"""The parts of a probe that look at one trained network, by the names under which probes.json has them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from study.data.images import Images
from study.network import ResNet
from study.probes.blocks import blocks
from study.probes.deeper import copy
from study.probes.embedding import embeddings
from study.probes.landscape import landscape
from study.probes.lesions import lesions
from study.probes.mistakes import filters, mistakes
from study.probes.signals import signals
from study.spec import Spec

MEASURES: dict[str, Callable[[ResNet, Spec, Images], Any]] = {
    "signals": signals,
    "blocks": blocks,
    "copy": copy,
    "lesions": lesions,
    "mistakes": mistakes,
    "filters": filters,
    "embeddings": embeddings,
    "landscape": landscape,
}
