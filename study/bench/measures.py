"""What is measured besides steps: the loop's own time, evaluation, start-up, memory, and the floor under a step."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import weakref
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter, process_time, sleep
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from study import network
from study.bench.arms import Arm, Bare, Contender, Ours
from study.data.datasets import load_in_memory
from study.data.images import Images
from study.machine.options import MachineOptions
from study.recording.record import Record
from study.spec import Spec
from study.training.step import AT_ONCE, in_segments, update

Row = dict[str, Any]
LAUNCH = 2e-6  # seconds that the shortest kernel takes on a GPU, in a graph


class Nothing(nn.Module):
    """A net with one weight, so that a step costs what the loop around it costs."""

    def __init__(self) -> None:
        super().__init__()
        self.scores = nn.Parameter(torch.zeros(1, 10))

    def forward(self, images: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, 10), whatever the images are."""
        return self.scores.expand(len(images), 10)


def overhead(rounds: int = 15, steps: int = 400) -> Row:
    """Milliseconds a step that Lightning and our bookkeeping add to a bare loop, on a net that does nothing.

    They are the processor's, not the wall's: neighbours on the machine disturb so small a time too much.
    """
    contender = Contender(
        Spec("digits", 8, "A"), load_in_memory("digits", Path()), MachineOptions(), Nothing, process_time
    )
    step_mode = "graph" if contender.device.type == "cuda" else "plain"
    arms: dict[str, Arm] = {
        "at_once": Ours(contender, step_mode),
        "one_by_one": Ours(contender, "plain", at_once=1),
        "bare": Bare(contender),
    }
    turns = [{name: 1e3 * arm.turn(steps) / steps for name, arm in arms.items()} for _ in range(rounds)]
    added = {name: median(turn[name] - turn["bare"] for turn in turns) for name in ("at_once", "one_by_one")}
    return {"bare_ms": median(turn["bare"] for turn in turns), "added_ms": added, "steps_at_once": AT_ONCE}


def evaluation(contender: Contender) -> Row:
    """Test images a second, over one batch, after another that is not counted."""
    net, source = Bare(contender).net.eval(), Images(contender.arrays, contender.recipe, contender.device)
    images = min(contender.arrays.evaluation_batch, source.test_size)
    with torch.inference_mode(), contender.autocast():
        net(source.test_batch(0, images)[0])
        since = contender.clock()
        net(source.test_batch(0, images)[0])
        seconds = contender.clock() - since
    return {"images_per_second": images / seconds, "whole_test_set_seconds": source.test_size * seconds / images}


def start_up() -> Row:
    """Seconds from `study train` on digits to its first row: imports, images, five steps and an evaluation."""
    cell = ("--dataset=digits", "--depth=8", "--shortcut=A", "--wandb=disabled")
    with TemporaryDirectory() as folder:
        record, since = Record(Path(folder), Spec("digits", 8, "A")), perf_counter()
        process = subprocess.Popen([sys.executable, "-m", "study", "train", *cell, f"--runs={folder}"])
        while not record.history() and process.poll() is None:
            sleep(0.02)
        seconds = perf_counter() - since
        process.kill()
        process.wait()
    return {"seconds_to_first_row": seconds}


class LiveBytes(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts the bytes of the tensors made inside that are alive: activations, gradients and what is temporary.

    Attributes:
        live: Bytes now.
        peak: The most there were at a time.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.live = self.peak = 0
        self._known: set[int] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        given = {self._key(value) for value in tree_leaves((args, kwargs)) if isinstance(value, Tensor)}
        result = func(*args, **(kwargs or {}))
        for value in tree_leaves(result):
            if isinstance(value, Tensor) and self._key(value) not in given | self._known:
                self._watch(value.untyped_storage())
        return result

    def _key(self, tensor: Tensor) -> int:
        return int(tensor.untyped_storage()._cdata)

    def _watch(self, storage: torch.UntypedStorage) -> None:
        self._known.add(storage._cdata)
        self.live += storage.nbytes()
        self.peak = max(self.peak, self.live)
        weakref.finalize(storage, self._forget, storage._cdata, storage.nbytes())

    def _forget(self, key: int, size: int) -> None:
        self._known.discard(key)
        self.live -= size


def memory(contender: Contender, every: int) -> Row:
    """The most bytes that one update takes, how many are kept for its backward pass, and what that gives."""
    torch.manual_seed(0)
    net = contender.net().to(memory_format=torch.channels_last)
    forward = in_segments(net, every) if every else net
    kept = 0

    def backward(counter: LiveBytes, loss: Tensor) -> None:
        nonlocal kept
        kept = counter.live
        loss.backward()  # type: ignore[no-untyped-call]

    images, labels = Images(contender.arrays, contender.recipe, contender.device).batch(0, 0)
    sgd = torch.optim.SGD(net.parameters(), 0.0)
    with contender.autocast(), LiveBytes() as counter:
        update(forward, sgd, lambda *_: None, partial(backward, counter), images, labels)
    digest = hashlib.sha256()
    for weight in net.parameters():
        assert weight.grad is not None
        digest.update(weight.grad.cpu().numpy().tobytes())
    megabytes = {"peak_mb": counter.peak / 1e6, "kept_for_backward_mb": kept / 1e6}
    return {"checkpoint_every": every} | megabytes | {"gradients_sha256": digest.hexdigest()}


def floor(contender: Contender) -> Row:
    """Milliseconds a step that this very device needs at least: its arithmetic, its memory traffic, its launches.

    Arithmetic is three forward passes at the rate of large matrix products; traffic writes and reads once what is kept
    for the backward pass; launches are counted on a GPU only, at the shortest kernel's time.
    """
    spec, batch, half = contender.spec, contender.recipe.batch, contender.machine.precision == "bf16"
    image = contender.arrays.train_images.shape[1:]
    with torch.device("meta"):
        multiply_adds = network.count(
            network.build(spec.dataset, spec.depth, spec.shortcut), (image[2], image[0], image[1])
        )[1]
    blocks = (spec.depth - 2) // 6
    outputs = image[0] * image[1] * (16 + 56 * blocks)  # of all convolutions: 1/2 and 1/4 as many in stages 2 and 3
    launches = (10 if spec.shortcut == "none" else 11) * spec.depth + 15
    needs = {
        "arithmetic": 6 * multiply_adds * batch / _matmul_rate(contender),
        "traffic": 2 * 2 * outputs * batch * (2 if half else 4) / _copy_rate(contender),
        "launches": LAUNCH * launches if contender.device.type == "cuda" else 0.0,
    }
    return {f"{name}_ms": 1e3 * seconds for name, seconds in needs.items()} | {"floor_ms": 1e3 * max(needs.values())}


def _matmul_rate(contender: Contender) -> float:
    """Floating-point operations a second in large matrix products of the training's precision."""
    size = 8192 if contender.device.type == "cuda" else 2048
    kind = torch.bfloat16 if contender.machine.precision == "bf16" else torch.float32
    a, b = (torch.randn(size, size, device=contender.device, dtype=kind) for _ in range(2))
    return 2 * size**3 / _fastest(contender, lambda: a @ b)


def _copy_rate(contender: Contender) -> float:
    """Bytes a second, read and written, in a large copy."""
    a = torch.zeros(2**28 if contender.device.type == "cuda" else 2**26, device=contender.device)
    b = torch.empty_like(a)
    return 2 * a.nbytes / _fastest(contender, lambda: b.copy_(a))


def _fastest(contender: Contender, work: Callable[[], object], times: int = 8) -> float:
    seconds = []
    for _ in range(times):
        since = contender.clock()
        work()
        seconds.append(contender.clock() - since)
    return min(seconds)
