"""The fingerprint says what ran, and nothing of who ran it."""

from __future__ import annotations

import getpass
import os
import platform
import subprocess
from pathlib import Path

import msgspec
import pytest

from harness.trial.environment import checkout_state, fingerprint, version, working_tree

CHECKOUT = Path(__file__).parents[3]


def git(folder: Path, *arguments: str) -> str:
    who = ["-c", "user.name=Test", "-c", "user.email=test@example.org"]
    env = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    done = subprocess.run(
        ["git", *who, *arguments], cwd=folder, env=env, check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    git(tmp_path, "init", "--quiet")
    (tmp_path / "code.py").write_text("")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "--quiet", "--message=first")
    return tmp_path


def test_the_fingerprint_is_whole_and_can_be_recorded() -> None:
    found = fingerprint()
    assert found.cpu
    assert found.cores >= 1
    assert found.memory_bytes > 1e8
    assert platform.python_version() in found.python
    assert found.packages["msgspec"] == msgspec.__version__
    assert found.source == "checkout"
    assert msgspec.json.decode(msgspec.json.encode(found), type=type(found)) == found


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="only Linux binds to cores")
def test_only_the_cores_that_may_be_used_are_counted() -> None:
    usable = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, {min(usable)})
        assert fingerprint().cores == 1
    finally:
        os.sched_setaffinity(0, usable)


def test_the_fingerprint_names_neither_user_nor_folder_nor_host() -> None:
    text = msgspec.json.encode(fingerprint()).decode()
    assert str(Path.home()) not in text
    assert str(CHECKOUT) not in text
    assert platform.node() not in text
    # A user may be called as something that stands there anyway; then this says nothing.
    if getpass.getuser() not in {"root", "linux"}:
        assert getpass.getuser() not in text


def test_the_commit_and_whether_files_differ_from_it(repository: Path) -> None:
    commit = git(repository, "rev-parse", "HEAD")
    assert checkout_state(repository) == (commit, False)
    (repository / "code.py").write_text("changed = True")
    assert checkout_state(repository) == (commit, True)


def test_the_tree_tells_two_sets_of_changes_apart(repository: Path) -> None:
    assert working_tree(repository) == git(repository, "rev-parse", "HEAD^{tree}")
    status = git(repository, "status", "--porcelain")
    seen = set()
    for name, content in (
        ("code.py", b"changed = 1"),
        ("code.py", b"changed = 2"),
        ("new.py", b"\xff"),
        ("new.py", b"\xfe"),
    ):
        (repository / name).write_bytes(content)
        seen.add(working_tree(repository))
        seen.add(working_tree(repository))
    assert len(seen - {None}) == 4
    (repository / "new.py").unlink()
    git(repository, "checkout", "code.py")
    assert git(repository, "status", "--porcelain") == status
    assert working_tree(repository / "nowhere") is None


def test_code_below_a_checkout_of_something_else_has_no_commit(repository: Path) -> None:
    installed = repository / ".venv"
    installed.mkdir()
    assert checkout_state(installed) == (None, None)


def test_no_checkout_or_no_git_is_no_error(
    tmp_path: Path, repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bare = tmp_path / "not" / "a" / "checkout"
    bare.mkdir(parents=True)
    assert checkout_state(bare) == (None, None)
    monkeypatch.setenv("PATH", str(bare))
    assert checkout_state(repository) == (None, None)


def test_a_hooks_variables_do_not_point_elsewhere(
    repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_DIR", "/nowhere")
    assert checkout_state(repository)[1] is False


def test_the_version_is_the_one_in_pyproject() -> None:
    assert f'version = "{version()}"' in (CHECKOUT / "pyproject.toml").read_text()
