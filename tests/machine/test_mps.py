from __future__ import annotations

import os
from pathlib import Path

import pytest

from study.machine.mps import CONTROL, shared_gpu

# NVIDIA's program is only where there is a GPU: this one stands in for it, and notes how it was called.
PROGRAM = """#!/bin/sh
echo "$*$(test "$1" = -d || cat) $CUDA_MPS_PIPE_DIRECTORY" >> "{log}"
exit {status}
"""


@pytest.fixture
def calls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file in which the program notes its calls."""
    monkeypatch.delenv("CUDA_MPS_PIPE_DIRECTORY", raising=False)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    install(tmp_path, status=0)
    return tmp_path / "calls"


def install(folder: Path, status: int) -> None:
    program = folder / CONTROL
    program.write_text(PROGRAM.format(log=folder / "calls", status=status))
    program.chmod(0o755)


def test_the_service_runs_while_processes_share_the_gpu_and_is_stopped_after_an_error_too(calls: Path) -> None:
    with pytest.raises(RuntimeError), shared_gpu(2) as variables:
        folder = variables["CUDA_MPS_PIPE_DIRECTORY"]
        assert Path(folder).is_dir() and variables["CUDA_MPS_LOG_DIRECTORY"] == folder
        assert calls.read_text() == f"-d {folder}\n"
        raise RuntimeError
    assert calls.read_text() == f"-d {folder}\nquit {folder}\n"
    assert not Path(folder).exists() and "CUDA_MPS_PIPE_DIRECTORY" not in os.environ


def test_processes_take_turns_where_the_service_does_not_start(calls: Path, tmp_path: Path) -> None:
    install(tmp_path, status=1)
    with shared_gpu(2) as variables:
        assert variables == {}
    assert calls.exists()


def test_one_process_needs_no_service(calls: Path) -> None:
    with shared_gpu(1) as variables:
        assert variables == {}
    assert not calls.exists()


def test_a_service_that_runs_already_is_left_alone(calls: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_MPS_PIPE_DIRECTORY", "/run/mps")
    with shared_gpu(2) as variables:
        assert variables == {}
    assert not calls.exists()


def test_a_machine_without_the_service_shares_without_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("CUDA_MPS_PIPE_DIRECTORY", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    with shared_gpu(2) as variables:
        assert variables == {}
