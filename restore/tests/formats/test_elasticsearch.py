"""The documents of Elasticsearch and OpenSearch are read, however they were exported."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from restore.source.formats.elasticsearch import BULK, FORMAT, SEARCH
from restore.source.formats.format import FormatError
from restore.tests.formats.reading import columns, found_in, rows_of

CASES = Path(__file__).parent / "cases"
DUMP = (CASES / "elasticdump/files/users.json").read_bytes()
HITS: list[dict[str, Any]] = [json.loads(line) for line in DUMP.splitlines()]
SOURCES = [hit["_source"] for hit in HITS]
USERS = columns("id", "name", "email", id="bigint")


def answer(total: object, hits: list[dict[str, Any]] = HITS) -> dict[str, object]:
    shards = {"total": 1, "successful": 1, "skipped": 0, "failed": 0}
    found = {"total": total, "max_score": 1.0, "hits": hits}
    return {"took": 3, "timed_out": False, "_shards": shards, "hits": found}


def test_elasticdump() -> None:
    assert rows_of(FORMAT, DUMP, USERS) == SOURCES
    assert rows_of(FORMAT, json.dumps(HITS, indent=2).encode(), USERS) == SOURCES
    assert [record.offset for record in found_in(FORMAT, DUMP)][1] == DUMP.index(b"\n") + 1


@pytest.mark.parametrize("total", [3, {"value": 3, "relation": "eq"}, None])
@pytest.mark.parametrize("indent", [None, 2])
def test_a_search(total: object, indent: int | None) -> None:
    data = json.dumps(answer(total), indent=indent).encode()
    assert rows_of(SEARCH, data, USERS) == SOURCES
    assert not FORMAT.detect(data)


def test_pages_of_a_search() -> None:
    pages = [json.dumps(answer(3, hits)).encode() for hits in (HITS[:2], HITS[2:])]
    assert rows_of(SEARCH, b"\n".join(pages), USERS) == SOURCES
    with pytest.raises(FormatError, match="holds 2 of 3 hits"):
        found_in(SEARCH, pages[0])


def test_a_search_without_hits() -> None:
    assert rows_of(SEARCH, json.dumps(answer(0, [])).encode()) == []


@pytest.mark.parametrize(
    ("table", "key", "row"),
    [
        (columns("id", "a", id="bigint"), "7", {"id": "7", "a": 1}),
        (columns("_id", "id", "a"), "x", {"_id": "x", "a": 1}),
        (columns("id", "a"), "x", {"id": "x", "a": 1}),
        (columns("id", "a", id="bigint"), "x", {"_id": "x", "a": 1}),
        (None, "x", {"_id": "x", "a": 1}),
    ],
)
def test_where_the_identifier_goes(table: Any, key: str, row: dict[str, object]) -> None:
    data = json.dumps({"_index": "t", "_id": key, "_source": {"a": 1}}).encode()
    assert rows_of(FORMAT, data, table) == [row]


def test_bulk_requests() -> None:
    lines = [line for hit in HITS for line in ({"index": {"_id": hit["_id"]}}, hit["_source"])]
    data = "".join(json.dumps(line) + "\n" for line in lines).encode()
    assert rows_of(BULK, data, USERS) == SOURCES
    with pytest.raises(FormatError, match="neither indexes nor creates"):
        found_in(BULK, data + b'{"delete": {"_id": "1"}}\n')


def test_hits_without_sources_are_refused() -> None:
    data = DUMP + b'{"_index": "users", "_id": "9", "_score": 1}\n'
    with pytest.raises(FormatError, match="has no _source"):
        found_in(FORMAT, data)


def test_what_is_cut_off() -> None:
    data = json.dumps(answer(3), indent=2).encode()
    assert SEARCH.detect(data[:500])
    with pytest.raises(FormatError, match="truncated"):
        found_in(SEARCH, data[:900])
    assert FORMAT.detect(DUMP[:100])


def test_a_damaged_record_is_kept_as_it_is() -> None:
    data = DUMP.replace(b'"two', b"two")
    found = found_in(FORMAT, data, USERS)
    assert [found[1].data, len(found)] == [data.splitlines()[1], 3]


@pytest.mark.parametrize(
    "row", [{"_id": 1, "name": "x"}, {"hits": 5}, {"index": 1}, {"hits": {"hits": 5}}, {}]
)
def test_plain_rows(row: dict[str, object]) -> None:
    for text in (json.dumps(row), json.dumps([row])):
        assert not any(form.detect(text.encode()) for form in (FORMAT, SEARCH, BULK))
