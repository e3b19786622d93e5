"""DynamoDB's values are read as what they are typed."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from restore.source.formats.dynamodb import FORMAT, SCAN
from restore.source.formats.format import FormatError
from restore.tests.formats.reading import found_in, rows_of

CASES = Path(__file__).parent / "cases"
SCANNED = (CASES / "dynamodb-scan/files/users.json").read_bytes()
EXPORTED = gzip.decompress((CASES / "dynamodb-s3-export/files/users.json.gz").read_bytes())


def test_users() -> None:
    exported = rows_of(FORMAT, EXPORTED)
    assert exported[0] == {
        "id": 1,
        "name": 'Ann "A" Ångström',
        "email": "ann@x.org",
        "is_active": True,
        "created_at": "2024-01-31T12:34:56.789123Z",
        "balance": 1234.5,
        "settings": {"theme": "dark", "n": 1},
    }
    assert rows_of(SCAN, SCANNED) == exported
    assert rows_of(SCAN, json.dumps(json.loads(SCANNED)).encode()) == exported
    items = json.dumps(json.loads(SCANNED)["Items"]).encode()
    assert rows_of(FORMAT, items) == exported
    assert not FORMAT.detect(SCANNED)
    assert not SCAN.detect(EXPORTED)


@pytest.mark.parametrize(
    ("typed", "value"),
    [
        (
            '{"N":"12345678901234567890123456789012345678"}',
            "12345678901234567890123456789012345678",
        ),
        ('{"N":"1E+3"}', "1E+3"),
        ('{"B":"AP8Q"}', '"\\\\x00ff10"'),
        ('{"SS":["a","b"]}', '["a","b"]'),
        ('{"NS":["1","2.50"]}', "[1,2.50]"),
        ('{"BS":["AP8Q"]}', '["AP8Q"]'),
        (
            '{"M":{"S":{"S":"x"},"l":{"L":[{"NULL":true},{"B":"AP8Q"}]}}}',
            '{"S":"x","l":[null,"AP8Q"]}',
        ),
        ('{"M":{}}', "{}"),
        ('{"s":"x"}', '"x"'),
        ('{"bOOL":false}', "false"),
    ],
)
def test_values(typed: str, value: str) -> None:
    [record] = found_in(FORMAT, f'{{"Item":{{"v":{typed}}}}}\n'.encode())
    assert record.data.decode() == f'{{"v":{value}}}'


@pytest.mark.parametrize("value", ['"x"', "{}", '{"S":1}', '{"N":"x"}', '{"S":"a","N":"1"}'])
def test_values_without_a_type(value: str) -> None:
    data = f'{{"Item":{{"id":{{"N":"1"}},"v":{value}}}}}\n'.encode()
    with pytest.raises(FormatError, match="the record at byte 0 has a"):
        found_in(FORMAT, data)


def test_one_page_of_several_is_refused() -> None:
    page = SCANNED.rstrip()[:-1] + b', "NextToken": "abc"}'
    with pytest.raises(FormatError, match="without limits"):
        found_in(SCAN, page)
    assert len(rows_of(SCAN, page + b"\n" + SCANNED)) == 6


def test_what_is_cut_off_is_reported() -> None:
    assert SCAN.detect(SCANNED[:200])
    assert FORMAT.detect(EXPORTED[:100])
    with pytest.raises(FormatError, match="truncated"):
        found_in(SCAN, SCANNED[:1500])


def test_a_table_without_items() -> None:
    assert rows_of(SCAN, b'{"Items": [], "Count": 0, "ScannedCount": 0}') == []


def test_a_damaged_record_is_kept_as_it_is() -> None:
    lines = EXPORTED.replace(b'"two', b"two")
    assert len(found_in(FORMAT, lines)) == 3
    assert found_in(FORMAT, lines)[1].data == lines.splitlines()[1]


@pytest.mark.parametrize(
    "row",
    [
        {"id": 1, "tags": {"S": "x"}},
        {"Item": "x", "id": 1},
        {"Item": {"name": "x"}},
        {"Items": [{"id": 1}], "Count": 1},
        {},
    ],
)
def test_plain_rows(row: dict[str, object]) -> None:
    for text in (json.dumps(row), json.dumps([row])):
        assert not FORMAT.detect(text.encode())
        assert not SCAN.detect(text.encode())
