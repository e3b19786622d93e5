"""Firestore's values are read as what they are typed."""

from __future__ import annotations

import json
from typing import Any

import pytest

from restore.source.formats.firestore import DOCUMENTS, FORMAT
from restore.source.formats.format import FormatError
from restore.tests.formats.reading import columns, found_in, rows_of

PATH = "projects/p/databases/(default)/documents/users/"
TIMES = {"createTime": "2024-01-31T12:34:56.789123Z", "updateTime": "2024-01-31T12:34:56.789123Z"}
ANN = {
    "name": {"stringValue": "Ann"},
    "settings": {"mapValue": {"fields": {"n": {"integerValue": "1"}}}},
}
BOB = {"name": {"stringValue": "two\nlines"}, "settings": {"nullValue": None}}
DOCS: list[dict[str, Any]] = [
    {"name": PATH + key, "fields": fields, **TIMES} for key, fields in (("a", ANN), ("b", BOB))
]
RIGHT = [
    {"id": "a", "name": "Ann", "settings": {"n": 1}},
    {"id": "b", "name": "two\nlines", "settings": None},
]
USERS = columns("id", "name", "settings")


@pytest.mark.parametrize("indent", [None, 2])
def test_documents(indent: int | None) -> None:
    listing = json.dumps({"documents": DOCS}, indent=indent).encode()
    assert rows_of(FORMAT, listing, USERS) == RIGHT
    assert not DOCUMENTS.detect(listing)
    answers = [{"document": doc, "readTime": TIMES["createTime"]} for doc in DOCS]
    for found in (DOCS, answers):
        data = json.dumps(found, indent=indent).encode()
        assert rows_of(DOCUMENTS, data, USERS) == RIGHT
        assert not FORMAT.detect(data)


@pytest.mark.parametrize(
    ("typed", "value"),
    [
        ('{"integerValue":"9223372036854775807"}', "9223372036854775807"),
        ('{"doubleValue":1.50}', "1.50"),
        ('{"doubleValue":"NaN"}', '"NaN"'),
        ('{"booleanValue":true}', "true"),
        ('{"timestampValue":"2024-01-31T12:34:56.789123Z"}', '"2024-01-31T12:34:56.789123Z"'),
        ('{"bytesValue":"AP8Q"}', '"\\\\x00ff10"'),
        ('{"referenceValue":"projects/p"}', '"projects/p"'),
        ('{"geoPointValue":{"latitude":1.5}}', '{"latitude":1.5}'),
        ('{"arrayValue":{"values":[{"integerValue":"1"},{"nullValue":null}]}}', "[1,null]"),
        ('{"arrayValue":{}}', "[]"),
        ('{"mapValue":{}}', "{}"),
        ('{"mapValue":{"fields":{"b":{"bytesValue":"AP8Q"}}}}', '{"b":"AP8Q"}'),
    ],
)
def test_values(typed: str, value: str) -> None:
    data = f'{{"name":"{PATH}a","fields":{{"v":{typed}}}}}\n'.encode()
    [record] = found_in(DOCUMENTS, data, columns("id", "v"))
    assert record.data.decode() == f'{{"id":"a","v":{value}}}'


@pytest.mark.parametrize("typed", ['"x"', "{}", '{"newValue":1}'])
def test_values_of_unknown_types_are_refused(typed: str) -> None:
    data = f'{{"name":"{PATH}a","fields":{{"v":{typed}}}}}\n'.encode()
    with pytest.raises(FormatError, match="the record at byte 0 has a value"):
        found_in(DOCUMENTS, data)


def test_one_page_of_several_is_refused() -> None:
    page = json.dumps({"documents": DOCS, "nextPageToken": "x"}).encode()
    with pytest.raises(FormatError, match="others follow"):
        found_in(FORMAT, page)
    assert len(rows_of(FORMAT, page + json.dumps({"documents": DOCS}).encode())) == 4


def test_what_is_cut_off_is_reported() -> None:
    data = json.dumps({"documents": DOCS}).encode()
    assert FORMAT.detect(data[:120])
    with pytest.raises(FormatError, match="truncated"):
        found_in(FORMAT, data[:-40])


@pytest.mark.parametrize(
    "row", [{"name": "projects/x", "fields": {}}, {"documents": [{"id": 1}]}, {"documents": []}]
)
def test_plain_rows(row: dict[str, object]) -> None:
    for text in (json.dumps(row), json.dumps([row])):
        assert not FORMAT.detect(text.encode())
        assert not DOCUMENTS.detect(text.encode())
