"""Events of Debezium's snapshots become rows, with values as their schemas tell."""

from __future__ import annotations

import json
from typing import Any

import pytest

from restore.source.formats.debezium import FLAT, FORMAT
from restore.source.formats.format import FormatError, TableColumns
from restore.tests.formats.reading import found_in, rows_of

SOURCE = {"version": "2.5.0.Final", "connector": "postgresql", "snapshot": "true", "db": "shop"}


def event(
    after: dict[str, Any] | str | None, op: str = "r", table: str = "users"
) -> dict[str, Any]:
    source = {**SOURCE, "schema": "public", "table": table}
    return {"before": None, "after": after, "source": source, "op": op, "ts_ms": 1706704496789}


def with_schema(columns: list[dict[str, Any]], payload: dict[str, Any]) -> bytes:
    row = [
        {"type": "struct", "fields": columns, "optional": True, "field": part}
        for part in ("before", "after")
    ]
    schema = {"type": "struct", "fields": [*row, {"type": "string", "field": "op"}]}
    return json.dumps({"schema": schema, "payload": payload}).encode() + b"\n"


def test_events_without_schemas() -> None:
    rows: list[dict[str, Any]] = [{"id": 1, "name": "two\nlines"}, {"id": 2, "name": None}]
    events = [event(rows[0]), event(rows[1], "c"), event({"id": 7}, table="posts")]
    lines = "".join(json.dumps(one) + "\n" for one in events)
    for text in (lines, json.dumps(events), json.dumps(events, indent=2)):
        assert rows_of(FORMAT, text.encode()) == [*rows, {"id": 7}]
        tables = [record.table for record in found_in(FORMAT, text.encode())]
        assert tables == ["users", "users", "posts"]


@pytest.mark.parametrize(
    ("schema", "typed", "value"),
    [
        ({"type": "int64"}, "9223372036854775807", "9223372036854775807"),
        ({"type": "int32", "name": "io.debezium.time.Date"}, "19753", '"2024-01-31"'),
        ({"type": "int32", "name": "io.debezium.time.Date"}, "-719529", '"0002-12-31 BC"'),
        ({"type": "int64", "name": "io.debezium.time.Timestamp"}, "1706704496789",
         '"2024-01-31T12:34:56.789Z"'),
        ({"type": "int64", "name": "io.debezium.time.MicroTimestamp"}, "-1",
         '"1969-12-31T23:59:59.999999Z"'),
        ({"type": "int64", "name": "io.debezium.time.NanoTimestamp"}, "1706704496789123456",
         '"2024-01-31T12:34:56.789123456Z"'),
        ({"type": "int64", "name": "io.debezium.time.MicroTime"}, "45296789123",
         '"12:34:56.789123"'),
        ({"type": "int32", "name": "org.apache.kafka.connect.data.Time"}, "86400000",
         '"24:00:00"'),
        ({"type": "int64", "name": "io.debezium.time.MicroDuration"}, "1500000",
         '"1500000 microseconds"'),
        ({"type": "string", "name": "io.debezium.time.ZonedTimestamp"},
         '"2024-01-31T12:34:56.789123Z"', '"2024-01-31T12:34:56.789123Z"'),
        ({"type": "bytes", "name": "org.apache.kafka.connect.data.Decimal",
          "parameters": {"scale": "2"}}, '"AeI6"', "1234.50"),
        ({"type": "bytes", "name": "org.apache.kafka.connect.data.Decimal",
          "parameters": {"scale": "2"}}, '"/w=="', "-0.01"),
        ({"type": "bytes", "name": "org.apache.kafka.connect.data.Decimal",
          "parameters": {"scale": "0"}}, '"AA=="', "0"),
        ({"type": "struct", "name": "io.debezium.data.VariableScaleDecimal"},
         '{"scale":1,"value":"ew=="}', "12.3"),
        ({"type": "string", "name": "io.debezium.data.Json"}, '"{\\"n\\": 1.50}"', '{"n": 1.50}'),
        ({"type": "bytes"}, '"AP8Q"', '"\\\\x00ff10"'),
        ({"type": "bytes", "name": "io.debezium.data.Bits", "parameters": {"length": "5"}},
         '"Ag=="', '"00010"'),
        ({"type": "struct", "name": "io.debezium.data.geometry.Point"}, '{"x":1.5,"y":-2}',
         '"(1.5,-2)"'),
        ({"type": "array", "items": {"type": "int32", "name": "io.debezium.time.Date"}},
         "[19753,null]", '["2024-01-31",null]'),
        ({"type": "string", "name": "io.debezium.data.Uuid"}, '"x"', '"x"'),
        ({"type": "int32", "name": "io.debezium.time.Date"}, "null", "null"),
    ],
)  # fmt: skip
def test_values(schema: dict[str, Any], typed: str, value: str) -> None:
    data = with_schema([{**schema, "field": "v"}], event({"v": 0}))
    [record] = found_in(FORMAT, data.replace(b'{"v": 0}', f'{{"v": {typed}}}'.encode()))
    assert record.data.decode() == f'{{"v":{value}}}'
    assert FORMAT.detect(data)


@pytest.mark.parametrize(
    ("events", "message"),
    [
        ([event({"id": 1}), event(None, "d")], r"changes or deletes a row \('d'\)"),
        ([event({"id": 1}, "u")], r"changes or deletes a row \('u'\)"),
        ([event('{"_id": 1}')], "not of a relational database"),
        ([event({"id": "__debezium_unavailable_value"})], "lacks a value"),
    ],
)
def test_what_is_refused(events: list[dict[str, Any]], message: str) -> None:
    data = "".join(json.dumps(one) + "\n" for one in events).encode()
    assert FORMAT.detect(data)
    with pytest.raises(FormatError, match=message):
        found_in(FORMAT, data)


def test_a_geometry_is_refused() -> None:
    column = {"type": "struct", "name": "io.debezium.data.geometry.Geometry", "field": "v"}
    with pytest.raises(FormatError, match=r'has a geometry \(\{"wkb"'):
        found_in(FORMAT, with_schema([column], event({"v": {"wkb": "AQ==", "srid": 4326}})))


DECIMAL = {"type": "bytes", "name": "org.apache.kafka.connect.data.Decimal"}


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ({"type": "int32", "name": "io.debezium.time.Date"}, "x", "has a v that is not as in its"),
        ({"type": "bytes", "name": "io.debezium.data.Bits"}, "?", "has a v that is not as in its"),
        (DECIMAL, "?", "has a decimal that is not in base64"),
        (DECIMAL | {"parameters": {"scale": "x"}}, "AA==", "the schema of v is invalid: invalid"),
    ],
)
def test_a_value_that_its_schema_does_not_fit_is_named(
    column: dict[str, Any], value: str, message: str
) -> None:
    with pytest.raises(FormatError, match=message):
        found_in(FORMAT, with_schema([column | {"field": "v"}], event({"v": value})))


@pytest.mark.parametrize(
    ("kind", "value"),
    [("date", 19753), ("timestamp", 1706704496789123), ("interval", 5), ("numeric", "1234")],
)
def test_values_of_unknown_units_are_refused(kind: str, value: object) -> None:
    data = json.dumps(event({"v": value})).encode()
    tables = {"users": TableColumns(("v",), (), (kind,))}
    with pytest.raises(FormatError, match=r"schemas\.enable=true"):
        found_in(FORMAT, data, tables)
    sure = json.dumps(event({"v": "12.50"})).encode()
    assert rows_of(FORMAT, sure, tables) == [{"v": "12.50"}]


def test_flattened_rows() -> None:
    rows = [{"id": 1, "__op": "r", "__deleted": "false"}, {"id": 2, "__deleted": "false"}]
    data = json.dumps(rows).encode()
    assert rows_of(FLAT, data) == [{"id": 1}, {"id": 2}]
    assert not FORMAT.detect(data)
    for changed in ({"__op": "u"}, {"__deleted": "true"}):
        with pytest.raises(FormatError, match="changes or deletes a row"):
            found_in(FLAT, json.dumps([*rows, {"id": 3, **changed}]).encode())


@pytest.mark.parametrize("row", [{"op": "r", "after": {}}, {"payload": {"a": 1}}, {"payload": 5}])
def test_plain_rows(row: dict[str, object]) -> None:
    assert not FORMAT.detect(json.dumps(row).encode())
    assert not FORMAT.detect(json.dumps([row]).encode())
    assert not FLAT.detect(json.dumps([row]).encode())
