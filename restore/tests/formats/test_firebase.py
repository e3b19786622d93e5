"""Objects by their keys become rows, with the keys where they belong."""

from __future__ import annotations

import json
from typing import Any

import pytest

from restore.source.formats.firebase import FORMAT, TABLES
from restore.source.formats.format import FormatError
from restore.tests.formats.reading import columns, found_in, rows_of

USERS: dict[str, dict[str, Any]] = {
    "-NabcA": {"name": "Ann", "email": "ann@x.org", "n": 1.50},
    "-NabcB": {"name": "two\nlines", "tags": {"a": True}},
}
DATABASE: dict[str, Any] = {"users": USERS, "posts": {"-NabcC": {"title": "x"}}}


@pytest.mark.parametrize("indent", [None, 2])
def test_a_node(indent: int | None) -> None:
    data = json.dumps(USERS, indent=indent).encode()
    right = [{"id": key, **fields} for key, fields in USERS.items()]
    assert rows_of(FORMAT, data, columns("id", "name", "email", "n", "tags")) == right
    assert not TABLES.detect(data)


@pytest.mark.parametrize("indent", [None, 2])
def test_a_database(indent: int | None) -> None:
    data = json.dumps(DATABASE, indent=indent).encode()
    assert [record.table for record in found_in(TABLES, data)] == ["users", "users", "posts"]
    assert rows_of(TABLES, data)[2] == {"_id": "-NabcC", "title": "x"}
    assert TABLES.detect(data[:150])
    assert not FORMAT.detect(data)


@pytest.mark.parametrize(
    ("table", "fields", "row"),
    [
        (columns("id", "a", id="bigint"), {"a": 1}, {"id": "7", "a": 1}),
        (columns("id", "a", id="bigint"), {"id": 7, "a": 1}, {"id": 7, "a": 1}),
        (columns("_id", "id", "a"), {"id": 7, "a": 1}, {"_id": "7", "id": 7, "a": 1}),
        (None, {"a": 1}, {"_id": "7", "a": 1}),
    ],
)
def test_where_the_key_goes(table: Any, fields: dict[str, int], row: dict[str, object]) -> None:
    assert rows_of(FORMAT, json.dumps({"7": fields}).encode(), table) == [row]


def test_keys_that_fit_no_column_are_refused() -> None:
    with pytest.raises(FormatError, match="'-NabcA', fit no column"):
        found_in(FORMAT, json.dumps(USERS).encode(), columns("id", "name", id="bigint"))


def test_a_value_that_is_no_object_is_refused() -> None:
    with pytest.raises(FormatError, match="the value of '-x' at byte"):
        found_in(FORMAT, json.dumps({**USERS, "-x": 5}).encode())


def test_keys_of_other_forms() -> None:
    alike = {"name": "x", "age": 1}
    assert FORMAT.detect(json.dumps({"ann": alike, "bob": alike, "cy": alike}).encode())
    assert FORMAT.detect(json.dumps({"a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11": alike}).encode())
    assert FORMAT.detect(json.dumps({"xk2vP0mQbhd1Zs8tN4Lc": alike}).encode())


def test_what_is_cut_off_is_reported() -> None:
    data = json.dumps(USERS).encode()
    assert FORMAT.detect(data[:80])
    with pytest.raises(FormatError, match="truncated"):
        found_in(FORMAT, data[:80])


@pytest.mark.parametrize(
    "value",
    [
        {"id": 1, "settings": {"a": 1}},
        {"billing": {"street": "x", "city": "y"}, "shipping": {"street": "x", "city": "y"}},
        {"users": [{"id": 1}], "posts": []},
        {"data": {"users": [{"id": 1}]}},
        {"0": {"a": 1}, "1": {"a": 2}},
        {"id": {"0": 1, "1": 2}, "name": {"0": "a", "1": "b"}, "age": {"0": 1, "1": 2}},
        {"meta": {"total": 1}, "users": [{"id": 1}]},
        {"error": {"code": 404, "message": "x"}},
        [{"-NabcA": {"a": 1}}],
        {},
    ],
)
def test_other_objects(value: object) -> None:
    for indent in (None, 2):
        data = json.dumps(value, indent=indent).encode()
        assert not FORMAT.detect(data)
        assert not TABLES.detect(data)
