from __future__ import annotations

import os
from pathlib import Path
from time import monotonic

import pytest

from study.machine import mps
from study.machine.mps import CONTROL, shared_gpus
from tests.support import wait_for

# NVIDIA's program is only where there is a GPU: this one stands in for it, and notes how it was called. It shows what
# we ask of the service and how we bear its faults, not that a GPU is shared.
PROGRAM = """#!/bin/sh
echo "$CUDA_VISIBLE_DEVICES $*$(test "$1" = -d || cat) $CUDA_MPS_PIPE_DIRECTORY" >> "{log}"
{then}
"""
# A service that keeps what it inherits open, and does not end when it is told to.
STUBBORN = 'test "$1" = -d || exec sleep 60\nsleep 61 &\necho $! >> "{pids}"'


@pytest.fixture
def calls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file in which the program notes its calls."""
    monkeypatch.delenv("CUDA_MPS_PIPE_DIRECTORY", raising=False)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    install(tmp_path, "exit 0")
    return tmp_path / "calls"


def install(folder: Path, then: str) -> None:
    program = folder / CONTROL
    program.write_text(PROGRAM.format(log=folder / "calls", then=then))
    program.chmod(0o755)


def test_each_shared_gpu_has_a_service_which_is_stopped_after_an_error_too(calls: Path) -> None:
    with pytest.raises(RuntimeError), shared_gpus(["3", "GPU-8932f937"], is_shared=True) as variables:
        first, second = (Path(variables[gpu]["CUDA_MPS_PIPE_DIRECTORY"]) for gpu in ("3", "GPU-8932f937"))
        assert first.is_dir() and second.is_dir() and first != second
        assert variables["3"]["CUDA_MPS_LOG_DIRECTORY"] == str(first)
        assert calls.read_text() == f"3 -d {first}\nGPU-8932f937 -d {second}\n"
        raise RuntimeError
    assert calls.read_text().splitlines()[2:] == [f"GPU-8932f937 quit {second}", f"3 quit {first}"]
    assert not first.exists() and not second.exists() and "CUDA_MPS_PIPE_DIRECTORY" not in os.environ


def test_clients_name_their_gpu_as_its_service_numbers_it(calls: Path) -> None:
    """A service that sees GPU 3 alone calls it 0; a UUID is the same name everywhere."""
    with shared_gpus(["3", "MIG-aa"], is_shared=True) as variables:
        assert variables["3"]["CUDA_VISIBLE_DEVICES"] == "0"
        assert variables["MIG-aa"]["CUDA_VISIBLE_DEVICES"] == "MIG-aa"


@pytest.mark.process
def test_a_service_that_keeps_its_output_open_and_will_not_end_holds_nobody(
    calls: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(tmp_path, STUBBORN.format(pids=tmp_path / "pids"))
    monkeypatch.setattr(mps, "PATIENCE", 4.0)
    since = monotonic()
    with shared_gpus(["0"], is_shared=True) as variables:
        assert monotonic() - since < 4, "its start does not wait for what it keeps open"
        service = Path("/proc", (tmp_path / "pids").read_text().strip())
        assert "CUDA_MPS_PIPE_DIRECTORY" in variables["0"] and service.exists()
    assert monotonic() - since < 20
    wait_for(lambda: not _runs(service), seconds=10)


def _runs(process: Path) -> bool:
    """Whether a process runs; one that was killed may wait for somebody to collect its exit status."""
    try:
        return (process / "stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_processes_take_turns_where_the_service_does_not_start(calls: Path, tmp_path: Path) -> None:
    install(tmp_path, "exit 1")
    with shared_gpus(["3"], is_shared=True) as variables:
        assert variables == {"3": {"CUDA_VISIBLE_DEVICES": "3"}}
    assert calls.exists()


def test_a_gpu_of_one_process_needs_no_service(calls: Path) -> None:
    with shared_gpus(["0", "1"], is_shared=False) as variables:
        assert variables == {"0": {"CUDA_VISIBLE_DEVICES": "0"}, "1": {"CUDA_VISIBLE_DEVICES": "1"}}
    assert not calls.exists()


def test_without_gpus_there_is_no_service(calls: Path) -> None:
    with shared_gpus([], is_shared=True) as variables:
        assert variables == {}
    assert not calls.exists()


def test_a_service_that_runs_already_is_left_alone(calls: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_MPS_PIPE_DIRECTORY", "/run/mps")
    with shared_gpus(["0"], is_shared=True) as variables:
        assert variables == {"0": {"CUDA_VISIBLE_DEVICES": "0"}}
    assert not calls.exists()


def test_a_machine_without_the_service_shares_without_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("CUDA_MPS_PIPE_DIRECTORY", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    with shared_gpus(["0"], is_shared=True) as variables:
        assert variables == {"0": {"CUDA_VISIBLE_DEVICES": "0"}}
