"""The documents of CouchDB are read, however they were exported."""

from __future__ import annotations

import json
from typing import Any

import pytest

from restore.source.formats.couchdb import DOCUMENTS, FORMAT
from restore.source.formats.format import FormatError
from restore.tests.formats.reading import columns, found_in, rows_of

REV = "1-967a00dff5e02add41819138abb3284d"
DOCS: list[dict[str, Any]] = [
    {"_id": "a", "_rev": REV, "name": "Ann", "n": 1.50},
    {"_id": "b", "_rev": REV, "name": "two\nlines\\path", "doc": {"x": [1]}},
]
ROWS = [{"id": doc["_id"], "key": doc["_id"], "value": {"rev": REV}, "doc": doc} for doc in DOCS]
DESIGN = {"_id": "_design/x", "_rev": REV, "views": {}}
DESIGN_ROW = {"id": "_design/x", "key": "_design/x", "value": {"rev": REV}, "doc": DESIGN}
GONE = {"id": "c", "key": "c", "value": {"rev": REV, "deleted": True}, "doc": None}
USERS = columns("id", "name", "n", "doc")
RIGHT = [
    {"id": "a", "name": "Ann", "n": 1.5},
    {"id": "b", "name": DOCS[1]["name"], "doc": {"x": [1]}},
]


def all_docs(rows: list[Any], total: int) -> bytes:
    """Return what CouchDB writes: a line a row."""
    lines = ",\r\n".join(json.dumps(row, separators=(",", ":")) for row in rows)
    return b'{"total_rows":%d,"offset":0,"rows":[\r\n%b\r\n]}\n' % (total, lines.encode())


def test_all_docs() -> None:
    data = all_docs([DESIGN_ROW, *ROWS, GONE], 4)
    assert rows_of(FORMAT, data, USERS) == RIGHT
    assert rows_of(FORMAT, json.dumps({"rows": ROWS}, indent=1).encode(), USERS) == RIGHT
    assert b'"n":1.5' in found_in(FORMAT, data)[0].data
    assert rows_of(FORMAT, all_docs([], 0)) == []


def test_changes() -> None:
    results = [
        {"seq": n, "id": doc["_id"], "changes": [{"rev": REV}], "doc": doc}
        for n, doc in enumerate([*DOCS, {"_id": "c", "_rev": REV, "_deleted": True}])
    ]
    results[2]["deleted"] = True
    data = json.dumps({"results": results, "last_seq": "3-x", "pending": 0}).encode()
    assert rows_of(FORMAT, data, USERS) == RIGHT


def test_lists_of_documents() -> None:
    lines = "".join(json.dumps(doc) + "\n" for doc in DOCS)
    heading = '{"name":"@cloudant/couchbackup","version":"2.11.0","mode":"full"}\n'
    for text in (json.dumps([DESIGN, *DOCS], indent=2), lines, heading + json.dumps(DOCS) + "\n"):
        assert rows_of(DOCUMENTS, text.encode(), USERS) == RIGHT
    assert rows_of(FORMAT, json.dumps({"docs": DOCS}).encode(), USERS) == RIGHT


def test_columns_of_the_documents_own_names() -> None:
    data = all_docs(ROWS[:1], 1)
    assert rows_of(FORMAT, data, columns("_id", "_rev", "name", "n")) == DOCS[:1]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (all_docs([{"id": "a", "key": "a", "value": {"rev": REV}}], 1), "include_docs=true"),
        (all_docs(ROWS, 3), "holds 2 of 3 documents"),
        (all_docs(ROWS, 2)[:200], "truncated"),
    ],
)
def test_what_is_not_whole_is_refused(data: bytes, message: str) -> None:
    assert FORMAT.detect(data)
    with pytest.raises(FormatError, match=message):
        found_in(FORMAT, data)


@pytest.mark.parametrize(
    "row",
    [
        {"_id": "a", "_rev": 1},
        {"rows": [{"id": 1, "value": 2}]},
        {"results": [{"id": 1}]},
        {"docs": []},
        {"total_rows": 3},
        {},
    ],
)
def test_plain_rows(row: dict[str, object]) -> None:
    for text in (json.dumps(row), json.dumps([row])):
        assert not FORMAT.detect(text.encode())
        assert not DOCUMENTS.detect(text.encode())
