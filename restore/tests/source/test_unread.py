"""What stands in a backup's folder and is not read is named, and stops what might miss it."""

from __future__ import annotations

import lzma
import shlex
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from restore.tests.support.target import Target

# Names of files that may hold users, the start of what they hold, and what the line says of them.
SUSPECT = {
    "users.json.lz4": (b"\x04\x22\x4d\x18", "compressed by lz4; decompress it first"),
    "users.xz": (lzma.compress(b"[]"), "compressed by xz; rename it to end in .json.xz"),
    "users.bz2": (b"BZh91AY", "compressed by bzip2; rename it to end in .json.bz2"),
    "users.json.zstd": (b"\x28\xb5\x2f\xfd", "zstd; rename it to end in .json.zst"),
    "users.json.gz.part": (b"\x1f\x8b", "gzip; rename it to end in .json.gz"),
    "users.json.gpg": (b"\x85\x02", "a .gpg file; export the table again, as JSON"),
    "users.csv": (b"id\n1\n", "a .csv file; export the table again, as JSON"),
    "USERS": (b"[", "JSON under another ending; rename it"),
    "other.JSON.bak": (b"[{}]", "JSON under another ending; rename it"),
    "others.ndjson~": (b"", "a .ndjson~ file"),
}


@pytest.fixture
def users(target: Target) -> Target:
    """A table that the backup's table files say nothing of."""
    target.conn.execute("CREATE TABLE users (id int); CREATE TABLE side (id int)")
    target.conn.execute("INSERT INTO users VALUES (1)")
    target.write(side=[{"id": 1}])
    return target


@pytest.mark.slow
@pytest.mark.parametrize("name", SUSPECT)
def test_a_file_that_may_hold_a_table_stops_the_restore(users: Target, name: str) -> None:
    data, expected = SUSPECT[name]
    (users.backup / name).write_bytes(data)
    for options in ({}, {"clean": True}, {"dry_run": True}):
        message = users.turned_down(**options)
        assert message.startswith(f"2: cannot restore {name}: it is ")
        assert expected in message
        assert f"or leave it out with --exclude {shlex.quote(name)}" in message
    assert users.rows("SELECT (SELECT count(*) FROM users), count(*) FROM side") == [(1, 0)]


@pytest.mark.parametrize("excluded", ["users", "users.json.lz4", "USERS.JSON.lz4"])
def test_what_is_excluded_or_not_chosen_is_left_out(users: Target, excluded: str) -> None:
    (users.backup / "users.json.lz4").write_bytes(b"")
    report = users.load(exclude=frozenset({excluded}))
    assert report.complete
    assert report.warnings == []
    assert report.left_out == ["users.json.lz4: excluded"]
    report = users.load(tables=frozenset({"side"}), clean=True)
    assert report.left_out == ["users.json.lz4: not among --tables"]
    message = users.turned_down(tables=frozenset({"users", "side"}), clean=True)
    assert message.startswith("2: cannot restore users.json.lz4")


def test_all_that_is_not_read_is_named(users: Target) -> None:
    for name in ("README.txt", "schema.sql", ".DS_Store", "._side.json", "side.json.sha256"):
        (users.backup / name).write_bytes(b"\0\x05\x16\x07")
    (users.backup / ".users.json").write_text('{"users": [{"id": 2}]}')
    (users.backup / "side").mkdir()
    (users.backup / "old").mkdir()
    report = users.load()
    assert report.complete
    assert sorted(report.left_out) == [
        ".DS_Store: hidden",
        "._side.json: hidden",
        ".users.json: hidden",
        "README.txt: no table file",
        "old: a folder",
        "schema.sql: no table file",
        "side.json.sha256: no table file",
        "side: a folder",
    ]
    assert users.rows("SELECT id FROM users") == [(1,)]


def test_a_folder_of_a_table_s_name_stops_the_restore(users: Target) -> None:
    (users.backup / "users").mkdir()
    message = users.turned_down()
    assert message.startswith("2: cannot restore users: it is a folder; restore it by itself")


def test_several_are_named_together(users: Target) -> None:
    for n in range(8):
        (users.backup / f"part {n}.json.lz4").write_bytes(b"\x04\x22\x4d\x18")
    [line] = users.restore(exit_code=2).splitlines()
    assert "cannot restore part 0.json.lz4, nor part 1.json.lz4," in line
    assert "part 5.json.lz4, and 2 more: it is compressed by lz4" in line
    assert "leave them out with --exclude 'part 0.json.lz4' --exclude 'part 1.json.lz4'" in line
    assert line.endswith("--exclude 'part 5.json.lz4' and 2 more")


def test_hidden_files_alone_are_no_backup(users: Target) -> None:
    (users.backup / "side.json").rename(users.backup / "._side.json")
    message = users.turned_down()
    assert message.startswith("2: nothing to restore")
    assert "._side.json: hidden" in message


def test_a_hidden_file_that_was_named_is_read(users: Target) -> None:
    path = (users.backup / "side.json").rename(users.backup / ".side.json")
    assert users.load(backup=path, map={".side": "side"}).complete
    assert "for .side: did you mean side" in users.turned_down(backup=path)
