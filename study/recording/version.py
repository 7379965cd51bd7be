"""The version of the code that runs: its release, its commit, and whether it was modified since. Imports no torch."""

from __future__ import annotations

import importlib.metadata
import os
import subprocess
from pathlib import Path

PACKAGE = "resnet-study"
VARIABLE = "STUDY_COMMIT"  # where there is no checkout, as in a container, its builder can put the commit here
HERE = Path(__file__)


def describe_version() -> str:
    """The release and the commit in one line, as `--version` prints it: ``0.1.0, commit 1a2b3c (modified)``."""
    modified = " (modified)" if is_modified() else ""
    return f"{release(PACKAGE) or 'not installed'}, commit {commit() or 'unknown'}{modified}"


def commit(file: Path = HERE) -> str | None:
    """The commit of the checkout that holds `file`, else the variable STUDY_COMMIT, else None.

    A repository that merely contains the folder, as that of a project whose virtual environment this code is installed
    in, does not track the file, and its commit says nothing about it.
    """
    if _is_tracked(file):
        return _git(file, "rev-parse", "HEAD")
    return os.environ.get(VARIABLE) or None


def is_modified(file: Path = HERE) -> bool | None:
    """Whether the checkout that holds `file` differs from its commit; None, unknown, where there is no checkout."""
    return bool(_git(file, "status", "--porcelain")) if _is_tracked(file) else None


def release(package: str) -> str | None:
    """The installed version of a package; None if it is not installed."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _is_tracked(file: Path) -> bool:
    return _git(file, "ls-files", "--error-unmatch", file.name) is not None


def _git(file: Path, *arguments: str) -> str | None:
    """What git prints in the file's folder; None if it fails or is not installed."""
    try:
        done = subprocess.run(["git", *arguments], cwd=file.parent, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.strip()
