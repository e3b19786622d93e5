"""Records of a full load by AWS DMS become rows."""

from __future__ import annotations

import json
from typing import Any

import pytest

from restore.source.formats.dms import FORMAT
from restore.source.formats.format import FormatError
from restore.tests.formats.reading import found_in, rows_of


def record(data: dict[str, Any] | None, operation: str = "load") -> dict[str, Any]:
    metadata = {
        "timestamp": "2024-01-31T12:34:56.789123Z",
        "record-type": "control" if data is None else "data",
        "operation": operation,
        "partition-key-type": "primary-key",
        "schema-name": "public",
        "table-name": "users",
    }
    return {"metadata": metadata} if data is None else {"data": data, "metadata": metadata}


ROWS: list[dict[str, Any]] = [
    {"id": 1, "name": "two\nlines", "n": 1.5},
    {"id": 2, "name": None, "n": -1},
]
RECORDS = [record(None, "create-table"), *(record(row) for row in ROWS)]


@pytest.mark.parametrize("indent", [None, 4])
def test_a_full_load(indent: int | None) -> None:
    lines = "".join(json.dumps(one, indent=indent) + "\n" for one in RECORDS)
    for text in (lines, json.dumps(RECORDS, indent=indent)):
        assert rows_of(FORMAT, text.encode()) == ROWS
        assert {found.table for found in found_in(FORMAT, text.encode())} == {"users"}


def test_a_damaged_record_is_kept_as_it_is() -> None:
    lines = [json.dumps(one).encode() for one in RECORDS]
    lines[1] = lines[1].replace(b'"id": 1', b'"id": ')
    assert found_in(FORMAT, b"\n".join(lines))[0].data == lines[1]


@pytest.mark.parametrize("operation", ["update", "delete"])
def test_changes_are_refused(operation: str) -> None:
    data = json.dumps([*RECORDS, record({"id": 1}, operation)]).encode()
    with pytest.raises(FormatError, match=operation):
        found_in(FORMAT, data)


@pytest.mark.parametrize(
    "row", [{"metadata": {"a": 1}, "data": {}}, {"metadata": "x"}, {"data": 1}]
)
def test_plain_rows(row: dict[str, object]) -> None:
    assert not FORMAT.detect(json.dumps([row]).encode())
