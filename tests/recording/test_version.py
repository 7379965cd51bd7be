from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from study.recording import version
from tests.support import run


def git(folder: Path, *arguments: str) -> str:
    words = ["git", "-c", "user.name=nobody", "-c", "user.email=nobody@example.org", *arguments]
    return subprocess.run(words, cwd=folder, capture_output=True, text=True, check=True).stdout.strip()


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A file in a repository of one commit."""
    file = tmp_path / "package" / "version.py"
    file.parent.mkdir()
    file.write_text("one\n")
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "resnet-study"\nversion = "7.1"\n')
    git(tmp_path, "init", "--quiet")
    git(tmp_path, "add", "--all")
    git(tmp_path, "commit", "--quiet", "--message=one")
    return file


def test_the_commit_is_that_of_the_checkout(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STUDY_COMMIT", "another")
    assert version.commit(checkout) == git(checkout.parent, "rev-parse", "HEAD")
    assert version.is_modified(checkout) is False


def test_a_changed_file_makes_it_modified_and_a_new_one_is_listed(checkout: Path) -> None:
    (checkout.parent.parent / "my sweep.yaml").write_text("two\n")
    assert version.is_modified(checkout) is False and version.untracked(checkout) == ["my sweep.yaml"]
    checkout.write_text("two\n")
    assert version.is_modified(checkout)


def test_the_release_is_that_of_the_checkout_even_where_another_is_installed(checkout: Path) -> None:
    assert version.own_release(checkout) == "7.1"


def test_a_copy_in_the_repository_of_another_project_has_no_commit(
    checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("STUDY_COMMIT", raising=False)
    (checkout.parent.parent / "pyproject.toml").write_text('[project]\nname = "theirs"\n')
    assert version.commit(checkout) is None and version.is_modified(checkout) is None
    assert version.untracked(checkout) is None


def test_a_repository_that_only_contains_the_folder_is_not_asked(
    checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a project in whose repository there is a virtual environment with this package."""
    installed = checkout.parent / "site-packages" / "version.py"
    installed.parent.mkdir()
    installed.write_text("")
    monkeypatch.delenv("STUDY_COMMIT", raising=False)
    assert version.commit(installed) is None and version.is_modified(installed) is None
    monkeypatch.setenv("STUDY_COMMIT", "1a2b3c")
    assert version.commit(installed) == "1a2b3c" and version.is_modified(installed) is None


@pytest.mark.parametrize("program", ["study", "reports"])
@pytest.mark.process
def test_both_programs_show_their_version(program: str) -> None:
    done = run(program, "--version")
    assert done.returncode == 0 and done.stdout.startswith(f"{program} ") and done.stdout.count("\n") == 1
    assert f"commit {version.commit() or 'unknown'}" in done.stdout
