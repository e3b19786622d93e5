"""What stands before the first and after the last record of an export is accounted for."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from restore.tests.support.target import Target

COUNT = 50
ROW = {"n": "a"}


def django(number: int, table: str = "t") -> dict[str, Any]:
    return {"model": f"m.{table}", "pk": number, "fields": ROW}


def debezium(number: int) -> dict[str, Any]:
    return {"op": "r", "after": {"id": number, **ROW}, "source": {"table": "m_t"}}


def dms(number: int) -> dict[str, Any]:
    place = {"schema-name": "public", "table-name": "m_t"}
    metadata = {"record-type": "data", "operation": "load", **place}
    return {"data": {"id": number, **ROW}, "metadata": metadata}


def strapi(number: int) -> dict[str, Any]:
    return {"type": "api::m_t.m_t", "id": number, "data": ROW}


def json_api(number: int) -> dict[str, Any]:
    return {"type": "m_t", "id": str(number), "attributes": ROW}


# What a record is, and what stands before, between and after records.
EXPORTS: dict[str, tuple[Callable[[int], dict[str, Any]], str, str, str]] = {
    "django": (django, "[", ", ", "]"),
    "django-lines": (django, "", "\n", "\n"),
    "debezium": (debezium, "", "\n", "\n"),
    "dms": (dms, "", "\n", "\n"),
    "strapi-export": (strapi, "", "\n", "\n"),
    "jsonapi": (json_api, '{"data": [', ", ", "]}"),
}
ROWS = ",".join(f'{{"id": {n}, "n": "a"}}' for n in range(3))
# Formats whose file is one JSON value.
DOCUMENTS = {
    "pandas-split": '{"columns": ["id", "n"], "index": [0], "data": [[1, "a"]]}',
    "pandas-table": '{"schema": {"fields": [{"name": "id", "type": "integer"}, {"name": "n", '
    f'"type": "string"}}], "pandas_version": "1.4.0"}}, "data": [{ROWS}]}}',
    "pandas-index": '{"0": {"id": 1, "n": "a"}, "1": {"id": 2, "n": "a"}}',
    "geojson": '{"type": "FeatureCollection", "features": [{"type": "Feature", "properties": '
    '{"id": 1}, "geometry": null}]}',
    "clickhouse": f'{{"meta": [{{"name": "id", "type": "Int"}}], "data": [{ROWS}], "rows": 3}}',
    "rqlite": '{"results": [{"columns": ["id", "n"], "types": ["i", "t"], "values": [[1, "a"]]}]}',
    "firebase": '{"-N0000000000000000001": {"id": 1, "n": "a"}}',
    "dotnet": '{"$id": "1", "$values": [{"$id": "2", "id": 1, "n": "a"}]}',
    "phpmyadmin": '[{"type": "header", "version": "5.2.1", "comment": "Export to JSON plugin for '
    'PHPMyAdmin"}, {"type": "database", "name": "shop"}, {"type": "table", "name": "m_t", '
    f'"database": "shop", "data": [{ROWS}]}}]',
}
TABLES = f'{{"m_t": [{ROWS}], "m_u": [{{"id": 1}}]}}'


@pytest.fixture
def shop(target: Target) -> Target:
    for table in ("m_t", "m_u"):
        target.conn.execute(f"CREATE TABLE {table} (id int PRIMARY KEY, n text)")
    return target


def texts(export: str) -> tuple[list[str], str, str, str]:
    record, *around = EXPORTS[export]
    before, between, after = around
    return [json.dumps(record(number)) for number in range(COUNT)], before, between, after


@pytest.mark.parametrize("place", [0, COUNT - 1])
@pytest.mark.parametrize("export", EXPORTS)
def test_a_damaged_record_at_an_end_is_a_reject(shop: Target, export: str, place: int) -> None:
    records, before, between, after = texts(export)
    records[place] = records[place].replace('"a"', "xx")
    (shop.backup / "m_t.json").write_text(before + between.join(records) + after)
    report = shop.load()
    [table] = report.tables
    assert (table.loaded, table.rejected) == (COUNT - 1, 1)
    assert [reason.first_ordinal for reason in table.reasons] == [place]


def test_bare_numbers_of_an_export_are_values(shop: Target) -> None:
    shop.conn.execute("CREATE TABLE m_f (id int PRIMARY KEY, f float8, j json, t text)")
    fields = ('"f": NaN', '"f": -Infinity', '"f": 1.5', '"j": [NaN]', '"t": "NaN"', '"t": NaN')
    rows = [
        f'{{"model": "m.f", "pk": {n}, "fields": {{{field}}}}}' for n, field in enumerate(fields)
    ]
    (shop.backup / "dump.json").write_text(f"[{', '.join(rows)}]")
    [table] = shop.load().tables
    assert (table.loaded, table.rejected) == (4, 2)
    found = shop.rows("SELECT id, f::text, t FROM m_f ORDER BY id")
    values = [("NaN", None), ("-Infinity", None), ("1.5", None)]
    assert found == [*((n, *value) for n, value in enumerate(values)), (4, None, "NaN")]


@pytest.mark.parametrize("export", EXPORTS)
def test_an_export_that_ends_in_a_record_is_truncated(shop: Target, export: str) -> None:
    records, before, between, _ = texts(export)
    (shop.backup / "m_t.json").write_text((before + between.join(records))[:-8])
    [table] = shop.load().tables
    assert (table.loaded, table.rejected, table.cut_off) == (COUNT - 1, 1, True)


@pytest.mark.parametrize("export", ["django", "django-lines"])
def test_what_follows_the_records_of_an_export_is_a_reject(shop: Target, export: str) -> None:
    records, before, between, after = texts(export)
    (shop.backup / "m_t.json").write_text(before + between.join(records) + after + " garbage\n")
    [table] = shop.load().tables
    assert (table.loaded, table.rejected) == (COUNT, 1)


def test_a_table_whose_export_is_truncated_in_another_is_so_too(shop: Target) -> None:
    records = [json.dumps(django(n, table)) for table in ("t", "u") for n in range(COUNT)]
    (shop.backup / "dump.json").write_text("[" + ", ".join(records)[:-8])
    [table] = shop.load(exclude=frozenset({"m_u"})).tables
    assert (table.loaded, table.rejected, table.cut_off) == (COUNT, 0, True)


@pytest.mark.parametrize("export", DOCUMENTS)
def test_a_second_document_in_a_file_is_no_success(shop: Target, export: str) -> None:
    text = DOCUMENTS[export]
    (shop.backup / "m_t.json").write_text(f"{text}\n")
    whole = shop.load(clean=True)
    assert whole.complete
    (shop.backup / "m_t.json").write_text(f"{text}\n{text}\n")
    report = shop.load(clean=True)
    assert not report.complete
    assert [table.loaded for table in report.tables] == [table.loaded for table in whole.tables]


@pytest.mark.parametrize("behind", ["garbage", "[1]", "]"])
def test_what_follows_an_object_of_tables_is_noticed(shop: Target, behind: str) -> None:
    (shop.backup / "m_t.json").write_text(f"{TABLES}\n{behind}")
    report = shop.load()
    assert [table.cut_off for table in report.tables] == [False, True]
    assert "m_t.json is damaged outside its lists, at byte" in report.warnings[0]
