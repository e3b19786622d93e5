"""Google's and Azure's stores: each request is for one version of an object.

Google's is played by a server that knows as much of its API as is used, Azure's by Azurite, if its
program ``azurite-blob`` is on the path (npm package ``azurite``).
"""

from __future__ import annotations

import contextlib
import json
import shutil
import socket
import subprocess
import threading
import time
from http.server import ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, unquote, urlsplit

import pytest

from restore.errors import BackupError
from restore.remote.path import to_path
from restore.source.discovery import find_backup
from restore.tests.support import command
from restore.tests.support.http_handler import QuietHandler
from restore.tests.support.object_store import require
from restore.tests.support.remote_backup import users

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from restore.tests.support.target import Target

# Azurite's account, from its documentation.
ACCOUNT = "devstoreaccount1"
KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="


class Google(QuietHandler):
    """Objects of the bucket ``backups`` by name, with their generations."""

    objects: dict[str, tuple[int, bytes]]

    def do_GET(self) -> None:  # noqa: N802 - the name is that of http.server
        """Answer with a part of an object, its state, or a list."""
        url = urlsplit(self.path)
        asked = {name: values[0] for name, values in parse_qs(url.query).items()}
        _, _, name = url.path.partition("/b/backups/o")
        name = unquote(name.removeprefix("/"))
        if not name:
            self._answer(200, self._listing(asked.get("prefix", ""), asked.get("delimiter", "")))
        elif name not in self.objects or asked.get("generation") not in {
            None,
            str(self.objects[name][0]),
        }:
            self._answer(404, {"error": {"code": 404, "message": "No such object"}})
        elif asked.get("alt") == "media":
            first, last = self.headers["Range"].removeprefix("bytes=").split("-")
            self._answer(206, self.objects[name][1][int(first) : int(last) + 1])
        else:
            self._answer(200, self._state(name))

    def _state(self, name: str) -> dict[str, Any]:
        generation, data = self.objects[name]
        state = {"name": name, "bucket": "backups", "generation": str(generation)}
        return {**state, "size": str(len(data)), "updated": "2025-01-01T00:00:00.000Z"}

    def _listing(self, prefix: str, delimiter: str) -> dict[str, Any]:
        names = [name for name in self.objects if name.startswith(prefix)]
        inside = [name for name in names if not delimiter or delimiter not in name[len(prefix) :]]
        folders = {prefix + n[len(prefix) :].partition("/")[0] + "/" for n in names} - set(inside)
        deeper = [folder for folder in sorted(folders) if folder[:-1] not in inside]
        return {"items": list(map(self._state, inside)), "prefixes": deeper}

    def _answer(self, status: int, content: Any) -> None:
        data = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


@pytest.fixture
def google(monkeypatch: pytest.MonkeyPatch, fresh_stores: None) -> Iterator[Any]:
    """Writes objects to ``gs://backups``."""
    require("fsspec", "gcsfs")
    objects: dict[str, tuple[int, bytes]] = {}
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (Google,), {"objects": objects}))
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", f"http://127.0.0.1:{server.server_address[1]}")
    yield lambda name, data: objects.update({name: (time.monotonic_ns(), data)})
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def azure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fresh_stores: None) -> Iterator[Any]:
    """Writes objects to ``az://backups``."""
    require("fsspec", "adlfs")
    program = shutil.which("azurite-blob")
    if program is None:
        pytest.skip("needs azurite-blob")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    words = [program, "--silent", "--skipApiVersionCheck", "--location", str(tmp_path / "azurite")]
    process = subprocess.Popen([*words, "--blobHost", "127.0.0.1", "--blobPort", str(port)])
    deadline = time.monotonic() + 60
    while True:
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", port)).close()
            break
        assert time.monotonic() < deadline
        time.sleep(0.1)
    endpoint = f"BlobEndpoint=http://127.0.0.1:{port}/{ACCOUNT};"
    text = f"DefaultEndpointsProtocol=http;AccountName={ACCOUNT};AccountKey={KEY};{endpoint}"
    monkeypatch.setenv("AZURE_STORAGE_CONNECTION_STRING", text)
    from azure.storage.blob import BlobServiceClient  # noqa: PLC0415 - only where it is installed

    with BlobServiceClient.from_connection_string(text) as client:
        client.create_container("backups")

        def put(name: str, data: bytes) -> None:
            client.get_blob_client("backups", name).upload_blob(data, overwrite=True)

        yield put
    process.terminate()
    process.wait()


@pytest.fixture(params=["gs", "az"])
def store(request: pytest.FixtureRequest) -> tuple[str, Callable[[str, bytes], None]]:
    """The URL of a bucket, and what writes objects there."""
    put = request.getfixturevalue({"gs": "google", "az": "azure"}[request.param])
    return f"{request.param}://backups", put


def test_the_newest_folder_is_restored(target: Target, store: Any) -> None:
    url, put = store
    put("nightly/20240101_000000/User.json", users(3))
    put("nightly/20250101_000000/User.json", users(2_000))
    done = command.run(f"{url}/nightly", "--dsn", target.dsn)
    assert done.exit_code == 0, done.errors
    assert target.rows('SELECT count(*) FROM "User"') == [(2_000,)]


def test_an_object_that_is_replaced_is_not_read(store: Any) -> None:
    url, put = store
    put("User.json", users(2_000))
    [file] = find_backup(to_path(f"{url}/User.json")).files
    stream = file.open()
    stream.read(100)
    put("User.json", users(2_000))
    with pytest.raises(BackupError, match="changed during the restore"):
        list(iter(lambda: stream.read(1 << 16), b""))


def test_what_is_not_there_is_said(target: Target, store: Any) -> None:
    url, put = store
    put("User.json", users(1))
    done = command.run(f"{url}/nothing", "--dsn", target.dsn)
    assert done.exit_code == 2
    assert "no backup at" in done.errors
