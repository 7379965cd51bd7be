"""How a machine is divided into slices, one for each run at a time."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from study.machine import mps
from study.spec import InputError
from study.sweeps.slices import Slice, share, slices, with_service


def test_gpus_are_cut_into_slices() -> None:
    by_twos = slices("0,1,2,3", 2)
    assert [(part.name, part.variables["CUDA_VISIBLE_DEVICES"]) for part in by_twos] == [
        ("gpu0+1", "0,1"),
        ("gpu2+3", "2,3"),
    ]
    assert [part.variables["CUDA_VISIBLE_DEVICES"] for part in slices("cpu", 1)] == ["", ""]


@pytest.mark.parametrize(
    ("gpus", "names"), [("0-7", "01234567"), ("0-1,6,3-4", "01634"), ("5-5", "5"), ("10-11", ["10", "11"])]
)
def test_a_range_is_all_of_its_gpus(gpus: str, names: list[str]) -> None:
    assert [part.variables["CUDA_VISIBLE_DEVICES"] for part in slices(gpus, 1)] == list(names)


def test_several_runs_share_a_gpu_under_names_of_their_own() -> None:
    parts = slices("3,MIG-GPU-8932f937/1/0", 1, runs_per_gpu=2)
    assert [(part.name, part.variables["CUDA_VISIBLE_DEVICES"]) for part in parts] == [
        ("gpu3.1", "3"),
        ("gpu3.2", "3"),
        ("MIG-GPU-8932f937-1-0.1", "MIG-GPU-8932f937/1/0"),
        ("MIG-GPU-8932f937-1-0.2", "MIG-GPU-8932f937/1/0"),
    ]


@pytest.mark.parametrize(
    ("given", "jobs", "per_run", "gets"),
    [
        ("4,5,7", 3, 1, ["4", "5", "7"]),
        ("4,5", 3, 1, ["4", "5", "4"]),
        ("0,1,2,3", 2, 2, ["0,1", "2,3"]),
        ("0,1,2", 3, 2, ["0,1", "2,0", "1,2"]),
        ("0", 2, 2, ["0", "0"]),
        ("0,1", 1, 1, [None]),
        ("", 2, 1, [None, None]),
    ],
)
def test_so_many_jobs_go_round_the_gpus_that_there_are(
    given: str, jobs: int, per_run: int, gets: list[str | None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", given)
    assert [part.variables.get("CUDA_VISIBLE_DEVICES") for part in share(jobs, per_run)] == gets


@pytest.mark.parametrize(
    ("fleet", "serves"),
    [
        (slices("3,5", 1, runs_per_gpu=2), ["3", "5"]),
        (slices("3,5", 1), []),
        (slices("3,5", 2, runs_per_gpu=2), []),
        (slices("cpu", 1), []),
    ],
)
def test_the_service_runs_where_slices_share_one_gpu(
    fleet: list[Slice], serves: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stand-in for NVIDIA's program notes for which GPU it is started; its clients see that GPU as their first."""
    (tmp_path / mps.CONTROL).write_text(f'#!/bin/sh\necho "$CUDA_VISIBLE_DEVICES$*" >> "{tmp_path / "calls"}"\n')
    (tmp_path / mps.CONTROL).chmod(0o755)
    (tmp_path / "calls").touch()
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    with with_service(fleet) as parts:
        assert (tmp_path / "calls").read_text().split() == [f"{gpu}-d" for gpu in serves]
        assert [part.name for part in parts] == [part.name for part in fleet]
        for part, before in zip(parts, fleet, strict=True):
            assert ("CUDA_MPS_PIPE_DIRECTORY" in part.variables) == bool(serves)
            assert part.variables["CUDA_VISIBLE_DEVICES"] == (
                "0" if serves else before.variables["CUDA_VISIBLE_DEVICES"]
            )


@pytest.mark.parametrize(
    ("gpus", "per_run", "says"),
    [
        ("0,1,2", 2, "3 GPUs do not divide into runs of 2"),
        ("0,0", 1, "--gpus=0,0 is not a list of different GPUs"),
        ("0-2,1", 1, "--gpus=0-2,1 is not a list of different GPUs"),
        ("3-1", 1, "--gpus=3-1 is not a list of different GPUs"),
        ("all", 1, "--gpus=all is not a list of different GPUs; write --gpus=0-3, --gpus=0,2,5 or --gpus=cpu"),
        ("0", 0, "--gpus-per-run=0 and --runs-per-gpu=1 must be at least 1"),
    ],
)
def test_slices_that_cannot_be_are_refused(gpus: str, per_run: int, says: str) -> None:
    with pytest.raises(InputError, match=says):
        slices(gpus, per_run)
