"""Public reports of loads that turn slow for one column: no column goes record by record."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import psycopg
import pytest

if TYPE_CHECKING:
    from restore.tests.support.target import Target

COUNT = 400


@pytest.fixture
def statements(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """Collect what is executed and copied in this process."""
    seen: list[object] = []

    def recorded(original: Any) -> Any:
        def call(self: Any, query: Any, *args: Any, **kwargs: Any) -> Any:
            seen.append(query)
            return original(self, query, *args, **kwargs)

        return call

    for name in ("execute", "copy"):
        monkeypatch.setattr(psycopg.Cursor, name, recorded(getattr(psycopg.Cursor, name)))
    return seen


def cost(target: Target, statements: list[object], kind: str, value: Any) -> int:
    """Restore many records with one value, and return how many statements that took."""
    target.conn.execute(f"CREATE TABLE t (id int PRIMARY KEY, v {kind})")
    target.write(t=[{"id": number, "v": value} for number in range(COUNT)])
    before = len(statements)
    assert target.load(jobs=1).complete
    return len(statements) - before


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("boolean", 1),
        ("timestamptz", "2015-07-28 15:47:28.123456+01"),  # eulerto/wal2json#144
        ("timestamptz", 1439488954),  # Azure/azure-documentdb-datamigrationtool#16
        ("interval", "1 day, 2:00:00"),
        ("interval", {"hours": 1}),
        ("bytea", {"type": "Buffer", "data": [1, 2]}),
        ("mood[]", ["calm"]),
        ("int[][]", [[1, 2], [3, 4]]),  # duckdb/duckdb-postgres#431: arrays are copied as text
    ],
)
def test_values_that_go_in_batches(
    target: Target, statements: list[object], kind: str, value: Any
) -> None:
    """JuliaDatabases/LibPQ.jl#50: hours instead of seconds, for an INSERT each."""
    assert cost(target, statements, kind, value) < COUNT


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("pair", {"n": 1, "t": "x"}),  # npgsql/npgsql#3454: composite types and COPY
        ("text[]", "{a,b}"),  # metabase/metabase#9608: arrays as PostgreSQL's texts
        ("boolean", "t"),  # ceumicrodata/mETL#15
        ("boolean", "true"),
        ("timestamptz", "2025-02-19 02:00:19 UTC"),  # dtolnay/db-dump#47
        ("date", "20240131"),
        ("date", "2024/01/31"),
        pytest.param(
            *("float8", float("nan")),  # datagouv/hydra#72: NaN as Python writes it
            marks=pytest.mark.xfail(strict=True, reason="a record that is not JSON goes by itself"),
        ),
    ],
)
def test_values_that_only_the_server_reads(
    target: Target, statements: list[object], kind: str, value: Any
) -> None:
    """JuliaDatabases/LibPQ.jl#50: hours instead of seconds, for an INSERT each."""
    target.conn.execute("CREATE TYPE pair AS (n int, t text)")
    assert cost(target, statements, kind, value) < COUNT


@pytest.mark.parametrize("share", [1, 2], ids=["all are bad", "every second is bad"])
def test_records_that_the_server_refuses(
    target: Target, statements: list[object], share: int
) -> None:
    """dimitri/pgloader#1214: how is the row at fault found, of thousands of a batch?"""
    target.conn.execute("CREATE TABLE t (id int PRIMARY KEY, v text CHECK (v <> 'bad'))")
    target.write(t=[{"id": n, "v": "bad" if n % share == 0 else "x"} for n in range(COUNT)])
    before = len(statements)
    report = target.load(jobs=1)
    assert report.tables[0].rejected == COUNT // share
    assert len(statements) - before < 4 * COUNT


@pytest.mark.xfail(strict=True, reason="each record of a key that is there twice is inserted again")
def test_duplicates_of_a_key_that_was_dropped(target: Target, statements: list[object]) -> None:
    """ossc-db/pg_bulkload#148: many duplicates in a table that is loaded without its keys."""
    target.conn.execute("CREATE TABLE t (id int PRIMARY KEY, w text)")
    # Large enough for the key to be dropped and recreated.
    target.write(t=[{"id": number // 2, "w": "w" * 12_000} for number in range(COUNT)])
    before = len(statements)
    report = target.load(jobs=1)
    assert report.tables[0].duplicates == COUNT // 2
    assert len(statements) - before < COUNT
