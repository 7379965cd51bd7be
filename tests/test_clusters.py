"""The files for clusters in docs: their schemas, their commands, and what each script of Slurm must have."""

from __future__ import annotations

import re
import shlex
import subprocess
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from study.commands.cli import parser
from study.spec import Spec
from study.sweeps import grid
from tests.support import ROOT

CLUSTERS, SLURM = ROOT / "docs" / "clusters", ROOT / "docs" / "slurm"
SCRIPTS = sorted(SLURM.glob("*.sbatch"))
# From the schemas with which skypilot 0.14.1 checks a task (sky/utils/schemas.py), read on 2026-11-30.
SKYPILOT: dict[str, set[str]] = {
    "task": {"name", "workdir", "num_nodes", "resources", "file_mounts", "setup", "run", "envs", "secrets"},
    "resources": {"accelerators", "cpus", "memory", "disk_size", "use_spot", "infra", "job_recovery", "any_of"},
    "storage": {"name", "source", "store", "persistent", "mode"},
}
MODES = {"MOUNT", "COPY", "MOUNT_CACHED"}


def read(path: Path) -> Any:
    return yaml.safe_load(path.read_text())


def check_command(words: list[str]) -> None:
    """Words that start this program are a command of it."""
    assert words[1:3] == ["-m", "study"]
    parser().read(words[3:])


def test_the_job_is_one_of_kubernetes() -> None:
    job = read(CLUSTERS / "kubernetes.yaml")
    kubernetes_validate.validate(job, kubernetes_validate.latest_version(), strict=True)
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(job | {"sepc": {}}, kubernetes_validate.latest_version(), strict=True)


def test_the_job_has_one_pod_per_cell() -> None:
    spec = read(CLUSTERS / "kubernetes.yaml")["spec"]
    (container,) = spec["template"]["spec"]["containers"]
    check_command(container["command"])
    file = container["command"][container["command"].index("sweep") + 1]
    assert spec["completionMode"] == "Indexed" and spec["completions"] == len(grid.cells(grid.find(file)))


def test_the_task_is_one_of_skypilot() -> None:
    task = read(CLUSTERS / "skypilot.yaml")
    assert set(task) <= SKYPILOT["task"]
    assert set(task["resources"]) <= SKYPILOT["resources"]
    for mount in task["file_mounts"].values():
        assert set(mount) <= SKYPILOT["storage"] and mount["mode"] in MODES
    assert grid.find(task["envs"]["SWEEP"])
    commands = [line for text in (task["setup"], task["run"]) for line in text.splitlines() if "-m study" in line]
    assert len(commands) == 2
    for line in commands:
        check_command(shlex.split(line))


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.stem)
def test_a_script_comes_back_after_its_time_limit(path: Path) -> None:
    """Slurm itself runs them in `tests/sweeps/test_slurm.py`, where it is installed."""
    subprocess.run(["bash", "-n", path], check=True)
    flags = " ".join(re.findall(r"^#SBATCH (.*)$", path.read_text(), re.MULTILINE)).split()
    assert {"--signal=B:USR1@300", "--requeue", "--open-mode=append"} <= set(flags)
    job = "%A_%a" if "--array" in path.read_text() else "%j"
    assert f"--output=%x-{job}.log" in flags


def test_the_scripts_name_what_there_is() -> None:
    array, run = (SLURM / "array.sbatch").read_text(), (SLURM / "one_run.sbatch").read_text()
    last, file = re.findall(r"sbatch --array=0-(\d+)%\d+ docs/slurm/array.sbatch (\w+)", array)[0]
    assert int(last) == len(grid.cells(grid.find(file))) - 1
    (name,) = re.findall(r"sbatch docs/slurm/one_run.sbatch (\S+)", run)
    assert Spec.parse(name).name == name
