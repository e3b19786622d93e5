"""The branch keeps every run that was pushed, even if others push at the same time."""

from __future__ import annotations

import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from harness.cli.app import main
from harness.history import branch
from harness.history.branch import fetch, push
from harness.history.git import _environment, mask
from harness.history.store import MAX_FILE_BYTES, History
from harness.model.errors import HistoryError, InputError

if TYPE_CHECKING:
    from collections.abc import Callable

    from harness.model.record import Run


def git(*words: str | Path, content: bytes = b"") -> str:
    done = subprocess.run(
        ["git", "-c", "user.name=t", "-c", "user.email=t@localhost", *words],
        input=content,
        capture_output=True,
        check=True,
    )
    return done.stdout.decode()


@pytest.fixture
def remote(tmp_path: Path) -> Path:
    path = tmp_path / "remote.git"
    git("init", "--quiet", "--bare", path)
    return path


@pytest.fixture
def write(tmp_path: Path, make_run: Callable[..., Run]) -> Callable[..., Path]:
    """Return what writes a run's file, into a folder of its own."""

    def build(run_id: str, **fields: object) -> Path:
        return History(tmp_path / f"of-{run_id}").write(make_run(id=run_id, **fields))

    return build


def names(remote: Path, of: str = branch.BRANCH) -> set[str]:
    return set(git("-C", remote, "ls-tree", "--name-only", of).split())


def add_to_branch(remote: Path, name: str, content: bytes, mode: str = "100644") -> None:
    """Commit a file to the branch as anybody may who can push to it."""
    blob = git("-C", remote, "hash-object", "-w", "--stdin", content=content).strip()
    git("-C", remote, "read-tree", branch.BRANCH)
    git("-C", remote, "update-index", "--add", "--cacheinfo", f"{mode},{blob},{name}")
    tree = git("-C", remote, "write-tree").strip()
    parent = git("-C", remote, "rev-parse", branch.BRANCH).strip()
    made = git("-C", remote, "commit-tree", tree, "-p", parent, "-m", "by hand").strip()
    git("-C", remote, "update-ref", f"refs/heads/{branch.BRANCH}", made)


def test_a_pushed_run_is_fetched_byte_for_byte(
    remote: Path, tmp_path: Path, write: Callable[..., Path]
) -> None:
    first, second = write("aaaa0001"), write("aaaa0002")
    assert push([first], str(remote)).added == (first.name,)
    done = push([first, second], str(remote))
    assert (done.added, done.known) == ((second.name,), (first.name,))
    assert push([second], str(remote)).added == ()
    got = fetch(tmp_path / "got", str(remote))
    assert set(got.written) == {first.name, second.name}
    assert got.left_out == ()
    assert (tmp_path / "got" / first.name).read_bytes() == first.read_bytes()
    assert names(remote) == {first.name, second.name, "README.md"}
    assert git("-C", remote, "rev-list", "--count", branch.BRANCH) == "2\n"


def test_concurrent_pushes_all_land(remote: Path, write: Callable[..., Path]) -> None:
    paths = [write(f"aaaa{number:04}") for number in range(6)]
    with ThreadPoolExecutor(len(paths)) as pool:
        done = list(pool.map(lambda path: push([path], str(remote)), paths))
    assert [each.added for each in done] == [(path.name,) for path in paths]
    assert names(remote) == {*(path.name for path in paths), "README.md"}


def test_a_push_that_came_second_adds_to_the_first(
    remote: Path, write: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    slow, fast = write("aaaa0001"), write("aaaa0002")
    add = branch._add

    def overtaken(*arguments: object) -> dict[str, str]:
        monkeypatch.setattr(branch, "_add", add)
        push([fast], str(remote))
        return add(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(branch, "_add", overtaken)
    assert push([slow], str(remote)).added == (slow.name,)
    assert names(remote) == {slow.name, fast.name, "README.md"}


def test_a_repository_that_always_rejects_ends_the_push_with_its_message(
    remote: Path, write: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    hook = remote / "hooks" / "pre-receive"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\necho no runs here >&2\nexit 1\n")
    hook.chmod(0o755)
    monkeypatch.setattr(branch, "ATTEMPTS", 2)
    with pytest.raises(HistoryError, match="cannot push to branch benchmarks") as raised:
        push([write("aaaa0001")], str(remote))
    assert "no runs here" in str(raised.value)


def test_a_remote_of_the_checkout_is_found_by_its_name(
    remote: Path, tmp_path: Path, write: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    git("init", "--quiet", tmp_path / "checkout")
    git("-C", tmp_path / "checkout", "remote", "add", "origin", "../remote.git")
    monkeypatch.chdir(tmp_path / "checkout")
    push([write("aaaa0001")])
    assert len(names(remote)) == 2


@pytest.mark.parametrize("name", ["--upload-pack=touch planted", ""])
def test_a_remote_that_is_an_option_is_refused(
    name: str, tmp_path: Path, write: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match="--remote"):
        push([write("aaaa0001")], name)
    assert not (tmp_path / "planted").exists()


@pytest.mark.parametrize("name", ["-x", "a..b", "a b", "a.lock", "", "a:b"])
def test_an_invalid_name_of_a_branch_is_refused(name: str, remote: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="--branch"):
        fetch(tmp_path / "got", str(remote), name)


def test_what_is_no_finished_run_is_not_pushed(
    remote: Path, tmp_path: Path, write: Callable[..., Path]
) -> None:
    with pytest.raises(HistoryError, match="unfinished"):
        push([write("aaaa0001", finished_at=None)], str(remote))
    damaged = tmp_path / "20240506T070809Z-aaaa0002.json"
    damaged.write_bytes(b"{")
    with pytest.raises(HistoryError, match="truncated"):
        push([damaged], str(remote))
    renamed = write("aaaa0003").rename(tmp_path / "other.json")
    with pytest.raises(HistoryError, match="it is not 20240506T070809Z-aaaa0003"):
        push([renamed], str(remote))
    assert git("-C", remote, "branch", "--list") == ""


def test_a_recorded_run_never_changes(
    remote: Path, tmp_path: Path, write: Callable[..., Path]
) -> None:
    path = write("aaaa0001")
    push([path], str(remote))
    path.unlink()
    changed = write("aaaa0001", parameters={"rounds": 4})
    with pytest.raises(HistoryError, match="never changes"):
        push([changed], str(remote))


def test_hostile_files_of_the_branch_are_left_out(
    remote: Path, tmp_path: Path, write: Callable[..., Path]
) -> None:
    path = write("aaaa0001")
    push([path], str(remote))
    add_to_branch(remote, "20240506T070809Z-bbbb0001.json", b"/etc/passwd", mode="120000")
    add_to_branch(remote, ".hidden.json", b"{}")
    add_to_branch(remote, "20240506T070809Z-bbbb0002.json", b" " * (MAX_FILE_BYTES + 1))
    add_to_branch(remote, "20240506T070809Z-bbbb0003.json", b"{truncated")
    got = fetch(tmp_path / "got", str(remote))
    assert set(got.written) == {path.name, "20240506T070809Z-bbbb0003.json"}
    assert {path.name for path in (tmp_path / "got").iterdir()} == set(got.written)
    assert {line.split(": ")[1] for line in got.left_out} == {
        "not the name of a run",
        "not a regular file",
        f"more than {MAX_FILE_BYTES:,} bytes",
    }
    # What others put there stays, and the next run is added.
    second = write("aaaa0002")
    push([second], str(remote))
    assert second.name in names(remote)


def test_a_branch_that_does_not_exist_has_no_runs(remote: Path, tmp_path: Path) -> None:
    assert fetch(tmp_path / "got", str(remote)).written == ()


def test_a_repository_that_does_not_exist_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(HistoryError, match="git ls-remote failed"):
        fetch(tmp_path / "got", str(tmp_path / "nothing.git"))


def test_passwords_are_masked() -> None:
    assert mask("https://me:secret@example.org/x.git") == "https://example.org/x.git"


def test_the_token_is_sent_to_the_server_of_ci_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITHUB_TOKEN", "secret")
    monkeypatch.setenv("GITHUB_SERVER_URL", "https://github.example")
    monkeypatch.delenv("GIT_CONFIG_COUNT", raising=False)
    made = _environment(Path("/nowhere"))
    assert made["GIT_CONFIG_KEY_0"] == "http.https://github.example/.extraheader"
    assert made["GIT_CONFIG_VALUE_0"].endswith("eC1hY2Nlc3MtdG9rZW46c2VjcmV0")


def test_the_commands_push_and_fetch_what_is_finished(
    remote: Path,
    tmp_path: Path,
    write: Callable[..., Path],
    capsys: pytest.CaptureFixture[str],
) -> None:
    path = write("aaaa0001")
    unfinished = write("aaaa0002", finished_at=None)
    unfinished.rename(path.parent / unfinished.name)
    (path.parent / "damaged.json").write_bytes(b"{")
    to = ["--remote", str(remote)]
    assert main(["history-push", "--results", str(path.parent), *to]) == 0
    output = capsys.readouterr()
    assert output.out == f"added {path.name}\n"
    assert output.err.count("was skipped") == 2
    assert main(["history-fetch", str(tmp_path / "got"), *to]) == 0
    assert [each.name for each in (tmp_path / "got").iterdir()] == [path.name]
    assert main(["history-push", "--results", str(tmp_path / "nothing"), *to]) == 2
    assert "no finished run" in capsys.readouterr().err
