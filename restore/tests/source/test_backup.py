"""Backups of any shape are found, and each table file gives all its bytes up to a fault."""

from __future__ import annotations

import bz2
import contextlib
import gzip
import json
import lzma
import os
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from backports import zstd

from restore.errors import BackupError
from restore.source.discovery import TableFile, find_backup
from restore.source.reader import Batch, Reader
from restore.tests.support.records import records_of

if TYPE_CHECKING:
    from pathlib import Path

_decode = msgspec.json.Decoder(list[dict[str, Any]]).decode
RECORDS = [{"id": n, "text": f"{n * 7919**5:x}"} for n in range(5_000)]
DATA = json.dumps(RECORDS).encode()
ENCODERS: dict[str, Any] = {
    "": bytes,
    ".gz": gzip.compress,
    ".zst": zstd.compress,
    ".xz": lzma.compress,
    ".bz2": bz2.compress,
}


def read(file: TableFile) -> tuple[list[Any], str | None]:
    records: list[Any] = []
    with contextlib.closing(file.open()) as stream:
        for found in Reader(stream, 1 << 16, _decode):
            if isinstance(found, Batch):
                records += [json.loads(record.raw) for record in records_of(found)]
        return records, stream.fault


def test_the_newest_timestamped_folder_is_taken_and_said(tmp_path: Path) -> None:
    for name in ("20240101_000000", "20240301_120000", "20231231_235959", "zz", "20250101"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "users.json").write_bytes(b"[]")
    backup = find_backup(tmp_path)
    assert backup.path == tmp_path / "20240301_120000"
    assert backup.newest
    chosen = find_backup(tmp_path / "20240101_000000")
    assert not chosen.newest
    assert chosen.path == tmp_path / "20240101_000000"


def test_all_names_of_table_files(tmp_path: Path) -> None:
    for name in ("d.ndjson.zst", "a.json", "b.jsonl.gz", "c.ndjson", "x.txt", "json", ".json"):
        (tmp_path / name).write_bytes(b"")
    first, second = find_backup(tmp_path), find_backup(tmp_path)
    assert [file.table for file in first.files] == ["a", "b", "c", "d"]
    assert first == second


@pytest.mark.parametrize("name", ["a b", "q\"u'o", "..", "a\nb", "täble", "%s", "-- drop", "a.b"])
def test_odd_names_are_data(name: str, tmp_path: Path) -> None:
    (tmp_path / f"{name}.json").write_bytes(b'[{"id":1}]')
    [file] = find_backup(tmp_path).files
    assert file.table == name
    assert file.path.parent == tmp_path
    assert read(file) == ([{"id": 1}], None)


def test_one_table_in_two_files_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "users.json").write_bytes(b"[]")
    (tmp_path / "users.jsonl").write_bytes(b"")
    with pytest.raises(BackupError, match=r"users.jsonl and users.json .* both hold table users"):
        find_backup(tmp_path)
    (tmp_path / "users.jsonl").rename(tmp_path / "dump.json")
    (tmp_path / "dump.json").write_bytes(b'{"users":[{"id":1}],"posts":[]}')
    with pytest.raises(BackupError, match=r"users.json and dump.json: users in .* both hold"):
        find_backup(tmp_path)


def test_links(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "x.json").write_bytes(DATA)
    backup = tmp_path / "backup"
    backup.mkdir()
    (backup / "users.json").symlink_to("../elsewhere/x.json")
    [file] = find_backup(backup).files
    assert read(file) == (RECORDS, None)
    (backup / "posts.json").symlink_to("nowhere")
    with pytest.raises(BackupError, match=r"posts.json is named as a table file, but is none"):
        find_backup(backup)


def test_a_folder_with_the_name_of_a_table_file(tmp_path: Path) -> None:
    (tmp_path / "users.json").mkdir()
    with pytest.raises(BackupError, match="is named as a table file, but is none"):
        find_backup(tmp_path)


def test_what_is_no_backup_says_what_would_be(tmp_path: Path) -> None:
    with pytest.raises(BackupError, match=r"no table files in .* users.json"):
        find_backup(tmp_path)
    with pytest.raises(BackupError, match="give a folder of table files"):
        find_backup(tmp_path / "nowhere")
    (tmp_path / "notes.txt").write_bytes(b"[]")
    with pytest.raises(BackupError, match=r"should end in .json or .jsonl: .* rename it"):
        find_backup(tmp_path / "notes.txt")
    (tmp_path / "users.json.lz4").write_bytes(b"\x04\x22\x4d\x18")
    with pytest.raises(BackupError, match=r"no table files in .*users.json.lz4 is compressed by"):
        find_backup(tmp_path)


def test_endings_in_capitals_are_read(tmp_path: Path) -> None:
    for name, encode in (
        ("a.JSON", bytes),
        ("b.json.GZ", gzip.compress),
        ("c.JsonL.Zst", zstd.compress),
    ):
        (tmp_path / name).write_bytes(encode(b'[{"id":1}]'))
    files = find_backup(tmp_path).files
    assert [file.table for file in files] == ["a", "b", "c"]
    assert [read(file) for file in files] == [([{"id": 1}], None)] * 3


def test_what_else_stands_in_the_folder_is_known(tmp_path: Path) -> None:
    newest = tmp_path / "20240101_000000"
    for folder in (tmp_path / "20230101_000000", newest, newest / "old", tmp_path / "zz"):
        folder.mkdir()
    for name in ("users.json", ".DS_Store", "README", "t.json.lz4"):
        (newest / name).write_bytes(b"[]")
    (newest / ".#users.json").symlink_to("me@nowhere")  # as Emacs locks a file
    (tmp_path / "users.json").write_bytes(b"[]")
    backup = find_backup(tmp_path)
    assert [file.path.name for file in backup.files] == ["users.json"]
    unread = {path.name for path in backup.unread}
    assert unread == {".#users.json", ".DS_Store", "README", "old", "t.json.lz4"}
    assert backup.left_out == (
        "users.json: beside the timestamped folders",
        "zz: beside the timestamped folders",
    )


def test_one_file_that_holds_a_key_twice_is_named_once(tmp_path: Path) -> None:
    for data in (b'{"t":[{"id":1}],"t":[{"id":2}]}', b'{"data":{"t":[{"id":1}],"t":[{"id":2}]}}'):
        (tmp_path / "t.json").write_bytes(data)
        with pytest.raises(BackupError) as caught:
            find_backup(tmp_path)
        assert (
            str(caught.value) == "t.json holds the key 't' twice: join the two lists under one key"
        )


def test_a_change_since_the_backup_was_found_is_told(tmp_path: Path) -> None:
    path = tmp_path / "users.jsonl"
    path.write_bytes(b'{"id":1}\n')
    [file] = find_backup(tmp_path).files
    assert file.change() is None
    path.write_bytes(b'{"id":1}\n{"id":2}\n')
    assert file.change() == "changed while it was read: 9 bytes at the start, 18 at the end"
    assert read(file) == ([{"id": 1}], None)
    path.unlink()
    assert str(file.change()).startswith("changed while it was read: it is gone")


@pytest.mark.parametrize("data", [b"", b" \r\n\t\n", b"\xef\xbb\xbf", b"\xef\xbb\xbf\n"])
@pytest.mark.parametrize("suffix", ENCODERS)
def test_a_file_of_nothing_is_warned_about(data: bytes, suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"users.json{suffix}"
    path.write_bytes(ENCODERS[suffix](data))
    [file] = find_backup(path).files
    with contextlib.closing(file.open()) as stream:
        reader = Reader(stream, 1000, _decode)
        assert list(reader) == []
        assert reader.warning == "holds nothing, not even an empty list: it may have been cut off"
    path.write_bytes(ENCODERS[suffix](b"[]"))
    [file] = find_backup(path).files
    with contextlib.closing(file.open()) as stream:
        reader = Reader(stream, 1000, _decode)
        assert list(reader) == []
        assert reader.warning is None


@pytest.mark.parametrize("suffix", [".gz", ".zst", ".xz", ".bz2"])
def test_members_and_frames_one_after_the_other(suffix: str, tmp_path: Path) -> None:
    parts = [DATA[:1000], DATA[1000:50_000], b"", DATA[50_000:]]
    path = tmp_path / f"users.json{suffix}"
    path.write_bytes(b"".join(map(ENCODERS[suffix], parts)))
    assert read(find_backup(path).files[0]) == (RECORDS, None)


@pytest.mark.parametrize("suffix", [".gz", ".zst", ".xz", ".bz2"])
@pytest.mark.parametrize("torn", [False, True])
def test_all_before_a_fault_is_delivered(suffix: str, *, torn: bool, tmp_path: Path) -> None:
    # Each record lies in a frame of its own: what came before the fault is known exactly.
    frames = [ENCODERS[suffix](b"[" if n == 0 else b",") for n in range(len(RECORDS))]
    frames = [
        frame + ENCODERS[suffix](json.dumps(record).encode())
        for frame, record in zip(frames, RECORDS, strict=True)
    ]
    start, frame = b"".join(frames[:3000]), frames[3000]
    end = b"\xff" * 20 + frame if torn else frame[:-6]
    path = tmp_path / f"users.json{suffix}"
    path.write_bytes(start + end)
    records, fault = read(find_backup(path).files[0])
    # The record in the torn frame may be whole: only its checksum is missing.
    assert records[:3000] == RECORDS[:3000]
    assert records == RECORDS[: len(records)]
    assert fault is not None
    assert fault.startswith(f"users.json{suffix} is damaged: ")


def test_a_compressed_file_that_is_none_cannot_be_read(tmp_path: Path) -> None:
    for suffix in (".gz", ".zst", ".xz", ".bz2"):
        (tmp_path / f"users.json{suffix}").write_bytes(DATA)
        [file] = find_backup(tmp_path / f"users.json{suffix}").files
        with pytest.raises(BackupError, match=r"cannot read .* is damaged"):
            file.first_bytes()


@pytest.mark.slow
@pytest.mark.parametrize("suffix", ENCODERS)
def test_how_much_of_the_disk_has_been_read(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"users.json{suffix}"
    path.write_bytes(ENCODERS[suffix](DATA * 30))
    [file] = find_backup(path).files
    size = path.stat().st_size
    assert file.disk_bytes == size
    seen = []
    with contextlib.closing(file.open()) as stream:
        assert stream.disk_bytes == size
        while stream.read(100_000):
            seen.append(stream.disk_bytes_read)
    assert seen == sorted(seen)
    assert len(set(seen)) > 1
    assert stream.disk_bytes_read == size  # also after it was closed


def test_a_file_that_may_not_be_read(tmp_path: Path) -> None:
    if os.geteuid() == 0:
        pytest.skip("root may read everything")
    (tmp_path / "users.json").write_bytes(b'{"users":[{"id":1}]}')
    (tmp_path / "users.json").chmod(0)
    [file] = find_backup(tmp_path).files
    with pytest.raises(BackupError, match=r"cannot read .*Permission denied"):
        file.first_bytes()


def test_the_start_is_found_behind_much_white_space(tmp_path: Path) -> None:
    (tmp_path / "users.json").write_bytes(b"\xef\xbb\xbf" + b" " * 100_000 + b'{"id":1}')
    [file] = find_backup(tmp_path).files
    assert file.first_bytes().startswith(b'{"id":1}')
