"""The base install: a local restore imports no store, and a URL says what to install."""

from __future__ import annotations

import importlib
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from restore.tests.support import command
from restore.tests.support.object_store import require

if TYPE_CHECKING:
    from restore.tests.support.target import Target

PACKAGES = {
    "s3": ("s3fs", "s3"),
    "gs": ("gcsfs", "gcs"),
    "az": ("adlfs", "azure"),
    "https": ("aiohttp", "http"),
    "sftp": ("sshfs", "sftp"),
}


@pytest.mark.parametrize("scheme", PACKAGES)
def test_a_url_says_what_to_install(
    scheme: str, monkeypatch: pytest.MonkeyPatch, fresh_stores: None
) -> None:
    package, extra = PACKAGES[scheme]
    monkeypatch.setitem(sys.modules, package, None)  # as if it were not there
    require("fsspec")
    registry = importlib.import_module("fsspec.registry")
    monkeypatch.delitem(registry._registry, scheme, raising=False)
    for name in [name for name in sys.modules if name.startswith("fsspec.implementations.http")]:
        monkeypatch.delitem(sys.modules, name)
    done = command.run(f"{scheme}://example/shop", "--dsn", "service=none")
    assert done.exit_code == 2
    assert "needs the package" in done.errors
    assert f"pip install 'restorebench[{extra}]'" in done.errors


def test_a_url_says_that_fsspec_is_missing(
    monkeypatch: pytest.MonkeyPatch, fresh_stores: None
) -> None:
    for name in ("fsspec", "fsspec.core"):
        monkeypatch.setitem(sys.modules, name, None)
    done = command.run("s3://example/shop", "--dsn", "service=none")
    assert done.exit_code == 2
    assert "pip install 'restorebench[s3]'" in done.errors


def test_a_local_restore_imports_no_store(target: Target) -> None:
    target.write(company=[{"id": 1, "name": "a"}])
    code = (
        "import sys; from restore.__main__ import main\n"
        "code = main(); names = {name.partition('.')[0] for name in sys.modules}\n"
        "print(code, sorted(names & {'fsspec', 's3fs', 'aiohttp'}),"
        " [n for n in sys.modules if n.startswith('restore.remote')])"
    )
    command = [sys.executable, "-c", code, str(target.backup), "--dsn", target.dsn]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    assert done.stdout.splitlines()[-1].startswith("0 []")
    assert "restore.remote.stores" not in done.stdout


def test_openssl_is_there_for_stores_though_it_was_skipped() -> None:
    require("aiohttp", "fsspec")
    code = (
        "from restore.startup import skip_openssl, load_openssl\n"
        "skip_openssl(); import psycopg, sys, asyncio\n"
        "assert sys.modules['ssl'] is None; load_openssl()\n"
        "import ssl, aiohttp, hashlib\n"
        "assert aiohttp.connector.ssl is ssl and asyncio.base_events.ssl is ssl\n"
        "assert asyncio.sslproto.SSLAgainErrors and hashlib.scrypt\n"
        "async def ask():\n"
        "    async with aiohttp.ClientSession() as session:\n"
        "        await session.get('https://127.0.0.1:9/')\n"
        "try: asyncio.run(ask())\n"
        "except aiohttp.ClientConnectorError: print('no server')\n"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout == "no server\n"
