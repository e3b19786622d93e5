"""JSON that COPY or psql wrote is read as PostgreSQL had it, or refused by name."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path
from typing import Any

import pytest

from restore.source.formats.format import FormatError
from restore.source.formats.psql import CSV, FORMAT, FRAMED, TABLE
from restore.source.formats.registry import FORMATS
from restore.tests.formats.reading import found_in, rows_of
from restore.tests.support import command

CASES = Path(__file__).parent / "cases"
NOTES = [
    {"id": 1, "body": 'line one\nline two\ttab "q"', "path": "C:\\temp\\new", "doc": {"a": "x"}},
    {"id": 2, "body": "a.b\\d+$", "path": None, "doc": [1, 2]},
    {"id": 3, "body": "plain ☃ \u0085 +", "path": "x", "doc": None},
]
# What psql 18 wrote of this table.
WRITTEN = {path.stem: path.read_bytes() for path in (Path(__file__).parent / "psql").iterdir()}
COPIED, AGGREGATED = WRITTEN["copy"], WRITTEN["copy_agg"]
ALIGNED, ALIGNED_LIST = WRITTEN["aligned"], WRITTEN["aligned_agg"]


@pytest.mark.parametrize(
    "data", [COPIED, AGGREGATED, WRITTEN["copy_jsonb_agg"], COPIED.replace(b"\n", b"\r\n")]
)
def test_copy_text(data: bytes) -> None:
    assert rows_of(FORMAT, data) == NOTES
    assert FORMAT.confirm(io.BytesIO(data))
    assert [record.offset for record in found_in(FORMAT, data)] == [
        found.start() for found in re.finditer(rb'\{"id"', data)
    ]


@pytest.mark.parametrize(
    "path",
    [
        "psql-copy-silent/files/notes.jsonl",
        "psql-copy-json_agg-silent/files/notes.json",
        "psql-copy-row_to_json/files/users.jsonl",
        "psql-copy-row_to_json/files/posts.jsonl",
    ],
)
def test_files_of_copy_are_recognised(path: str) -> None:
    data = (CASES / path).read_bytes()
    assert FORMAT.detect(data)
    assert FORMAT.confirm(io.BytesIO(data))
    assert len([json.loads(record.data) for record in found_in(FORMAT, data)]) == 3


def test_a_null_row_is_no_record() -> None:
    data = COPIED + rb"\N" + b"\n" + COPIED
    assert rows_of(FORMAT, data) == NOTES * 2


def test_what_is_cut_off_is_reported() -> None:
    data = AGGREGATED[:-80]
    assert FORMAT.detect(data)
    with pytest.raises(FormatError, match="truncated"):
        found_in(FORMAT, data)


def test_a_damaged_record_costs_no_other() -> None:
    data = COPIED.replace(b'"path":null', b'"path":nul')
    found = found_in(FORMAT, data)
    assert [json.loads(record.data) for record in (found[0], found[2])] == [NOTES[0], NOTES[2]]
    assert found[1].data == rb'{"id":2,"body":"a.b\\d+$","path":nul,"doc":[1, 2]}'
    assert FORMAT.confirm(io.BytesIO(data))


PLAIN = [
    [{"id": 1, "body": "a\nb"}, {"id": 2, "path": "C:\\temp\\new"}],
    [{"id": 1, "path": "C:\\temp\\new"}, {"id": 2, "path": "C:\\Users"}],
    [{"id": 1, "name": "Ångström"}],
    [{"id": 1, "doc": '{"a": "x\\ny"}'}],
    [{"id": 1, "name": "none"}],
    [{"id": 1, "body": "a\tb"}, {"id": 2}],
]


@pytest.mark.parametrize("rows", PLAIN)
@pytest.mark.parametrize("separators", [None, (",", ":")])
def test_plain_rows(rows: list[object], separators: tuple[str, str] | None) -> None:
    lines = "".join(json.dumps(row, separators=separators) + "\n" for row in rows)
    for text in (lines, json.dumps(rows, separators=separators), json.dumps(rows, indent=2)):
        data = text.encode()
        assert not (FORMAT.detect(data) and FORMAT.confirm(io.BytesIO(data)))
        assert not TABLE.detect(data)
        assert not CSV.detect(data)


def test_a_text_that_ends_with_a_backslash_is_plain() -> None:
    data = b'{"id":1,"path":"C:\\\\temp\\\\"}\n{"id":2,"path":"\\\\\\\\nas\\\\new"}\n'
    assert not FORMAT.detect(data)


def test_an_object_of_tables_is_plain() -> None:
    rows = [{"id": 1, "path": "C:\\temp"}] * 3000
    for tables in ({"users": rows[:1], "posts": []}, {"users": rows}):
        data = json.dumps(tables, separators=(",", ":")).encode()
        assert not FORMAT.detect(data[: 1 << 16])


def test_pretty_rows_were_not_written_by_copy() -> None:
    assert not FORMAT.detect(json.dumps([{"path": "C:\\temp\\new"}], indent=2).encode())
    assert not FORMAT.detect(json.dumps({"path": "C:\\temp\\new"}, indent=2).encode())
    assert not FORMAT.detect(b'[\n{"path":"C:\\\\temp\\\\new"}\n]')


@pytest.mark.parametrize("text", [rb"C:\\temp\\new", rb"\\\\nas\\temp", rb"one\\ntwo", rb"\\\\d+"])
def test_what_may_be_either_is_refused(text: bytes) -> None:
    data = b'{"id":1,"text":"%b"}\n' % text
    assert FORMAT.detect(data)
    with pytest.raises(FormatError, match=r"may have doubled.*psql -At.*--format psql-copy"):
        FORMAT.confirm(io.BytesIO(data))


@pytest.mark.parametrize(
    "data",
    [
        ALIGNED,
        ALIGNED_LIST,
        WRITTEN["pretty"],
        WRITTEN["unaligned"],
        WRITTEN["aligned_agg_t"],
        ALIGNED.replace(b"\n", b"\r\n"),
        ALIGNED_LIST.replace(b"\n", b"\r\n"),
    ],
)
def test_tables_of_psql(data: bytes) -> None:
    assert rows_of(TABLE, data) == NOTES
    last = found_in(TABLE, data)[2]
    assert data[: last.offset].count(b'"id"') == 2
    assert data[last.offset :].startswith(b"{")


class InTwoParts:
    """A stream that returns so many bytes, and then the rest."""

    def __init__(self, data: bytes, first: int) -> None:
        self._parts = [data[:first], data[first:]]

    def read(self, _size: int, /) -> bytes:
        return self._parts.pop(0) if self._parts else b""


@pytest.mark.parametrize("line_end", [b"\n", b"\r\n"])
def test_a_read_may_end_anywhere_in_a_table(line_end: bytes) -> None:
    data = WRITTEN["pretty"].replace(b"\n", line_end)
    assert b"+" + line_end in data
    for first in range(1, len(data)):
        found = TABLE.records(InTwoParts(data, first), None)
        assert [json.loads(record.data) for record in found] == NOTES


def test_a_table_without_rows() -> None:
    assert rows_of(TABLE, WRITTEN["zero"]) == []


def test_a_table_of_many_rows() -> None:
    heading, rest = ALIGNED.split(b" {", 1)
    body = b" {" + rest[: rest.index(b"(3 rows)")]
    data = heading + body * 2000 + b"(6000 rows)\n\n"
    assert [json.loads(record.data) for record in TABLE.records(io.BytesIO(data), None)] == (
        NOTES * 2000
    )


@pytest.mark.parametrize("data", [ALIGNED[: ALIGNED.index(b"(3 rows)")], ALIGNED[:-40]])
def test_a_table_that_is_cut_off(data: bytes) -> None:
    with pytest.raises(FormatError, match="truncated"):
        found_in(TABLE, data)


def test_a_table_that_lacks_rows() -> None:
    with pytest.raises(FormatError, match="truncated"):
        found_in(TABLE, ALIGNED.replace(b"(3 rows)", b"(4 rows)"))


@pytest.mark.parametrize("name", ["expanded", "border2", "wrapped"])
def test_frames_are_refused(name: str) -> None:
    assert FRAMED.detect(WRITTEN[name].lstrip())
    with pytest.raises(FormatError, match="psql -At"):
        found_in(FRAMED, WRITTEN[name])


@pytest.mark.parametrize("name", ["csv", "copy_csv"])
def test_json_as_csv_is_refused(name: str) -> None:
    assert CSV.detect(WRITTEN[name])
    with pytest.raises(FormatError, match="psql -At"):
        found_in(CSV, WRITTEN[name])


LINES = "".join(
    json.dumps(row, separators=(",", ":"), ensure_ascii=False) + "\n" for row in NOTES
).encode()


@pytest.mark.parametrize("data", [LINES, b"[\n " + LINES[:-1].replace(b"\n", b"\n,") + b"\n]\n"])
def test_copy_of_postgresql_19_is_plain(data: bytes, database: Any, tmp_path: Path) -> None:
    """``COPY ... TO ... (FORMAT json)`` and the same with ``FORCE_ARRAY``, byte by byte."""
    assert not any(form.detect(data) for form in FORMATS)
    (tmp_path / "notes.json").write_bytes(data)
    conn = database.connect()
    conn.execute("CREATE TABLE notes (id int, body text, path text, doc jsonb)")
    done = command.run(str(tmp_path), "--dsn", database.dsn, "--rejects", str(tmp_path / "no"))
    assert done.exit_code == 0, done.output + done.errors
    rows = conn.execute("SELECT * FROM notes ORDER BY id").fetchall()
    assert rows == [tuple(note.values()) for note in NOTES]


def test_a_text_that_is_cut_is_no_row() -> None:
    """SQL Server's sqlcmd breaks lines within texts: what they were is not known."""
    text = b' j \n----\n[{"id":1,"name":"C\nD"},\n {"id":2}]\n\n(1 row)\n'
    [cut, whole] = TABLE.records(io.BytesIO(text), None)
    assert b"\n" in cut.data
    assert whole.data == b'{"id":2}'
