"""The store of a campaign: what it sends, how it fails, and a restore that reads from it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from harness.chaos.options import ChaosOptions
from harness.chaos.store import Store
from harness.history import store as history
from harness.model.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator

pytest.importorskip("aiohttp")

CHECKOUT = Path(__file__).parents[3]
KINDS = ("store-stalled", "store-reset", "store-500")
CONTENT = bytes(range(256)) * 10_000


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """A store of two files."""
    (tmp_path / "backup").mkdir()
    (tmp_path / "backup" / "a.json").write_bytes(CONTENT)
    (tmp_path / "backup" / "a b&c.json").write_bytes(b"[]")
    store = Store(tmp_path / "backup", tmp_path / "socket")
    with store.serving():
        yield store


def get(
    url: str, headers: dict[str, str] | None = None, timeout_s: float = 30.0
) -> tuple[int, bytes, str]:
    """Return status, content and ETag of an answer."""
    request = urllib.request.Request(url, headers=headers or {})  # noqa: S310 - the store's
    with urllib.request.urlopen(request, timeout=timeout_s) as answer:  # noqa: S310 - same
        return answer.status, answer.read(), answer.headers["ETag"]


def test_files_are_listed_and_sent_in_ranges(store: Store) -> None:
    assert b'<a href="a%20b%26c.json">' in get(store.url)[1]
    status, content, etag = get(f"{store.url}a.json", {"Range": "bytes=100-299"})
    assert (status, content) == (206, CONTENT[100:300])
    assert get(f"{store.url}a.json", {"If-Match": etag})[:2] == (200, CONTENT)
    assert get(f"{store.url}a%20b%26c.json")[1] == b"[]"


def test_a_file_that_changed_is_not_sent(store: Store, tmp_path: Path) -> None:
    etag = get(f"{store.url}a.json")[2]
    (tmp_path / "backup" / "a.json").write_bytes(CONTENT[:-1])
    with pytest.raises(urllib.error.HTTPError) as error:
        get(f"{store.url}a.json", {"If-Match": etag})
    error.value.close()
    assert error.value.code == 412


def test_a_failing_store_recovers(store: Store) -> None:
    store.fail()
    for url in (store.url, f"{store.url}a.json"):
        with pytest.raises(urllib.error.HTTPError) as error:
            get(url)
        error.value.close()
        assert error.value.code == 500
    store.recover()
    assert get(f"{store.url}a.json")[1] == CONTENT


def test_a_stalled_store_sends_nothing_until_it_flows(store: Store) -> None:
    store.proxy.stall()
    with pytest.raises(TimeoutError):
        get(f"{store.url}a.json", timeout_s=0.5)
    store.proxy.flow()
    assert get(f"{store.url}a.json")[1] == CONTENT


def test_nothing_remains(tmp_path: Path) -> None:
    before = threading.active_count()
    store = Store(tmp_path, tmp_path / "socket")
    with store.serving():
        get(store.url)
    assert threading.active_count() == before
    with pytest.raises(urllib.error.URLError):
        get(store.url)


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("harness.chaos.store.importlib.util.find_spec", lambda _: None)
    with pytest.raises(InputError, match=r"restorebench\[http\]"):
        ChaosOptions(kinds=KINDS)
    ChaosOptions()  # files need none


@pytest.mark.slow
def test_a_campaign_against_the_store(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "harness", "chaos", "--rows=20000", "--kills=4", "--seed=2"]
    command += [f"--kinds={','.join(KINDS)}", f"--results={tmp_path}", "--format=json"]
    env = {**os.environ, "HTTP_PROXY": "http://127.0.0.1:9", "no_proxy": ""}
    done = subprocess.run(
        command, check=False, cwd=CHECKOUT, env=env, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads(done.stdout)["findings"] == []
    chaos = history.History(tmp_path).find().chaos
    assert chaos is not None
    assert {kill.kind for kill in chaos.kills} == set(KINDS)
