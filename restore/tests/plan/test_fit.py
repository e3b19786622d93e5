"""Files that hold no rows of their table stop the restore before anything is emptied or written."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import zipfile
from typing import TYPE_CHECKING, Any

import pytest
from backports import zstd

if TYPE_CHECKING:
    from restore.tests.support.target import Target


def zipped(data: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("users.json", data)
    return file.getvalue()


ROWS = [{"id": n, "email": f"{n}@x"} for n in range(300)]
SOUND = json.dumps(ROWS).encode()
DJANGO = [{"model": "shop.user", "pk": n, "fields": {"email": f"{n}@x"}} for n in range(3)]
# What the file holds, and what the line has to say.
UNFIT: dict[str, tuple[bytes, str]] = {
    "lists": (b"[[1, 2], [3, 4]]", "it is lists of values without the names of their columns"),
    "strings": (b'["a", "b"]', "a list whose items are strings, not objects"),
    "numbers": (b"[1, 2]", "a list whose items are numbers, not objects"),
    "other fields": (
        b'[{"name": "a", "no": 1}, {"title": 1}]',
        "are id, email, made, model, data, name_of: no field (name, no, title) is a column",
    ),
    "generated": (b'[{"generated": 1}]', "no field (generated) is a column"),
    "empty objects": (b"[{}, {}, {}]", "its records are empty"),
    "one empty object": (b"{}", "its records are empty"),
    "one object": (b'{"total": 5, "of": {"id": 1}}', "no field (total, of) is a column"),
    "one string": (b'"id"', "no list of JSON objects"),
    "UTF-16": (b"\xff\xfe" + SOUND.decode().encode("utf-16-le"), "it is UTF-16 text"),
    "UTF-16 BE": (b"\xfe\xff" + SOUND.decode().encode("utf-16-be"), "it is UTF-16 text"),
    "UTF-16 without a mark": (SOUND.decode().encode("utf-16-le"), "iconv -f UTF-16LE -t UTF-8"),
    "UTF-16 BE without one": (SOUND.decode().encode("utf-16-be"), "iconv -f UTF-16BE -t UTF-8"),
    "UTF-32 without a mark": (SOUND.decode().encode("utf-32-le"), "iconv -f UTF-32LE -t UTF-8"),
    "UTF-32, big-endian": (SOUND.decode().encode("utf-32-be"), "iconv -f UTF-32BE -t UTF-8"),
    "UTF-32": (SOUND.decode().encode("utf-32"), "it is UTF-32 text"),
    "HTML": (b'\n<!DOCTYPE html><html>[{"id": 1}]</html>', "it is an HTML or XML page"),
    "CSV": (b"id,email\n1,a@x\n", "it is CSV"),
    "semicolons": (b'"id";"email"\r\n1;"a@x"\r\n', "it is CSV"),
    "SQL": (b"-- dump\nINSERT INTO users (id) VALUES (1);\n", "it is SQL"),
    "gzip": (gzip.compress(SOUND), "compressed by gzip; rename it to end in .json.gz"),
    "zstd": (zstd.compress(SOUND), "compressed by zstd; rename it to end in .json.zst"),
    "xz": (lzma.compress(SOUND), "compressed by xz; rename it to end in .json.xz"),
    "bzip2": (bz2.compress(SOUND), "compressed by bzip2; rename it to end in .json.bz2"),
    "zip": (zipped(SOUND), "it is a zip archive; rename it to end in .zip"),
}
# Whatever is read of these, they are backups of the table.
FIT: dict[str, tuple[bytes, int]] = {
    "cut off after a bracket": (b"[", 0),
    "cut off after a brace": (b"[{", 0),
    "cut off in the first name": (b'[{"em', 0),
    "cut off behind the first name": (b'[{"email"', 0),
    "cut off in the first record": (b'[{"nothing": 1, "email": "a', 0),
    "damaged records alone": (b'[{"id": nope}, {"id": 2,, "email": 1}]', 0),
    "text before": (b'Exporting 3, 4\n[{"id": 1}, {"id": 2', 1),
    "a hole at the start": (b"\0" * (3 << 20) + SOUND[SOUND.index(b'{"id": 7,') :], 293),
    "a large first record": (b'[{"other": {"a": "%b"}, "id": 1}]' % (b"x" * (3 << 20)), 1),
    "a field in a later record": (b'[{}, {"other": 1}, {"id": 3}]', 2),
    "a number among records": (b'[1, {"id": 1}]', 1),
}


@pytest.fixture
def users(target: Target) -> Target:
    """A table of which no column has to be given, and that holds a row."""
    target.conn.execute(
        "CREATE TABLE users (id serial PRIMARY KEY, email text, made timestamptz DEFAULT now(),"
        " model text, data jsonb, name_of text, generated int GENERATED ALWAYS AS (1) STORED);"
        "INSERT INTO users (id, email) VALUES (1000, 'there before'); CREATE TABLE side (id int)"
    )
    target.write(side=[{"id": 1}])
    return target


def written(target: Target) -> list[Any]:
    query = "SELECT (SELECT array_agg(email) FROM users), (SELECT count(*) FROM side)"
    return target.rows(query)


@pytest.mark.slow
@pytest.mark.parametrize("kind", UNFIT)
def test_what_holds_no_rows_of_the_table_stops_the_restore(users: Target, kind: str) -> None:
    data, expected = UNFIT[kind]
    (users.backup / "users.json").write_bytes(data)
    for options in ({"clean": True}, {"dry_run": True}, {"append": True}, {}):
        message = users.turned_down(**options)
        assert message.startswith("2: ")
        assert "users.json" in message
        assert expected in message
        assert "leave" in message
        assert "--exclude users" in message
    assert written(users) == [(["there before"], 0)]


@pytest.mark.slow
@pytest.mark.parametrize("kind", UNFIT)
def test_a_file_that_is_left_out_may_hold_anything(users: Target, kind: str) -> None:
    (users.backup / "users.json").write_bytes(UNFIT[kind][0])
    report = users.load(exclude=frozenset({"users"}))
    assert report.complete
    assert report.left_out == ["users.json: excluded"]


def test_the_command_refuses_it_in_one_line(users: Target) -> None:
    (users.backup / "side.json").unlink()
    (users.backup / "all.json").write_text(json.dumps({"users": DJANGO, "side": []}))
    [line] = users.restore("--clean", exit_code=2).splitlines()
    assert "it is Django's dumpdata, not rows of users; make it a list of rows" in line
    assert written(users) == [(["there before"], 0)]


@pytest.mark.slow
@pytest.mark.parametrize("kind", FIT)
def test_what_is_merely_damaged_is_restored(users: Target, kind: str) -> None:
    data, loaded = FIT[kind]
    (users.backup / "users.json").write_bytes(data)
    report = users.load(clean=True)
    assert report.error is None
    [table] = [table for table in report.tables if table.table == "users"]
    assert table.loaded == loaded
    assert report.complete is (kind == "a large first record")


@pytest.mark.slow
@pytest.mark.parametrize("data", [b"[]", b" [\n]\n", b"", b"[][]", b"\xef\xbb\xbf[]"])
def test_an_empty_list_is_an_empty_backup(users: Target, data: bytes) -> None:
    (users.backup / "users.json").write_bytes(data)
    (users.backup / "side.json").unlink()
    assert users.load(clean=True).complete


def test_an_export_s_fields_may_be_columns(users: Target) -> None:
    users.conn.execute("CREATE TABLE fixtures (model text, pk int, fields jsonb)")
    (users.backup / "fixtures.json").write_text(json.dumps(DJANGO))
    assert users.load().complete
    assert users.rows("SELECT count(*) FROM fixtures") == [(3,)]


def test_names_that_json_escapes_are_found_in_damage(users: Target) -> None:
    users.conn.execute('CREATE TABLE odd ("nä\\me" text)')
    for text in (r'[{"n\u00e4\\me": nope', r'[{"nä\\me": nope'):
        (users.backup / "odd.json").write_text(text, encoding="utf-8")
        assert users.load(clean=True).error is None
