"""Formats that name the columns once: ClickHouse, Datasette."""

from __future__ import annotations

import io
from decimal import Decimal
from itertools import islice
from typing import TYPE_CHECKING

import pytest

from restore.source.formats import clickhouse, datasette, result_sets
from restore.source.formats.format import FormatError
from restore.tests.formats.reading import ByteByByte, found_in
from restore.tests.formats.tables import rows

if TYPE_CHECKING:
    from restore.source.formats.format import Format

# As ClickHouse 24 writes it: tabs, and 64-bit numbers as strings if so set.
META = b"""{
\t"meta":
\t[
\t\t{
\t\t\t"name": "id",
\t\t\t"type": "UInt64"
\t\t},
\t\t{
\t\t\t"name": "tags",
\t\t\t"type": "Array(String)"
\t\t}
\t],

\t"data":
\t[
"""
REST = b"""
\t],

\t"rows": 2,

\t"statistics":
\t{
\t\t"elapsed": 0.001,
\t\t"rows_read": 2,
\t\t"bytes_read": 16
\t}
}
"""
JSON = (
    META + b'\t\t{\n\t\t\t"id": "1",\n\t\t\t"tags": ["a"]\n\t\t},\n\t\t{"id": 2, "tags": []}' + REST
)
COMPACT = META + b'\t\t["1", ["a"]],\n\t\t[2, []]' + REST
DATASETTE = (
    b'{"database": "shop", "table": "users", "is_view": false, "rows": [[1, 1.10], [2, null]],'
    b' "truncated": false, "columns": ["id", "price"], "primary_keys": ["id"], "query_ms": 3.1}'
)
ORACLE = b"""{"results":[{"columns":[{"name":"ID","type":"NUMBER"},{"name":"PRICE","type":""}],
"items":
[
{"id":1,"price":1.10}
,{"id":2}
]}]}
"""


@pytest.mark.parametrize(
    ("reader", "data", "expected"),
    [
        (clickhouse.FORMAT, JSON, [{"id": "1", "tags": ["a"]}, {"id": 2, "tags": []}]),
        (clickhouse.FORMAT, COMPACT, [{"id": "1", "tags": ["a"]}, {"id": 2, "tags": []}]),
        (
            datasette.FORMAT,
            DATASETTE,
            [{"id": 1, "price": Decimal("1.10")}, {"id": 2, "price": None}],
        ),
        (
            datasette.FORMAT,
            b'{"ok": true, "rows": [{"id": 1}, {"id": 2}], "columns": ["id"], "truncated": false}',
            [{"id": 1}, {"id": 2}],
        ),
        (datasette.FORMAT, b'{"rows": [], "columns": ["id"]}', []),
        (result_sets.ORACLE, ORACLE, [{"id": 1, "price": Decimal("1.10")}, {"id": 2}]),
        (
            result_sets.RQLITE,
            b'{"results":[{"columns":["id"],"types":["integer"],"values":[[1],[2]]}],"time":0.1}',
            [{"id": 1}, {"id": 2}],
        ),
    ],
)
def test_rows_have_the_names_of_the_columns(
    reader: Format, data: bytes, expected: list[dict[str, object]]
) -> None:
    assert reader.detect(data)
    assert rows(reader, data) == [(None, row) for row in expected]


def test_offsets_are_those_of_the_rows() -> None:
    offsets = [one.offset for one in found_in(clickhouse.FORMAT, COMPACT)]

    assert offsets == [COMPACT.index(b'["1"'), COMPACT.index(b"[2")]


def test_a_row_of_another_length_or_damaged_stays_as_it_is() -> None:
    data = COMPACT.replace(b"[2, []]", b"[2],\n[3, [}]")

    assert [one.data for one in found_in(clickhouse.FORMAT, data)[1:]] == [b"[2]", b"[3, [}]"]


def test_a_line_end_in_a_string_is_damage_and_stays() -> None:
    data = JSON.replace(b'["a"]', b'"a\nb"')

    first, second = clickhouse.FORMAT.records(io.BytesIO(data), None)

    assert b'"a\nb"' in first.data
    assert b"\n" not in second.data


@pytest.mark.parametrize("data", [JSON, COMPACT])
def test_a_file_that_is_cut_off_says_so_after_its_whole_rows(data: bytes) -> None:
    reading = clickhouse.FORMAT.records(ByteByByte(data[: data.rindex(b"\t]")]), None)

    assert len(list(islice(reading, 2))) == 2
    with pytest.raises(FormatError, match=r"truncated|damaged"):
        list(reading)


def test_the_start_of_a_file_is_enough() -> None:
    assert clickhouse.FORMAT.detect(JSON[: len(META) + 20])
    assert not clickhouse.FORMAT.detect(JSON[:40])


def test_results_of_several_queries_are_refused() -> None:
    first = ORACLE[ORACLE.index(b"[") + 1 : ORACLE.rindex(b"]")]
    data = b'{"results":[%b,%b]}' % (first, first.replace(b"PRICE", b"NAME"))

    with pytest.raises(FormatError, match="several queries"):
        found_in(result_sets.ORACLE, data)


@pytest.mark.parametrize(
    "reader", [clickhouse.FORMAT, datasette.FORMAT, result_sets.ORACLE, result_sets.RQLITE]
)
@pytest.mark.parametrize(
    "start",
    [
        b"",
        b"[]",
        b'{"data": [{"id": 1}], "meta": {"page": 1}}',
        b'{"meta": [{"id": 1}], "data": [{"id": 1}]}',
        b'{"id": 1, "meta": [{"name": "a"}], "data": [], "columns": [1], "rows": []}',
        b'{"columns": [{"id": 1}], "rows": [{"id": 2}]}',
        b'{"columns": ["a"], "rows": 3}',
        b'[{"columns": ["a"], "rows": [], "meta": [{"name": "a"}], "data": []}]',
    ],
)
def test_other_objects_are_not_theirs(reader: Format, start: bytes) -> None:
    assert not reader.detect(start)


@pytest.mark.parametrize("more", ['"next": "100"', '"truncated": true'])
def test_a_page_of_datasette_that_others_follow_is_not_all(more: str) -> None:
    data = '{"columns": ["id"], "rows": [[1], [2]], %s}'
    assert (
        len(found_in(datasette.FORMAT, (data % '"next": null, "truncated": false').encode())) == 2
    )
    with pytest.raises(FormatError, match="a page that others follow"):
        found_in(datasette.FORMAT, (data % more).encode())
