"""Datasets in object stores."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from harness.generate import generate
from harness.generate.remote import generate_remote
from harness.generate.spec import DatasetSpec
from harness.model.errors import HarnessError, InputError
from restore.tests.support.object_store import require

if TYPE_CHECKING:
    from pathlib import Path

SPEC = DatasetSpec(rows=300)


def test_a_dataset_in_a_store_has_the_same_bytes(tmp_path: Path) -> None:
    require("fsspec")
    import fsspec  # noqa: PLC0415 - an extra

    memory = fsspec.filesystem("memory")
    local = generate(SPEC, tmp_path, processes=1)
    try:
        url = generate_remote(SPEC, "memory://datasets/", processes=1)
        assert url == f"memory://datasets/{local.name}"
        there = {
            path.rpartition("/")[2]: memory.cat_file(path) for path in memory.find("/datasets")
        }
        with pytest.raises(InputError, match="exists already"):
            generate_remote(SPEC, "memory://datasets", processes=1)
    finally:
        memory.rm("/datasets", recursive=True)
    assert there == {path.name: path.read_bytes() for path in local.iterdir()}


def test_a_store_that_is_not_installed_is_said() -> None:
    with pytest.raises(InputError, match="cannot write nothing://x"):
        generate_remote(SPEC, "nothing://x", processes=1)


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("https://example.org/a", "nothing can be written to a web server"),
        ("az://box/a?sig=Zebra", "may hold no query and no password"),
        ("sftp://me:Zebra@127.0.0.1/a", "may hold no query and no password"),
    ],
)
def test_what_is_no_place_or_holds_a_secret_is_refused(url: str, says: str) -> None:
    with pytest.raises(InputError, match=says) as caught:
        generate_remote(SPEC, url, processes=1)
    assert "Zebra" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "package"), [("s3://box/a", "s3fs"), ("sftp://me@127.0.0.1:1/a", "sshfs")]
)
def test_a_store_that_does_not_answer_is_one_line(
    url: str, package: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    require("fsspec", package)
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "a")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "b")
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(HarnessError, match=f"cannot write {url}/20240101_000000: "):
        generate_remote(SPEC, url, processes=1)
