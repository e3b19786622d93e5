"""Backups by SFTP, whose versions are sizes and times; and of what fsspec alone knows."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from restore.errors import BackupError, LoadError
from restore.remote import stores
from restore.remote.path import RemotePath, to_path
from restore.remote.upload import upload_bytes
from restore.source.discovery import find_backup
from restore.tests.support import command
from restore.tests.support.object_store import require
from restore.tests.support.remote_backup import users

if TYPE_CHECKING:
    from collections.abc import Iterator

    from restore.tests.support.target import Target


SERVER = Path(__file__).parents[1] / "support/sftp_server.py"


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """The folder that the server serves."""
    folder = tmp_path / "served"
    folder.mkdir()
    return folder


@pytest.fixture
def sftp(
    files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fresh_stores: None
) -> Iterator[int]:
    """The port of a server that the user's own files lead to: a key, and known_hosts."""
    require("asyncssh", "sshfs")
    import asyncssh  # noqa: PLC0415 - only where it is installed

    home = tmp_path / "home/.ssh"
    home.mkdir(parents=True)
    key = asyncssh.generate_private_key("ssh-ed25519")
    key.write_private_key(str(home / "id_ed25519"))
    monkeypatch.setenv("HOME", str(home.parent))
    words = [sys.executable, str(SERVER), str(files), key.export_public_key().decode()]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        port, host_key = process.stdout.readline().split(" ", 1)
        (home / "known_hosts").write_text(f"[127.0.0.1]:{port} {host_key}", encoding="utf-8")
        yield int(port)
        stores._stores.clear()
        process.terminate()


def test_a_folder_is_restored_and_rejects_written(
    target: Target, sftp: int, files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for stamp, count in (("20240101_000000", 3), ("20250101_000000", 2_000)):
        (files / "shop" / stamp).mkdir(parents=True)
        (files / "shop" / stamp / "User.json").write_bytes(users(count))
    (files / "shop/20250101_000000/company.json").write_text('[{"id": 1}]', encoding="utf-8")
    root = f"sftp://me:pa55@127.0.0.1:{sftp}"
    options = ("--dsn", target.dsn, "--rejects", f"{root}/bad")
    done = command.run(f"{root}/shop", *options)
    assert done.exit_code == 3, done.errors
    assert target.rows('SELECT count(*) FROM "User"') == [(2_000,)]
    assert "null value in column" in (files / "bad/company.jsonl").read_text(encoding="utf-8")
    assert "pa55" not in done.output + done.errors
    assert f"sftp://me@127.0.0.1:{sftp}/bad" in done.output


def test_a_file_that_changes_is_not_read_on(sftp: int, files: Path) -> None:
    (files / "User.json").write_bytes(users(2_000))
    [file] = find_backup(to_path(f"sftp://me@127.0.0.1:{sftp}/User.json")).files
    stream = file.open()
    stream.read(100)
    (files / "User.json").write_bytes(users(2_001))
    with pytest.raises(BackupError, match="changed during the restore"):
        list(iter(lambda: stream.read(1 << 16), b""))


def test_a_host_that_is_not_known_is_refused(sftp: int, files: Path, tmp_path: Path) -> None:
    (tmp_path / "home/.ssh/known_hosts").write_text("", encoding="utf-8")
    done = command.run(f"sftp://me@127.0.0.1:{sftp}/User.json", "--dsn", "service=none")
    assert done.exit_code == 2
    assert "Host key is not trusted" in done.errors


def test_what_may_not_be_read_is_said_at_once(target: Target, sftp: int, files: Path) -> None:
    (files / "secret.json").write_bytes(users(3))
    done = command.run(f"sftp://me@127.0.0.1:{sftp}/secret.json", "--dsn", target.dsn)
    assert done.exit_code == 2
    assert "secret.json: permission denied: not for you; check" in done.errors


def test_a_file_is_replaced_whole_or_not_at_all(sftp: int, files: Path) -> None:
    root = to_path(f"sftp://me@127.0.0.1:{sftp}")
    assert isinstance(root, RemotePath)
    for name in ("report.json", "full.json"):
        (files / name).write_text("before", encoding="utf-8")
    upload_bytes(b"after", root / "report.json")
    with pytest.raises(LoadError, match=r"full\.json: .*; it is kept in") as error:
        upload_bytes(b"x" * 300_000, root / "full.json")
    kept = Path(str(error.value).rpartition(" ")[2])
    assert kept.read_bytes() == b"x" * 300_000
    shutil.rmtree(kept.parent)
    assert (files / "report.json").read_text(encoding="utf-8") == "after"
    assert (files / "full.json").read_text(encoding="utf-8") == "before"
    assert not (files / "report.json.part").exists()


def test_what_fsspec_alone_knows_is_read(target: Target, fresh_stores: None) -> None:
    require("fsspec")
    import fsspec  # noqa: PLC0415 - only where it is installed

    memory = fsspec.filesystem("memory")
    memory.pipe_file("/shop/User.json", users(1_000))
    try:
        done = command.run("memory://shop", "--dsn", target.dsn)
    finally:
        memory.rm("/shop", recursive=True)
    assert done.exit_code == 0, done.errors
    assert target.rows('SELECT count(*) FROM "User"') == [(1_000,)]
