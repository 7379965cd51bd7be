"""A stand-in for CUDA graphs and streams on a CPU: a tape of torch's operations on fixed memory.

`GraphSteps` asks torch for a stream, a graph, a capture and replays. Here these are made of torch's own mechanism for
watching operations (`TorchDispatchMode`), so that the captured step runs under Lightning where there is no GPU.

It shows that a capture changes nothing, that a replay is the same operations on the same memory, that what changes from
step to step (plans, learning rate, counts, running averages) is read from and written to memory rather than to Python,
that nothing is read by the host, and in which order the streams wait for each other.

It doesn't show: whether CUDA lets an operation be captured; what runs at the same time (here the order is the host's);
memory pools, hence a graph that reads memory which has been freed (the tape keeps all its tensors); the choices and
workspaces of cuDNN and cuBLAS; kernels that do not pass torch's dispatcher, such as those of Triton or of torch's
compiler; random numbers, which a step here does not draw; and any time.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

aten = torch.ops.aten
# What a capture forbids, as the host would have to wait for a value, or hand one over.
READS = {aten._local_scalar_dense, aten.equal, aten.is_nonzero, aten.nonzero, aten.masked_select, aten._unique2}
UPLOADS = {aten.lift_fresh, aten.lift_fresh_copy}  # torch.tensor(...)
BATCH_NORMS = {aten.native_batch_norm, aten.cudnn_batch_norm}  # write arguments 3 and 4, which their schemas conceal


@dataclass(frozen=True)
class Operation:
    """One operation of a tape, with the tensors that it was given and those that it made."""

    function: Any
    arguments: tuple[Any, ...]
    keywords: dict[str, Any]
    result: Any

    def again(self) -> None:
        """Do it again on the values that its tensors have now; new tensors go where the first ones are."""
        result = self.function(*self.arguments, **self.keywords)
        for first, new in zip(tree_leaves(self.result), tree_leaves(result), strict=True):
            if isinstance(first, Tensor) and first.data_ptr() != new.data_ptr():
                first.copy_(new)


class Tape(TorchDispatchMode):
    """Records operations, and what the memory that they write held before."""

    def __init__(self) -> None:
        super().__init__()
        self.operations: list[Operation] = []
        self._before: dict[int, tuple[torch.UntypedStorage, torch.UntypedStorage]] = {}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        keywords = kwargs or {}
        packet = func.overloadpacket
        if packet in READS | UPLOADS:
            raise RuntimeError(f"{func}: the captured step reads from the host, or is read by it")
        for tensor in _written(func, args, keywords):
            self._keep(tensor)
        result = func(*args, **keywords)
        if not _is_view(func) and "profiler" not in str(func):
            self.operations.append(Operation(func, args, keywords, result))
        return result

    def _keep(self, tensor: Tensor) -> None:
        storage = tensor.untyped_storage()
        self._before.setdefault(storage._cdata, (storage, storage.clone()))

    def undo(self) -> None:
        """Give all memory the values from before the tape."""
        for storage, before in self._before.values():
            storage.copy_(before)


def _written(func: Any, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> list[Tensor]:
    """The tensors that an operation writes in place."""
    written: list[Any] = list(arguments[3:5]) if func.overloadpacket in BATCH_NORMS else []
    for i, argument in enumerate(func._schema.arguments):
        if argument.alias_info is not None and argument.alias_info.is_write:
            written += tree_leaves(arguments[i] if i < len(arguments) else keywords.get(argument.name))
    return [value for value in written if isinstance(value, Tensor)]


def _is_view(func: Any) -> bool:
    """Whether an operation only looks at its argument's memory: its result changes with it."""
    aliases = [argument.alias_info for argument in func._schema.arguments if argument.alias_info is not None]
    return bool(aliases) and not any(alias.is_write for alias in aliases)


class Graph:
    """A captured step: `torch.cuda.CUDAGraph`."""

    def __init__(self) -> None:
        self.operations: list[Operation] = []

    def replay(self) -> None:
        """Do what was captured, in order."""
        LOG.replays += 1
        with torch.no_grad():
            for operation in self.operations:
                operation.again()


class Stream:
    """A queue of the device: `torch.cuda.Stream`. It only writes down what is asked of it."""

    def __init__(self, name: str = "side") -> None:
        self.name = name

    def wait_stream(self, other: Stream) -> None:
        """Write down that this stream waits for another one."""
        LOG.events.append(f"{self.name} waits for {other.name}")


@dataclass
class Log:
    """What was asked of the stand-in.

    Attributes:
        captures: Number of captures.
        replays: Number of replays.
        events: Waits between streams, and the work that is put on another one, in order.
    """

    captures: int = 0
    replays: int = 0
    events: list[str] = field(default_factory=list)


LOG = Log()


@contextmanager
def capture(graph: Graph, stream: Stream) -> Iterator[None]:
    """Record what is done into a graph, and undo it, as a capture launches nothing: `torch.cuda.graph`."""
    assert stream.name != "main", "CUDA can't capture its default stream"
    LOG.captures += 1
    tape = Tape()
    with tape:
        yield
    graph.operations = tape.operations
    tape.undo()


@contextmanager
def _on_stream(stream: Stream) -> Iterator[None]:
    LOG.events.append(f"work on {stream.name}")
    yield


def install(monkeypatch: pytest.MonkeyPatch) -> Log:
    """Put the stand-in in place of torch's graphs and streams; returns the log of what is asked of it."""
    LOG.captures, LOG.replays = 0, 0
    LOG.events.clear()
    main = Stream("main")
    for name, part in {
        "Stream": Stream,
        "CUDAGraph": Graph,
        "graph": capture,
        "stream": _on_stream,
        "current_stream": lambda: main,
    }.items():
        monkeypatch.setattr(torch.cuda, name, part)
    return LOG
