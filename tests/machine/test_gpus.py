from __future__ import annotations

import os
from pathlib import Path

import pytest

from study.machine.gpus import read_list, visible_gpus

# NVIDIA's program is only where there is a GPU: this one stands in for it and prints what it prints for two GPUs, the
# second of which is divided.
LISTED = """#!/bin/sh
echo "GPU 0: NVIDIA H100 80GB HBM3 (UUID: GPU-11111111-aaaa)"
echo "GPU 1: NVIDIA H100 80GB HBM3 (UUID: GPU-22222222-bbbb)"
echo "  MIG 3g.40gb     Device  0: (UUID: MIG-33333333-cccc)"
echo "  MIG 3g.40gb     Device  1: (UUID: MIG-44444444-dddd)"
"""
FAILING = "#!/bin/sh\necho 'NVIDIA-SMI has failed because it could not communicate with the driver.'\nexit 9\n"


def install(folder: Path, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    program = folder / "nvidia-smi"
    program.write_text(text)
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")


@pytest.mark.parametrize(
    ("given", "gpus"),
    [
        ("", []),
        ("-1", []),
        ("NoDevFiles", []),
        ("3", ["3"]),
        ("2, 0,1", ["2", "0", "1"]),
        ("0,1,-1,2", ["0", "1"]),
        ("GPU-8932f937,GPU-01b2", ["GPU-8932f937", "GPU-01b2"]),
        ("MIG-GPU-8932f937-d72c/1/0,MIG-aa", ["MIG-GPU-8932f937-d72c/1/0", "MIG-aa"]),
    ],
)
def test_the_list_is_read_as_cuda_reads_it(given: str, gpus: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", given)
    assert visible_gpus() == read_list(given) == gpus


def test_without_a_list_the_driver_is_asked_and_parts_replace_their_gpu(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    install(tmp_path, LISTED, monkeypatch)
    assert visible_gpus() == ["GPU-11111111-aaaa", "MIG-33333333-cccc", "MIG-44444444-dddd"]
    install(tmp_path, FAILING, monkeypatch)
    assert visible_gpus() == [], "each run says itself what is wrong with the driver"
