"""Fixtures: a bucket of a real S3 protocol server, behind a proxy that counts requests."""

from __future__ import annotations

import contextlib
import uuid
from typing import TYPE_CHECKING

import pytest
import tenacity

from restore.remote import stores, stream
from restore.tests.support.object_store import CREDENTIALS, Bucket, Proxy, moto_server, require

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def s3_server() -> Iterator[str]:
    """The URL of a server that speaks S3's protocol."""
    require("fsspec", "s3fs", "moto", "boto3", "flask")
    with moto_server() as url:
        yield url


@pytest.fixture
def proxy(s3_server: str) -> Iterator[Proxy]:
    """A proxy before that server."""
    with contextlib.closing(Proxy(s3_server)) as proxy:
        yield proxy


@pytest.fixture
def fresh_stores(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No store is known, and nothing is waited for between attempts."""
    monkeypatch.setattr(stores, "WAIT", tenacity.wait_none())
    monkeypatch.setattr(stream, "_heads", stream._Heads())
    stores._stores.clear()
    yield
    stores._stores.clear()


@pytest.fixture
def bucket(
    s3_server: str, proxy: Proxy, monkeypatch: pytest.MonkeyPatch, fresh_stores: None
) -> Iterator[Bucket]:
    """An empty bucket, which the environment leads to."""
    for name, value in {**CREDENTIALS, "AWS_ENDPOINT_URL": proxy.url}.items():
        monkeypatch.setenv(name, value)
    with contextlib.closing(Bucket(f"backups-{uuid.uuid4()}", proxy, s3_server)) as made:
        yield made
