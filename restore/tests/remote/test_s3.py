"""Backups in a bucket: found, read in ranges of one version, by as few requests as can be."""

from __future__ import annotations

import gzip
import io
import json
import pickle
import tarfile
import zipfile
from typing import TYPE_CHECKING, Any

import pytest

from restore.errors import BackupError
from restore.remote.path import RemotePath, to_path
from restore.source.discovery import find_backup
from restore.source.shards import cut_into_shards
from restore.tests.support import command
from restore.tests.support.remote_backup import count, restored, users
from restore.tests.support.target import user

if TYPE_CHECKING:
    from restore.source.table_file import TableBytes
    from restore.tests.support.object_store import Bucket
    from restore.tests.support.target import Target

USERS = [user(number, companyId=None) for number in range(50)]


def test_the_newest_folder_of_a_bucket_is_restored(target: Target, bucket: Bucket) -> None:
    bucket.put("nightly/20240101_000000/User.json", users(3))
    bucket.put("nightly/20250101_000000/User.json", users(50))
    bucket.put("nightly/20250101_000000/post.json", b"[]")
    said = restored(target, f"{bucket.url}/nightly")
    assert count(target) == 50
    assert f"{bucket.url}/nightly/20250101_000000" in said


def test_a_folder_may_be_a_whole_bucket(target: Target, bucket: Bucket) -> None:
    bucket.put("User.json", users(3))
    restored(target, f"{bucket.url}/")
    assert count(target) == 3


def packed(name: str) -> bytes:
    """Return 50 users as a file of that name holds them."""
    data, buffer = users(50), io.BytesIO()
    if name.endswith(".zip"):
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("backup/User.json", data)
        return buffer.getvalue()
    if ".tar" in name:
        with tarfile.open(fileobj=buffer, mode="w:gz" if name.endswith("gz") else "w") as tar:
            info = tarfile.TarInfo("backup/User.json")
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
        return buffer.getvalue()
    return gzip.compress(data) if name.endswith(".gz") else data


@pytest.mark.parametrize(
    "name", ["User.json", "User.json.gz", "dump.zip", "dump.tar", "dump.tar.gz"]
)
def test_one_object_is_restored(target: Target, bucket: Bucket, name: str) -> None:
    restored(target, bucket.put(f"here/{name}", packed(name)))
    assert count(target) == 50


def test_part_files_are_one_table(target: Target, bucket: Bucket) -> None:
    for number in range(3):
        part = json.dumps([user(n, companyId=None) for n in range(number * 5, number * 5 + 5)])
        bucket.put(f"unload/User-{number:05}.json", part.encode())
    restored(target, f"{bucket.url}/unload")
    assert count(target) == 15


def test_shards_of_one_object_are_loaded_at_a_time(target: Target, bucket: Bucket) -> None:
    data = users(40_000)
    restored(target, bucket.put("User.json", data), "--jobs", "2")
    assert count(target) == 40_000
    # Each shard is read once; beside that, the start, and a look at each boundary.
    assert sum(map(length, bucket.proxy.reads)) < 1.5 * len(data)


def test_cutting_reads_little_of_an_object(bucket: Bucket) -> None:
    size = len(data := users(60_000))
    [file] = find_backup(to_path(bucket.put("User.json", data))).files
    shards = list(cut_into_shards(file, 4 << 20))
    assert len(shards) >= 3
    assert sum(map(length, bucket.proxy.reads)) < size / 4
    # The start once, and one look at each boundary.
    assert len(bucket.proxy.reads) == len(shards)


def length(request: Any) -> int:
    first, last = request.range.removeprefix("bytes=").split("-")
    return int(last) - int(first) + 1


def test_finding_a_backup_lists_once(bucket: Bucket) -> None:
    for letter in "abcdefghij":
        bucket.put(f"backup/{letter}.json", b'[{"id": 1}]')
    found = find_backup(to_path(f"{bucket.url}/backup"))
    assert len(found.files) == 10
    lists = [r for r in bucket.proxy.requests if "list-type" in r.path]
    assert len(lists) <= 3
    assert len(bucket.proxy.reads) == 10


def test_what_a_shard_needs_can_be_sent_to_another_machine(bucket: Bucket) -> None:
    bucket.put("backup/User.json", users(50))
    [file] = find_backup(to_path(f"{bucket.url}/backup")).files
    sent = pickle.dumps(file)
    assert b"secret-of-the-test" not in sent
    there = pickle.loads(sent)  # noqa: S301 - the line above
    assert there.open().read(10) == users(50)[:10]
    assert there.version == file.version != ""


def test_an_object_that_is_replaced_is_not_read(bucket: Bucket) -> None:
    url = bucket.put("backup/User.json", users(2_000))
    [file] = find_backup(to_path(url)).files
    stream = file.open()
    assert stream.read(10)
    bucket.put("backup/User.json", users(2_000).replace(b"wild", b"calm"))
    with pytest.raises(BackupError, match="changed during the restore"):
        read_all(stream)


def read_all(stream: TableBytes) -> None:
    while stream.read(1 << 16):
        pass


def test_every_range_names_the_etag(bucket: Bucket) -> None:
    url = bucket.put("backup/User.json", users(2_000))
    [file] = find_backup(to_path(url)).files
    with file.path.open() as stream:
        assert stream.read() == users(2_000)
    assert {r.headers.get("If-Match") for r in bucket.proxy.reads} == {f'"{file.version}"'}


def test_reading_goes_on_from_any_place(bucket: Bucket) -> None:
    data = users(20_000)
    path = to_path(bucket.put("backup/User.json", data))
    assert isinstance(path, RemotePath)
    with path.open() as stream:
        for place in (0, 5, len(data) - 7, 1 << 17, (1 << 17) - 1, 3_000_000, 64):
            stream.seek(place)
            assert data.startswith(stream.read(100_000), place)
            stream.seek(place)
            held = b""
            while len(held) < 300_000 and (part := stream.read(70_001)):
                held += part
            assert held == data[place : place + len(held)]
            assert len(held) >= min(300_000, len(data) - place)


def test_nothing_there_is_said(target: Target, bucket: Bucket) -> None:
    assert "no backup at" in restored(target, f"{bucket.url}/nothing", exit_code=2)
    assert "no backup at" in restored(target, "s3://no-such-bucket-here/x", exit_code=2)


def test_a_schema_is_inferred_and_written_there(bucket: Bucket) -> None:
    bucket.put("shop/users.json", b'[{"id": 1, "name": "a"}]')
    done = command.run("infer", f"{bucket.url}/shop", "--out", f"{bucket.url}/schema.sql")
    assert done.exit_code == 0, done.errors
    assert b"CREATE TABLE" in bucket.get("schema.sql")
