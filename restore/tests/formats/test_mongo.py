"""Extended JSON is read as the values that it describes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from restore.source.formats.format import FormatError
from restore.source.formats.mongo import BSON, FORMAT, SHELL
from restore.tests.formats.reading import columns, found_in, rows_of

CASES = Path(__file__).parent / "cases"
OID = "65b9a1f0c2a4d1e5f6a7b8c9"
ANN = {
    "_id": OID,
    "id": 1,
    "name": 'Ann "A" Ångström',
    "email": "ann@x.org",
    "is_active": True,
    "created_at": "2024-01-31T12:34:56.789Z",
    "balance": 1234.50,
    "settings": {"theme": "dark", "n": 1},
}


@pytest.mark.parametrize(
    "path",
    [
        "mongoexport-canonical/files/users.json",
        "mongoexport-relaxed/files/users.json",
        "mongo-compass-array/files/shop.users.json",
    ],
)
def test_users(path: str) -> None:
    data = (CASES / path).read_bytes()
    ann, two, three = rows_of(FORMAT, data)
    assert ann == ANN
    assert isinstance(two, dict)
    assert (two["name"], two["balance"], two["settings"]) == ("two\nlines\\path", -0.01, [1, 2])
    assert isinstance(three, dict)
    assert (three["id"], three["created_at"]) == (3, None)
    assert found_in(FORMAT, data)[0].offset == data.index(b"{")
    assert b": 1234.50" in found_in(FORMAT, data)[0].data


def test_a_file_that_is_cut_off() -> None:
    data = (CASES / "mongo-compass-array/files/shop.users.json").read_bytes()
    assert FORMAT.detect(data[:80])
    with pytest.raises(FormatError, match="truncated"):
        found_in(FORMAT, data[:600])


@pytest.mark.parametrize(
    ("typed", "value"),
    [
        (f'{{"$oid": "{OID}"}}', f'"{OID}"'),
        ('{"$numberLong":"9007199254740993"}', "9007199254740993"),
        ('{"$numberLong": 5}', "5"),
        ('{"$numberInt":"-7"}', "-7"),
        ('{"$numberDouble":"0.1"}', "0.1"),
        ('{"$numberDouble":"NaN"}', '"NaN"'),
        ('{"$numberDouble":"-Infinity"}', '"-Infinity"'),
        ('{"$numberDecimal":"1234567890.12345678901234567890"}', "1234567890.12345678901234567890"),
        ('{"$numberDecimal":"1.5E+3"}', "1.5E+3"),
        ('{"$numberInt":"007"}', '{"$numberInt":"007"}'),
        ('{"$date":{"$numberLong":"0"}}', '"1970-01-01T00:00:00Z"'),
        ('{"$date":{"$numberLong":"-1"}}', '"1969-12-31T23:59:59.999Z"'),
        ('{"$date":{"$numberLong":"253402300800000"}}', '"10000-01-01T00:00:00Z"'),
        ('{"$date":{"$numberLong":"-62167219200000"}}', '"0001-01-01T00:00:00Z BC"'),
        ('{"$date":1706704496789}', '"2024-01-31T12:34:56.789Z"'),
        ('{"$date":"2024-01-31T12:34:56.789+0000"}', '"2024-01-31T12:34:56.789+0000"'),
        ('{"$date":true}', '{"$date":true}'),
        ('{"$binary":{"base64":"AP8Q","subType":"00"}}', '"\\\\x00ff10"'),
        ('{"$binary":"AP8Q","$type":"00"}', '"\\\\x00ff10"'),
        ('{"$binary":{"base64":"","subType":"00"}}', '"\\\\x"'),
        ('{"$binary":{"base64":"A","subType":"00"}}', '{"$binary":{"base64":"A","subType":"00"}}'),
        (
            '{"$binary":{"base64":"Dje33/aYEeaN1MubnO098A==","subType":"04"}}',
            '"0e37b7df-f698-11e6-8dd4-cb9b9ced3df0"',
        ),
        (  # the driver that wrote it decides on the order of its bytes
            '{"$binary":{"base64":"Dje33/aYEeaN1MubnO098A==","subType":"03"}}',
            '"\\\\x0e37b7dff69811e68dd4cb9b9ced3df0"',
        ),
        (
            '{"$uuid":"0e37b7dff69811e68dd4cb9b9ced3df0"}',
            '"0e37b7df-f698-11e6-8dd4-cb9b9ced3df0"',
        ),
        ('{"$undefined":true}', "null"),
        ('{"$symbol":"a"}', '"a"'),
        ('{"$timestamp":{"t":1,"i":2}}', '{"$timestamp":{"t":1,"i":2}}'),
        ('{"$minKey":1}', '{"$minKey":1}'),
        (
            '{"$regularExpression":{"pattern":"a","options":"i"}}',
            '{"$regularExpression":{"pattern":"a","options":"i"}}',
        ),
        (
            '{"a":[{"$numberInt":"1"},{"$binary":{"base64":"AP8Q","subType":"00"}}]}',
            '{"a":[1,"AP8Q"]}',
        ),
        (r'"a text with {\"$oid\": \"1\"} in it"', r'"a text with {\"$oid\": \"1\"} in it"'),
    ],
)
def test_values(typed: str, value: str) -> None:
    [record] = found_in(FORMAT, f'{{"_id":{{"$oid":"{OID}"}},"v":{typed}}}\n'.encode())
    assert record.data.decode() == f'{{"_id":"{OID}","v":{value}}}'


@pytest.mark.parametrize(
    ("names", "types", "field"),
    [
        (("_id", "id", "v"), {}, "_id"),
        (("id", "v"), {}, "id"),
        (("id", "v"), {"id": "bigint"}, "_id"),
        (("v", "x"), {}, "_id"),
    ],
)
def test_where_the_identifier_goes(names: tuple[str], types: dict[str, str], field: str) -> None:
    data = b'{"_id":{"$oid":"%b"},"v":{"$numberLong":"10"}}\n' % OID.encode()
    assert rows_of(FORMAT, data, columns(*names, **types)) == [{field: OID, "v": 10}]


def test_an_id_of_the_record_is_not_replaced() -> None:
    data = b'{"_id":{"$oid":"%b"},"id":{"$numberLong":"10"}}\n' % OID.encode()
    assert rows_of(FORMAT, data, columns("id")) == [{"_id": OID, "id": 10}]


def test_numbers_as_identifiers_fit_columns_of_numbers() -> None:
    data = b'{"_id":{"$numberInt":"1"}}\n{"_id":{"$numberInt":"2"}}\n'
    assert rows_of(FORMAT, data, columns("id", id="bigint")) == [{"id": 1}, {"id": 2}]


def test_a_damaged_record_is_kept_as_it_is() -> None:
    damaged = b'{"_id":{"$oid":"1"},"v":tru}'
    data = b'{"_id":{"$oid":"2"}}\n%b\n{"_id":{"$oid":"3"}}\n' % damaged
    assert [record.data for record in found_in(FORMAT, data)] == [
        b'{"_id":"2"}',
        damaged,
        b'{"_id":"3"}',
    ]


@pytest.mark.parametrize(
    "row",
    [
        {"id": 1, "payload": {"at": {"$date": "2024-01-31T12:34:56.789Z"}}},
        {"id": 1, "filter": {"$set": 1}, "note": '{"$oid": "65b9a1f0c2a4d1e5f6a7b8c9"}'},
        {"id": 1, "avatar": {"$base64": True, "encoded": "AP8Q"}},
    ],
)
def test_plain_rows(row: dict[str, object]) -> None:
    assert not FORMAT.detect(json.dumps(row).encode())
    assert not FORMAT.detect(json.dumps([row]).encode())


@pytest.mark.parametrize(
    "text",
    [
        b'{ "_id" : ObjectId("65b9a1f0c2a4d1e5f6a7b8c9"), "name" : "Ann" }\n',
        b"[\n  {\n    _id: ObjectId('65b9a1f0c2a4d1e5f6a7b8c9'),\n    name: 'Ann'\n  }\n]\n",
        b'{ "_id" : 1, "at" : ISODate("2024-01-31T12:34:56.789Z") }\n',
    ],
)
def test_the_shells_output_is_refused(text: bytes) -> None:
    assert SHELL.detect(text)
    assert not FORMAT.detect(text)
    with pytest.raises(FormatError, match=r"mongoexport"):
        found_in(SHELL, text)


def test_bson_is_refused() -> None:
    assert BSON.detect(bytes.fromhex("16000000075f69640065b9a1f0c2a4d1e5f6a7b8c900"))
    assert not SHELL.detect(b'[{"id": 1, "note": "ObjectId(1)"}]')
