"""Stores that fail: what passes is survived, all else stops with one line, and can be resumed."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest

from restore.errors import StoreError
from restore.remote import stores
from restore.remote.path import RemotePath, to_path
from restore.remote.upload import upload
from restore.tests.support.remote_backup import count
from restore.tests.support.target import user

if TYPE_CHECKING:
    from pathlib import Path

    from restore.tests.support.object_store import Bucket, Request
    from restore.tests.support.target import Target

USERS = 20_000


@pytest.fixture
def backup(bucket: Bucket, target: Target) -> str:
    """The URL of a backup of two tables, one of several megabytes."""
    users = [user(number, companyId=None) for number in range(USERS)]
    bucket.put("shop/company.json", b'[{"id": 1, "name": "a"}]')
    bucket.put("shop/User.json", json.dumps(users).encode())
    target.backup = f"{bucket.url}/shop"  # type: ignore[assignment] # what the command is given
    return f"{bucket.url}/shop"


def every(number: int, fault: Any, most: int = 1_000) -> Any:
    """Return a fault of every so manieth part that is asked for."""
    seen = [0, 0]

    def decide(request: Request) -> Any:
        if not request.is_read:
            return None
        seen[0] += 1
        is_due = seen[0] % number == 0 and seen[1] < most
        seen[1] += is_due
        return fault if is_due else None

    return decide


@pytest.mark.parametrize("fault", [500, 503, "cut"])
def test_what_fails_now_and_then_is_asked_for_again(
    target: Target, bucket: Bucket, backup: str, fault: Any
) -> None:
    bucket.proxy.fault = every(3, fault)
    target.restore()
    assert count(target) == USERS


def test_a_request_without_an_answer_is_given_up_and_made_again(
    target: Target, bucket: Bucket, backup: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stores, "TIMEOUT_S", 2.0)
    bucket.proxy.fault = every(4, "stall", most=1)
    target.restore()
    assert count(target) == USERS


def test_a_large_file_may_take_longer_to_write(
    tmp_path: Path, bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stores, "TIMEOUT_S", 0.5)
    monkeypatch.setattr(stores, "_SLOWEST_BYTES_S", 1_000)
    put = stores.Store._put

    async def put_slowly(store: stores.Store, path: RemotePath, local: Path) -> None:
        await asyncio.sleep(1)
        await put(store, path, local)

    monkeypatch.setattr(stores.Store, "_put", put_slowly)
    local = tmp_path / "users.jsonl"
    path = to_path(f"{bucket.url}/rejects/users.jsonl")
    assert isinstance(path, RemotePath)
    local.write_bytes(b"{}\n")
    with pytest.raises(StoreError, match="TimeoutError"):
        upload(local, path)
    local.write_bytes(b"{}\n" * 2_000)
    upload(local, path)


def test_an_outage_at_the_start_is_no_fault_of_the_command(
    target: Target, bucket: Bucket, backup: str
) -> None:
    bucket.proxy.fault = lambda _: 503
    assert "; try again" in target.restore(exit_code=1)
    assert target.rows('SELECT FROM "User"') == []


def test_a_format_that_cannot_be_told_is_not_guessed(
    target: Target, bucket: Bucket, backup: str
) -> None:
    """The first attempts at a file's start fail, later ones do not."""
    bucket.put("shop/company.json", b'{"_id": {"$oid": "65a0b0c0d0e0f00010203040"}, "name": "a"}\n')
    failures = iter(range(stores.ATTEMPTS))

    def decide(request: Request) -> int | None:
        is_start = request.is_read and request.path.endswith("company.json")
        return 503 if is_start and next(failures, None) is not None else None

    bucket.proxy.fault = decide
    said = target.restore(exit_code=1)
    assert f"cannot access {backup}/company.json: " in said


def far_in(request: Request) -> bool:
    """Tell if a request is for a part that no look at a file reaches."""
    first = request.range.removeprefix("bytes=").partition("-")[0]
    return request.is_read and int(first) >= 4_000_000


def test_an_outage_stops_the_restore_and_it_can_be_resumed(
    target: Target, bucket: Bucket, backup: str
) -> None:
    bucket.proxy.fault = lambda request: 503 if far_in(request) else None
    said = target.restore("--jobs", "1", exit_code=1)
    assert "User.json: " in said
    assert "continue with --resume" in said
    assert len([r for r in bucket.proxy.reads if far_in(r)]) >= stores.ATTEMPTS
    bucket.proxy.fault = lambda _: None
    target.restore("--jobs", "1", "--resume")
    assert count(target) == USERS
    assert target.rows("SELECT count(*) FROM company") == [(1,)]


def test_an_object_replaced_during_the_restore_stops_it(
    target: Target, bucket: Bucket, backup: str
) -> None:
    other = json.dumps([user(number, companyId=None) for number in range(USERS + 1)])

    def replace(request: Request) -> None:
        if far_in(request):
            bucket.proxy.fault = lambda _: None
            bucket.put("shop/User.json", other.encode())

    bucket.proxy.fault = replace
    said = target.restore("--jobs", "1", exit_code=1)
    assert f"{backup}/User.json changed during the restore; start over with --clean" in said
    refused = target.restore("--jobs", "1", "--resume", exit_code=2)
    assert "User.json changed since the restore began" in refused


def test_a_resumed_restore_reads_no_loaded_part_again(
    target: Target, bucket: Bucket, backup: str
) -> None:
    bucket.proxy.fault = lambda request: 503 if far_in(request) else None
    target.restore("--jobs", "1", exit_code=1)
    bucket.proxy.fault = lambda _: None
    bucket.proxy.requests.clear()
    target.restore("--jobs", "1", "--resume")
    size = len(bucket.get("shop/User.json"))
    assert sum(map(length, bucket.proxy.reads)) < 1.6 * size


def length(request: Request) -> int:
    first, last = request.range.removeprefix("bytes=").split("-")
    return int(last) - int(first) + 1


def test_no_permission_is_said_at_once(target: Target, bucket: Bucket, backup: str) -> None:
    bucket.proxy.fault = lambda _: 403
    said = target.restore(exit_code=2)
    assert f"cannot access {backup}: permission denied" in said
    assert len(bucket.proxy.requests) == 1


def test_missing_credentials_are_said(
    target: Target, backup: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    said = target.restore(exit_code=2)
    assert f"cannot access {backup}: " in said
    assert "set the credentials" in said


def test_a_server_that_is_not_there_is_said(
    target: Target, backup: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    said = target.restore(exit_code=1)
    assert f"cannot access {backup}: " in said
    assert "try again" in said
