"""phpMyAdmin's exports are read table by table."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from restore.source.formats.format import FormatError
from restore.source.formats.phpmyadmin import FORMAT, OLD
from restore.tests.formats.reading import found_in, rows_of

CASES = Path(__file__).parent / "cases"
SHOP = (CASES / "phpmyadmin/files/shop.json").read_bytes()
PRETTY = (CASES / "phpmyadmin-pretty/files/shop.json").read_bytes()
DOCUMENT = json.loads(SHOP)


@pytest.mark.parametrize("data", [SHOP, PRETTY, json.dumps(DOCUMENT).encode()])
def test_tables(data: bytes) -> None:
    rows = rows_of(FORMAT, data)
    assert rows == [*DOCUMENT[2]["data"], *DOCUMENT[3]["data"]]
    assert [record.table for record in found_in(FORMAT, data)] == ["orders"] * 2 + ["users"] * 3


def test_an_export_without_tables() -> None:
    assert rows_of(FORMAT, json.dumps(DOCUMENT[:2]).encode()) == []


def test_what_is_cut_off_is_reported() -> None:
    assert FORMAT.detect(SHOP[:150])
    with pytest.raises(FormatError, match="truncated"):
        found_in(FORMAT, SHOP[:-300])


def test_a_damaged_row_is_kept_as_it_is() -> None:
    found = found_in(FORMAT, SHOP.replace(b'"id":"2","user_id"', b'"id":2","user_id"'))
    assert [len(found), found[1].data[:9], found[1].table] == [5, b'{"id":2",', "orders"]


def test_two_databases_are_refused() -> None:
    other = [{"type": "database", "name": "b"}, {**DOCUMENT[2], "database": "b"}]
    with pytest.raises(FormatError, match="several databases"):
        found_in(FORMAT, json.dumps([*DOCUMENT, *other]).encode())


def test_another_order_of_keys_is_refused() -> None:
    with pytest.raises(FormatError, match="before the name"):
        found_in(FORMAT, json.dumps(DOCUMENT, sort_keys=True).encode())


def test_the_old_form_is_refused() -> None:
    data = (
        b"/**\n Export to JSON plugin for PHPMyAdmin\n @version 4.6.6\n */\n\n// Database 'shop'\n"
    )
    assert OLD.detect(data)
    with pytest.raises(FormatError, match="newer phpMyAdmin"):
        found_in(OLD, data)


@pytest.mark.parametrize("row", [{"type": "header", "id": 1}, {"type": "table", "data": []}])
def test_plain_rows(row: dict[str, object]) -> None:
    assert not FORMAT.detect(json.dumps([row]).encode())
