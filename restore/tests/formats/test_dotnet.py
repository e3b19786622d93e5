"""What System.Text.Json and Json.NET write with references kept."""

from __future__ import annotations

import pytest

from restore.source.formats.dotnet import FORMAT
from restore.source.formats.format import FormatError
from restore.tests.formats.reading import found_in
from restore.tests.formats.tables import rows

PRESERVED = b"""{
  "$id": "1",
  "$values": [
    {
      "$id": "2",
      "Id": 1,
      "Tags": {
        "$id": "3",
        "$values": ["a", 1.10]
      },
      "Settings": {"$id": "4", "Theme": "$id: dark"}
    },
    {"$id": "5", "Id": 2, "Tags": null}
  ]
}"""
TYPED = (
    b'{"$type":"System.Collections.Generic.List`1[[Shop.User, Shop]], mscorlib","$values":['
    b'{"$type":"Shop.User, Shop","Id":1},{"$type":"Shop.User, Shop","Id":2}]}'
)
LIST = b'[{"$id":"1","Id":1},{"$id":"2","Id":2}]'
TABLES = (
    b'{"$id":"1","Users":{"$id":"2","$values":[{"$id":"3","Id":1}]},'
    b'"Posts":{"$id":"4","$values":[{"$id":"5","Id":2}]}}'
)


def test_marks_are_left_out_at_any_depth() -> None:
    assert FORMAT.detect(PRESERVED)
    assert [found.data for found in found_in(FORMAT, PRESERVED)] == [
        b'{"Id":1,"Tags":["a", 1.10],"Settings":{"Theme":"$id: dark"}}',
        b'{"Id":2,"Tags":null}',
    ]


@pytest.mark.parametrize("data", [TYPED, LIST, LIST[1:-1].replace(b"},{", b"}\n{")])
def test_types_lists_and_lines_are_read(data: bytes) -> None:
    assert FORMAT.detect(data)
    assert rows(FORMAT, data) == [(None, {"Id": 1}), (None, {"Id": 2})]


def test_lists_under_keys_are_tables() -> None:
    assert FORMAT.detect(TABLES)
    assert rows(FORMAT, TABLES) == [("Users", {"Id": 1}), ("Posts", {"Id": 2})]


@pytest.mark.parametrize(
    "data",
    [LIST.replace(b'{"$id":"2","Id":2}', b'{"$ref":"1"}'), LIST.replace(b"2}", b'{"$ref":"1"}}')],
)
def test_references_are_refused(data: bytes) -> None:
    with pytest.raises(FormatError, match=r"\$ref.*IgnoreCycles"):
        found_in(FORMAT, data)


def test_a_damaged_object_is_passed_on() -> None:
    first, second = found_in(FORMAT, PRESERVED.replace(b"1.10", b"oops"))

    assert b"oops" in first.data
    assert second.data == b'{"Id":2,"Tags":null}'


def test_a_file_that_is_cut_off_says_so() -> None:
    assert FORMAT.detect(PRESERVED[:40])
    with pytest.raises(FormatError, match=r"truncated|damaged"):
        found_in(FORMAT, PRESERVED[:-5])


@pytest.mark.parametrize(
    "start",
    [
        b"",
        b"[]",
        b'{"id": 1, "$id": "2"}',
        b'{"$id": "https://example.org/schema.json", "type": "object"}',
        b'{"$values": [1], "id": 1}',
        b'[{"id": 1, "author": {"$id": "1"}}]',
    ],
)
def test_other_objects_are_not_its(start: bytes) -> None:
    assert not FORMAT.detect(start)
