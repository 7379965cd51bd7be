"""What `pip install` brings: built, installed into an empty folder and used from another one, as a stranger would."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from study.sweeps import grid
from tests.support import ENVIRONMENT, ROOT, SNAPSHOT

pytestmark = [pytest.mark.slow, pytest.mark.process]
PARTS = ("study", "reports", "sweeps", "pyproject.toml", "setup.py", "README.md", "LICENSE")


def pip(*arguments: str) -> None:
    words = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", *arguments]
    done = subprocess.run(words, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def copy_source(source: Path) -> Path:
    """What the package is built from, copied, as a build leaves folders behind."""
    for part in PARTS:
        copy = shutil.copytree if (ROOT / part).is_dir() else shutil.copy
        copy(ROOT / part, source / part)
    return source


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder into which a wheel of this tree is installed."""
    source, target = copy_source(tmp_path_factory.mktemp("source")), tmp_path_factory.mktemp("target")
    pip("wheel", str(source), "--no-deps", "--no-build-isolation", f"--wheel-dir={source}")
    (wheel,) = source.glob("*.whl")
    pip("install", "--no-deps", f"--target={target}", str(wheel))
    return target


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project of another's, in git, with a virtual environment in it that sees the packages of this one."""
    project = tmp_path_factory.mktemp("project")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", project / ".venv"], check=True)
    (packages,) = project.glob(".venv/lib/python*/site-packages")
    (packages / "packages.pth").write_text(sysconfig.get_paths()["purelib"])
    commit_all(project)
    return project


def commit_all(folder: Path) -> str:
    """Make a folder a repository of one commit, which is returned."""
    (folder / "notes.txt").write_text("theirs")
    name = ("-c", "user.name=nobody", "-c", "user.email=nobody@example.org")
    for words in (("init", "--quiet"), ("add", "--all"), (*name, "commit", "--quiet", "--message=one")):
        subprocess.run(["git", *words], cwd=folder, check=True)
    head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=folder, check=True, capture_output=True, text=True)
    return head.stdout.strip()


def run(installed: Path, folder: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("STUDY_")}
    environment |= ENVIRONMENT | variables | {"PYTHONPATH": str(installed)}
    words = [sys.executable, *arguments]
    return subprocess.run(words, cwd=folder, env=environment, capture_output=True, text=True, timeout=300)


def test_every_file_that_the_programs_read_is_installed(installed: Path) -> None:
    for package in ("study", "reports"):
        files = {path.relative_to(ROOT) for path in (ROOT / package).rglob("*") if path.is_file()}
        wanted = {str(path) for path in files if path.parts[1] != "results" and path.suffix != ".pyc"}
        there = {str(path.relative_to(installed)) for path in (installed / package).rglob("*") if path.is_file()}
        assert {path for path in there if not path.endswith(".pyc")} == wanted
    sweeps = {path.name for path in (installed / "study_sweeps").glob("*.yaml")}
    assert sweeps == {path.name for path in (ROOT / "sweeps").glob("*.yaml")}


def test_a_sweep_is_found_by_name_in_an_empty_folder(installed: Path, tmp_path: Path) -> None:
    done = run(installed, tmp_path, "-m", "study", "sweep", "digits", "--dry-run")
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == len(grid.cells(ROOT / "sweeps" / "digits.yaml"))
    where = "from study.sweeps import grid; print(grid.find('digits'))"
    assert run(installed, tmp_path, "-c", where).stdout.strip() == str(installed / "study_sweeps" / "digits.yaml")
    assert not list(tmp_path.iterdir())


def test_an_installed_cell_trains(installed: Path, tmp_path: Path) -> None:
    cell = ("--dataset=digits", "--depth=8", "--shortcut=A")
    done = run(installed, tmp_path, "-m", "study", "train", *cell, STUDY_COMMIT="1a2b3c")
    assert done.returncode == 0, done.stderr
    (folder,) = (tmp_path / "runs").glob("digits-*")
    assert '"commit": "1a2b3c"' in (folder / "provenance.json").read_text()


def test_the_doctor_and_both_programs_answer(installed: Path, tmp_path: Path) -> None:
    assert run(installed, tmp_path, "-m", "study", "doctor").returncode == 0
    assert "commit unknown" in run(installed, tmp_path, "-m", "study", "--version").stdout
    assert "commit 1a2b3c" in run(installed, tmp_path, "-m", "study", "--version", STUDY_COMMIT="1a2b3c").stdout
    assert run(installed, tmp_path, "-m", "reports", "--help").returncode == 0


def test_installed_inside_another_repository_the_commit_is_its_own_or_unknown(
    installed: Path, elsewhere: Path, tmp_path: Path
) -> None:
    """First copied there without a word of where it came from, then by `pip install git+...`."""
    (packages,) = elsewhere.glob(".venv/lib/python*/site-packages")
    shutil.copytree(installed, packages, dirs_exist_ok=True)
    python = elsewhere / ".venv" / "bin" / "python"
    variables = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "STUDY_COMMIT")}

    def version() -> str:
        return subprocess.check_output([python, "-m", "study", "--version"], cwd=elsewhere, env=variables, text=True)

    assert version().endswith(", commit unknown\n")
    mine = commit_all(copy_source(tmp_path))
    pip("install", "--no-deps", "--no-build-isolation", "--upgrade", f"--target={packages}", f"git+file://{tmp_path}")
    assert version().endswith(f", commit {mine}\n")


def test_the_report_finds_its_templates_and_the_papers_numbers(installed: Path, tmp_path: Path) -> None:
    snapshot = tmp_path / "report"
    shutil.copytree(SNAPSHOT, snapshot)
    done = run(installed, tmp_path, "-m", "reports", "build", f"--out={snapshot}")
    assert done.returncode == 0, done.stderr
    assert (snapshot / "REPORT.md").exists() and (snapshot / "report.html").exists()
