"""Backups on a web server, and signed URLs, whose secrets are shown nowhere."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from restore.errors import BackupError
from restore.remote.path import RemotePath, to_path
from restore.source.discovery import find_backup
from restore.tests.support.object_store import require
from restore.tests.support.remote_backup import count, restored, users
from restore.tests.support.web import Web, web_server

if TYPE_CHECKING:
    from collections.abc import Iterator

    from restore.tests.support.object_store import Bucket
    from restore.tests.support.target import Target

SECRET = "X-Signature=s3cr3t%2Fpart"


@pytest.fixture
def web(fresh_stores: None) -> Iterator[Web]:
    """A web server."""
    require("fsspec", "aiohttp")
    with web_server() as web:
        yield web


@pytest.mark.parametrize("etag", ['"{}"', 'W/"{}"', ""], ids=["strong", "weak", "none"])
def test_a_file_is_restored(target: Target, web: Web, etag: str) -> None:
    web.etag, web.files["/a/User.json"] = etag, users(2_000)
    restored(target, f"{web.url}/a/User.json")
    assert count(target) == 2_000


@pytest.mark.parametrize("etag", ['"{}"', 'W/"{}"', ""], ids=["strong", "weak", "none"])
def test_a_file_that_changes_is_not_read_on(web: Web, etag: str) -> None:
    web.etag, web.files["/a/User.json"] = etag, users(2_000)
    [file] = find_backup(to_path(f"{web.url}/a/User.json")).files
    stream = file.open()
    stream.read(100)
    web.files["/a/User.json"] = users(2_001)
    with pytest.raises(BackupError, match="changed during the restore"):
        list(iter(lambda: stream.read(1 << 16), b""))


def test_a_folder_is_restored_if_the_server_lists_it(target: Target, web: Web) -> None:
    web.files |= {
        "/b/20240101_000000/User.json": users(3),
        "/b/20250101_000000/User.json": users(5),
    }
    web.files["/b/20250101_000000/note.txt"] = b"x"
    restored(target, f"{web.url}/b")
    assert count(target) == 5


def test_an_empty_file_is_no_error(target: Target, web: Web) -> None:
    web.files |= {"/User.json": b""}
    assert "holds nothing" in restored(target, f"{web.url}/User.json")


def test_names_may_be_written_with_escapes(web: Web) -> None:
    web.files["/a b/User é.json"] = b'[{"id": 1}]'
    [file] = find_backup(to_path(f"{web.url}/a%20b/User%20%C3%A9.json")).files
    assert file.table == "User é"
    assert file.open().read(100) == b'[{"id": 1}]'


def test_a_server_without_ranges_is_refused(target: Target, web: Web) -> None:
    web.has_ranges, web.files["/User.json"] = False, users(5)
    said = restored(target, f"{web.url}/User.json", exit_code=2)
    assert "the server sends no byte ranges; download the file" in said


def test_what_is_not_there_is_said(target: Target, web: Web) -> None:
    assert "no backup at" in restored(target, f"{web.url}/User.json", exit_code=2)


def test_a_web_server_takes_no_rejects(target: Target, web: Web) -> None:
    web.files["/User.json"] = users(5)
    said = restored(target, f"{web.url}/User.json", "--rejects", f"{web.url}/r", exit_code=2)
    assert "a web server takes no files" in said


def test_a_signed_url_of_a_bucket_is_restored(target: Target, bucket: Bucket) -> None:
    bucket.put("User.json", users(2_000))
    said = restored(target, url := bucket.signed("User.json"))
    assert count(target) == 2_000
    signature = url.partition("?")[2]
    assert signature
    for text in (said, target.report.read_text(encoding="utf-8")):
        assert "Signature" not in text
        assert "User.json" in text


def test_the_secret_of_a_url_is_shown_nowhere(target: Target, web: Web) -> None:
    web.files["/User.json"] = users(2) + b"x"
    host = web.url.partition("://")[2]
    url = f"http://me:pa55@{host}/User.json?{SECRET}"
    said = restored(target, url, exit_code=3) + target.report.read_text(encoding="utf-8")
    gone = restored(target, url.replace("User", "Gone"), exit_code=2)
    web.has_ranges = False
    refused = restored(target, url, "--clean", exit_code=2)
    path = to_path(url)
    assert isinstance(path, RemotePath)
    for text in (said, gone, refused, repr(path), str(path), str(path.parent), repr(path / "x")):
        assert "pa55" not in text
        assert "s3cr3t" not in text
    assert any(SECRET in path for path in web.paths)
    assert any("Authorization" in headers for headers in web.headers)


def test_the_command_line_shows_no_secret(target: Target, web: Web) -> None:
    """All users of a machine see the words that a process was started with."""
    web.files["/User.json"] = users(2)
    code = (
        "import sys; from restore.cli import main\n"
        "main.main = lambda: print(sys.orig_argv, main.parse(sys.argv[1:]).path.url) or 0\n"
        "main.start()"
    )
    url = f"{web.url}/User.json?{SECRET}"
    options = [f"--report={web.url}/r?{SECRET}", "--dsn", "postgresql://me:pa55@localhost/shop"]
    command = [sys.executable, "-c", code, url, *options]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    words, path = done.stdout.strip().rsplit(" ", 1)
    assert "s3cr3t" not in words
    assert "pa55" not in words
    assert path == url
