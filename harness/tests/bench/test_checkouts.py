"""Checkouts of commits and of the working tree: their files, and what cannot be made."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

import pytest

from harness.bench.checkouts import checkouts
from harness.model.errors import HarnessError, InputError

if TYPE_CHECKING:
    from pathlib import Path


def git(folder: Path, *words: str) -> str:
    identity = ("-c", "user.name=x", "-c", "user.email=x@example.org")
    made = subprocess.run(
        ["git", *identity, *words], cwd=folder, capture_output=True, text=True, check=True
    )
    return made.stdout.strip()


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Have a repository of two commits, whose engine prints what version it is."""
    folder = tmp_path / "repository"
    (folder / "restore").mkdir(parents=True)
    git(folder, "init", "-q")
    (folder / ".gitignore").write_text("*.so\n__pycache__\n")
    for version in ("one", "two"):
        (folder / "restore/__main__.py").write_text(f"print({version!r})\n")
        git(folder, "add", ".")
        git(folder, "commit", "-qm", version)
    monkeypatch.chdir(folder)
    return folder


def printed(engine_command: tuple[str, ...]) -> str:
    made = subprocess.run(engine_command[:6], capture_output=True, text=True, check=True)
    return made.stdout.strip()


def test_each_version_runs_its_own_code(repository: Path) -> None:
    (repository / "restore/__main__.py").write_text("print('three')\n")
    (repository / "restore/new.py").write_text("")
    (repository / "restore/old.so").write_text("left by an earlier build")
    (repository / "backup.json").write_text("[]")
    with checkouts("HEAD~1", ".", lambda _: None) as (base, head):
        assert base.commit == git(repository, "rev-parse", "HEAD~1")
        assert (base.is_changed, head.is_changed) == (False, True)
        assert head.title == f"{git(repository, 'rev-parse', 'HEAD')[:8]} with changes"
        assert (head.folder / "restore/new.py").is_file()
        assert not (head.folder / "restore/old.so").exists()
        assert not (head.folder / "backup.json").exists()
        assert not head.is_native
        old, new = base.engine("restore", "base"), head.engine("restore", "head")
        assert (old.name, new.name) == ("restore@base", "restore@head")
        assert (printed(old.template), printed(new.template)) == ("one", "three")
        assert old.keeps_rejects
        folders = base.folder, head.folder
    assert not any(folder.exists() for folder in folders)
    assert git(repository, "worktree", "list").count("\n") == 0


def test_a_checkout_has_links_and_modes_and_leaves_the_index_as_it_is(repository: Path) -> None:
    (repository / "run").write_text("#!/bin/sh\n")
    (repository / "run").chmod(0o755)
    (repository / "link").symlink_to("run")
    git(repository, "add", ".")
    git(repository, "commit", "-qm", "three")
    (repository / "staged").write_text("x")
    git(repository, "add", "staged")
    before = git(repository, "status", "--porcelain")
    with checkouts("HEAD", ".", lambda _: None) as made:
        for checkout in made:
            assert os.access(checkout.folder / "run", os.X_OK)
            assert (checkout.folder / "link").readlink().name == "run"
        assert [(each.folder / "staged").exists() for each in made] == [False, True]
    assert git(repository, "status", "--porcelain") == before == "A  staged"


def test_the_same_commit_twice_is_two_checkouts(repository: Path) -> None:
    with checkouts("HEAD", "HEAD", lambda _: None) as (base, head):
        assert base.commit == head.commit
        assert base.folder != head.folder


def test_a_file_that_was_deleted_is_not_there(repository: Path) -> None:
    (repository / "restore/__main__.py").unlink()
    with checkouts("HEAD", "worktree", lambda _: None) as (_, head):
        assert not (head.folder / "restore/__main__.py").exists()
        with pytest.raises(InputError, match="does not start in this Python environment"):
            head.engine("restore", "head")


def test_what_is_no_commit_is_named(repository: Path) -> None:
    with pytest.raises(InputError, match="HEAD~9: this repository has no such commit"):  # noqa: SIM117
        with checkouts("HEAD~9", ".", lambda _: None):
            pass


def test_a_shallow_clone_is_told_how_to_get_the_commit(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    git(tmp_path, "clone", "-q", "--depth", "1", f"file://{repository}", "shallow")
    monkeypatch.chdir(tmp_path / "shallow")
    with pytest.raises(InputError, match="shallow: fetch more with git fetch --deepen"):  # noqa: SIM117
        with checkouts("HEAD~1", ".", lambda _: None):
            pass


def test_outside_of_a_repository_it_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match="git rev-parse failed"):  # noqa: SIM117
        with checkouts("HEAD", ".", lambda _: None):
            pass


def test_a_build_that_fails_is_named_with_its_last_line(repository: Path) -> None:
    (repository / "setup.py").write_text("raise SystemExit('no such compiler')")
    with pytest.raises(HarnessError, match="cannot be built: no such compiler"):  # noqa: SIM117
        with checkouts("HEAD", ".", lambda _: None):
            pass


def test_what_is_no_code_of_a_commit_is_refused(repository: Path) -> None:
    with checkouts("HEAD", "HEAD", lambda _: None) as (base, _):
        with pytest.raises(InputError, match="--engine floor"):
            base.engine("floor", "base")
        with pytest.raises(InputError, match="no engine is called 'other'"):
            base.engine("other", "base")
