"""Archives are read as the folders that they hold."""

from __future__ import annotations

import bz2
import contextlib
import gzip
import io
import json
import lzma
import stat
import tarfile
import zipfile
from typing import TYPE_CHECKING

import pytest
from backports import zstd

from restore.errors import BackupError
from restore.source.discovery import find_backup

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from restore.source.table_file import TableBytes, TableFile

USERS = b'[{"id": 1}, {"id": 2}]'
CHECKSUM = {int(zstd.CompressionParameter.checksum_flag): 1}
MANY = json.dumps([{"id": n, "text": "x" * 100} for n in range(20_000)]).encode()
FILES = {"users.json": USERS, "posts.json": MANY, "notes.txt": b"none"}


def zipped(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return buffer.getvalue()


def tarred(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


ARCHIVES: dict[str, Callable[[dict[str, bytes]], bytes]] = {
    "b.zip": zipped,
    "b.tar": tarred,
    "b.tar.gz": lambda files: gzip.compress(tarred(files)),
    "b.TGZ": lambda files: gzip.compress(tarred(files)),
    "b.tar.zst": lambda files: zstd.compress(tarred(files), options=CHECKSUM),
    "b.tar.xz": lambda files: lzma.compress(tarred(files)),
    "b.tar.bz2": lambda files: bz2.compress(tarred(files)),
}
COMPRESSED = [name for name in ARCHIVES if name != "b.tar"]


def read_all(stream: TableBytes) -> bytes:
    return b"".join(iter(lambda: stream.read(1 << 16), b""))


def content(file: TableFile) -> bytes:
    with contextlib.closing(file.open()) as stream:
        data = read_all(stream)
        assert stream.fault is None
        assert stream.disk_bytes_read <= file.disk_bytes
        return data


@pytest.mark.parametrize("name", ARCHIVES)
def test_its_files_are_tables(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(ARCHIVES[name](FILES))
    backup = find_backup(tmp_path / name)
    assert {file.table: content(file) for file in backup.files} == {"users": USERS, "posts": MANY}
    assert [path.name for path in backup.unread] == ["notes.txt"]
    assert not any(file.is_seekable for file in backup.files)
    assert list(tmp_path.iterdir()) == [tmp_path / name]


@pytest.mark.parametrize("name", ARCHIVES)
def test_a_part_of_a_file_is_read_from_its_place(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(ARCHIVES[name](FILES))
    [posts] = [file for file in find_backup(tmp_path / name).files if file.table == "posts"]
    with contextlib.closing(posts.open((1_000_000, 1_000_050))) as stream:
        assert stream.read(1 << 20) == MANY[1_000_000:1_000_050]
        assert stream.read(1) == b""


@pytest.mark.parametrize("name", ARCHIVES)
def test_folders_in_it_are_left_aside(name: str, tmp_path: Path) -> None:
    files = {
        "backup/users.json": USERS,
        "__MACOSX/backup/._users.json": b"\0\5\x16\7",
        "backup/posts/part-00001.json": b'{"id": 2}\n',
        "backup/posts/part-00000.json": b'{"id": 1}',
        "backup/all.json.gz": gzip.compress(USERS),
    }
    (tmp_path / name).write_bytes(ARCHIVES[name](files))
    found = {file.table: content(file) for file in find_backup(tmp_path / name).files}
    assert found == {"users": USERS, "posts": b'{"id": 1}\n{"id": 2}\n', "all": USERS}


def test_an_archive_in_a_folder_is_part_of_the_backup(tmp_path: Path) -> None:
    (tmp_path / "users.json.zip").write_bytes(zipped({"users.json": USERS}))
    (tmp_path / "posts.json").write_bytes(MANY)
    found = {file.table: content(file) for file in find_backup(tmp_path).files}
    assert found == {"users": USERS, "posts": MANY}


@pytest.mark.parametrize("name", ARCHIVES)
def test_what_is_damaged_is_said(name: str, tmp_path: Path) -> None:
    data = ARCHIVES[name](FILES)
    (tmp_path / name).write_bytes(data[: len(data) // 2])
    try:
        backup = find_backup(tmp_path / name)
        with contextlib.closing(backup.files[-1].open()) as stream:
            while stream.read(1 << 16):
                pass
            assert stream.fault is not None
    except BackupError as error:
        assert "damaged" in str(error)  # noqa: PT017 - either says so


@pytest.mark.parametrize("name", COMPRESSED)
@pytest.mark.parametrize("part", range(1, 10))
def test_a_byte_that_changed_is_noticed(name: str, part: int, tmp_path: Path) -> None:
    """Wherever it is, or else the files are as they were, as where it tells their time."""
    files = {"users.json": USERS, "posts.json": MANY}
    data = bytearray(ARCHIVES[name](files))
    data[len(data) * part // 10] ^= 0x10
    (tmp_path / name).write_bytes(data)
    read = []
    try:
        for file in find_backup(tmp_path / name).files:
            with contextlib.closing(file.open()) as stream:
                read.append(read_all(stream))
                assert stream.fault is not None or read[-1] in files.values()
        assert len(read) == len(files)
    except BackupError as error:
        assert "damaged" in str(error)  # noqa: PT017 - either says so


@pytest.mark.parametrize("name", ["b.tar.gz", "b.TGZ"])
def test_the_checksum_behind_the_end_of_an_archive_is_compared(name: str, tmp_path: Path) -> None:
    data = bytearray(ARCHIVES[name](FILES))
    data[-8] ^= 1
    (tmp_path / name).write_bytes(data)
    with pytest.raises(BackupError, match="the archive is damaged: CRC check failed"):
        find_backup(tmp_path / name)


COMPRESS: dict[str, Callable[[bytes], bytes]] = {
    "tar": bytes,
    "gz": gzip.compress,
    "zst": zstd.compress,
    "xz": lzma.compress,
    "bz2": bz2.compress,
}
HEADER = 1024  # where that of the second file is


@pytest.mark.parametrize(
    ("damage", "fault"),
    [
        (lambda tar: tar[: HEADER + 100], "truncated header"),
        (lambda tar: tar[:HEADER], "it ends without its end mark"),
        (lambda tar: tar[:HEADER] + b"x" + tar[HEADER + 1 :], "bad checksum"),
        (lambda tar: tar[:HEADER] + bytes(512) + tar[HEADER + 512 :], "more follows behind"),
        (lambda tar: tar + tar, "more follows behind"),
    ],
    ids=["header cut", "cut between files", "header damaged", "header emptied", "joined"],
)
@pytest.mark.parametrize("name", [name for name in ARCHIVES if "tar" in name])
def test_a_tar_archive_is_listed_to_its_end(
    name: str, damage: Callable[[bytes], bytes], fault: str, tmp_path: Path
) -> None:
    data = damage(tarred({"users.json": USERS, "posts.json": USERS}))
    (tmp_path / name).write_bytes(COMPRESS[name.rpartition(".")[2]](data))
    with pytest.raises(BackupError, match=f"the archive is damaged: {fault}"):
        find_backup(tmp_path / name)


def test_zip_archives_that_were_joined_are_refused(tmp_path: Path) -> None:
    joined = zipped({"users.json": USERS}) + zipped({"posts.json": USERS})
    (tmp_path / "b.zip").write_bytes(joined)
    with pytest.raises(BackupError, match="more stands before its first file"):
        find_backup(tmp_path / "b.zip")


def linking(path: Path, links: dict[str, str]) -> None:
    """Write an archive of users.json in a folder, and of symbolic links."""
    if path.suffix == ".zip":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("shop/users.json", USERS)
            for link, target in links.items():
                entry = zipfile.ZipInfo(link)
                entry.create_system, entry.external_attr = 3, (stat.S_IFLNK | 0o777) << 16
                archive.writestr(entry, target)
        return
    with tarfile.open(path, "w:gz") as tar:
        info = tarfile.TarInfo("shop/users.json")
        info.size = len(USERS)
        tar.addfile(info, io.BytesIO(USERS))
        for link, target in links.items():
            info = tarfile.TarInfo(link)
            info.type, info.linkname = tarfile.SYMTYPE, target
            tar.addfile(info)


@pytest.mark.parametrize("name", ["b.zip", "b.tar.gz"])
@pytest.mark.parametrize("target", ["users.json", "../shop/users.json"])
def test_a_link_is_the_file_that_it_leads_to(name: str, target: str, tmp_path: Path) -> None:
    linking(tmp_path / name, {"shop/posts.json": target})
    found = {file.table: content(file) for file in find_backup(tmp_path / name).files}
    assert found == {"users": USERS, "posts": USERS}


def test_files_that_share_their_content_on_the_disk_are_all_in_a_tar_archive(
    tmp_path: Path,
) -> None:
    (tmp_path / "users.json").write_bytes(USERS)
    (tmp_path / "posts.json").hardlink_to(tmp_path / "users.json")
    with tarfile.open(tmp_path / "b.tar", "w") as tar:
        tar.add(tmp_path / "users.json", "users.json")
        tar.add(tmp_path / "posts.json", "posts.json")
    found = {file.table: content(file) for file in find_backup(tmp_path / "b.tar").files}
    assert found == {"users": USERS, "posts": USERS}


@pytest.mark.parametrize("name", ["b.zip", "b.tar.gz"])
@pytest.mark.parametrize("target", ["/etc/passwd", "../posts.json", "tags.json"])
def test_a_table_file_that_is_a_link_to_elsewhere_is_refused(
    name: str, target: str, tmp_path: Path
) -> None:
    linking(tmp_path / name, {"shop/posts.json": target, "shop/notes.txt": target})
    said = "posts[.]json is named as a table file, but is a link to what is not in the archive"
    with pytest.raises(BackupError, match=said):
        find_backup(tmp_path / name)


def test_an_archive_may_end_with_one_block_of_zeros(tmp_path: Path) -> None:
    """As some tools write it; GNU tar takes it with a warning."""
    data = tarred({"users.json": USERS}).rstrip(b"\0")
    (tmp_path / "b.tar").write_bytes(data + bytes(-len(data) % 512 + 512))
    assert len(find_backup(tmp_path / "b.tar").files) == 1


def test_an_encrypted_archive_is_refused(tmp_path: Path) -> None:
    data = bytearray(zipped({"users.json": USERS}))
    place = data.index(b"PK\x01\x02") + 8
    data[place] |= 1
    (tmp_path / "b.zip").write_bytes(data)
    with pytest.raises(BackupError, match="encrypted; unpack it first"):
        find_backup(tmp_path / "b.zip")
