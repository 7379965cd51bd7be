"""The version of the code that runs: its release, its commit, and whether it was modified since. Imports no torch."""

from __future__ import annotations

import importlib.metadata
import json
import os
import subprocess
import tomllib
from contextlib import suppress
from pathlib import Path
from typing import Any

PACKAGE = "resnet-study"
VARIABLE = "STUDY_COMMIT"  # where there is no checkout, as in a container, its builder can put the commit here
HERE = Path(__file__)
MOST = 20  # names of untracked files in a record


def describe_version() -> str:
    """The release and the commit in one line, as `--version` prints it: ``0.1.0, commit 1a2b3c (modified)``."""
    modified = " (modified)" if is_modified() else ""
    return f"{own_release() or 'not installed'}, commit {commit() or 'unknown'}{modified}"


def commit(file: Path = HERE) -> str | None:
    """The commit of the checkout that holds `file`, else STUDY_COMMIT, else that of ``pip install git+...``, else None.

    A repository that merely contains the folder, as that of a project whose virtual environment this code is installed
    in, is not asked: its commit says nothing about this code.
    """
    if _checkout(file):
        return _git(file, "rev-parse", "HEAD")
    return os.environ.get(VARIABLE) or _installed_commit(file)


def is_modified(file: Path = HERE) -> bool | None:
    """Whether tracked files of the checkout that holds `file` differ from its commit; None without a checkout."""
    return bool(_git(file, "status", "--porcelain", "--untracked-files=no")) if _checkout(file) else None


def untracked(file: Path = HERE) -> list[str] | None:
    """The first files of the checkout that git neither tracks nor ignores; None where there is no checkout.

    They are listed, not counted as a modification: a sweep file of one's own does not change the code.
    """
    top = _checkout(file)
    if top is None:
        return None
    return (_git(top / "pyproject.toml", "ls-files", "--others", "--exclude-standard") or "").splitlines()[:MOST]


def own_release(file: Path = HERE) -> str | None:
    """The version of this code: of the checkout, whether it is installed or not, else of the installed package."""
    top = _checkout(file)
    version: str | None = _project(top).get("version") if top else release(PACKAGE)
    return version


def release(package: str) -> str | None:
    """The installed version of a package; None if it is not installed."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _checkout(file: Path) -> Path | None:
    """The repository of this code that tracks `file`; None if there is none, or if it is another project's."""
    if _git(file, "ls-files", "--error-unmatch", file.name) is None:
        return None
    top = Path(_git(file, "rev-parse", "--show-toplevel") or "")
    return top if _project(top).get("name") == PACKAGE else None


def _project(top: Path) -> dict[str, Any]:
    """What pyproject.toml says of the project in a folder; empty without one."""
    with suppress(OSError, ValueError, KeyError):
        project: dict[str, Any] = tomllib.loads((top / "pyproject.toml").read_text())["project"]
        return project
    return {}


def _installed_commit(file: Path) -> str | None:
    """The commit that pip noted when it installed the package that holds `file` from a repository."""
    with suppress(importlib.metadata.PackageNotFoundError):
        package = importlib.metadata.distribution(PACKAGE)
        noted = json.loads(package.read_text("direct_url.json") or "{}")
        files = (Path(str(package.locate_file(each))) for each in package.files or ())
        if file.resolve() in (path.resolve() for path in files if path.name == file.name):
            commit: str | None = noted.get("vcs_info", {}).get("commit_id")
            return commit
    return None


def _git(file: Path, *arguments: str) -> str | None:
    """What git prints in the file's folder; None if it fails or is not installed."""
    try:
        done = subprocess.run(["git", *arguments], cwd=file.parent, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.strip()
