"""The ground truth of generated datasets, held against what PostgreSQL itself makes of them.

The loader here shares nothing with the engines: it hands each field to the server as text, and the
server casts it to the column's type. What the server takes is restorable.
"""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any

import msgspec
import psycopg
import pytest
from psycopg import sql

from harness.generate import DatasetSpec, generate
from harness.generate.scenario import load_scenario
from harness.model import manifest
from harness.trial import verify

if TYPE_CHECKING:
    from pathlib import Path

    from harness.model.manifest import Manifest, Table

Connection = psycopg.Connection[Any]
Record = dict[str, msgspec.Raw]

#: The columns of arrays; other arrays in the JSON are in documents.
ARRAYS = {"tags", "labels"}

#: Why the server refuses a record, by its damage.
REASONS = {
    "bad_date": {"22007", "22008"},
    "duplicate_key": {"23505"},
    "duplicate_unique": {"23505"},
    "orphan": {"23503"},
    "wrong_type": {"22P02"},
    "nul": {"22P05"},
    "missing_required": {"23502"},
    "null_required": {"23502"},
}


def records(folder: Path, table: Table) -> list[Record]:
    return msgspec.json.decode((folder / table.file).read_bytes(), type=list[Record])


def insert(connection: Connection, table: Table, record: Record) -> None:
    """Insert one record, its values as literals of unknown type."""
    forms = {column.name: column.form for column in table.columns}
    values = [as_literal(name, bytes(raw), forms[name]) for name, raw in record.items()]
    connection.execute(
        sql.SQL("INSERT INTO {} ({}) VALUES ({})").format(
            sql.Identifier(table.table),
            sql.SQL(", ").join(map(sql.Identifier, record)),
            sql.SQL(", ").join(values),
        )
    )


def as_literal(name: str, raw: bytes, form: str) -> sql.Composable:
    if raw == b"null":
        return sql.SQL("NULL")
    if b"\\u0000" in raw:
        # psycopg refuses a NUL by itself; so the server is asked what it thinks of one.
        return sql.SQL("{}::json ->> 0").format(sql.Literal(f"[{raw.decode()}]"))
    if form == "bytea":
        return sql.Literal("\\x" + base64.b64decode(json.loads(raw)).hex())
    if raw.startswith(b"[") and name in ARRAYS:
        return sql.Literal(json.loads(raw))
    if raw.startswith(b'"'):
        return sql.Literal(json.loads(raw))
    return sql.Literal(raw.decode())


def load(database: Any, folder: Path) -> tuple[Manifest, dict[tuple[str, int], Record]]:
    """Load all that is restorable in one transaction; return the rest."""
    truth = manifest.load(folder)
    rest = {}
    with database.connect() as connection:
        connection.execute((folder / manifest.SCHEMA_SQL).read_text())
        connection.execute("SET TimeZone = 'UTC'")
        with connection.transaction():
            for table in truth.tables:
                lost = truth.lost_records(table.table)
                for ordinal, record in enumerate(records(folder, table)):
                    if ordinal in lost:
                        rest[table.table, ordinal] = record
                    else:
                        insert(connection, table, record)
    return truth, rest


def assert_exact(database: Any, folder: Path, truth: Manifest) -> None:
    with database.connect() as connection:
        for result in verify.verify(connection, folder, truth):
            assert result.error is None
            assert (result.table, result.found) == (result.table, result.expected)
            assert result.checksum_match, result.table


@pytest.mark.slow
@pytest.mark.parametrize("style", ["lines", "compact", "pretty"])
def test_without_faults_postgresql_holds_the_ground_truth(
    database: Any, tmp_path: Path, style: str
) -> None:
    folder = generate(DatasetSpec(rows=3000, style=style), tmp_path)
    truth, rest = load(database, folder)
    assert sum(table.rows for table in truth.tables) == 3000
    assert not rest
    assert_exact(database, folder, truth)


@pytest.mark.slow
def test_realistic_damage_is_what_the_manifest_says(database: Any, tmp_path: Path) -> None:
    folder = generate(DatasetSpec(rows=12_000, faults="realistic"), tmp_path)
    truth, rest = load(database, folder)
    assert len(truth.damage) == 12
    assert {damage.damage for damage in truth.damage if not damage.restorable} == set(REASONS)
    assert len(rest) == len(truth.lost)
    assert_exact(database, folder, truth)
    tables = {table.table: table for table in truth.tables}
    with database.connect() as connection:
        for damage in truth.lost:
            assert damage.ordinal is not None
            record = rest[damage.table, damage.ordinal]
            assert refusal(connection, tables[damage.table], record) in REASONS[damage.damage], (
                damage
            )


def refusal(connection: Connection, table: Table, record: Record) -> str | None:
    """Return why the server refuses a record; None where it takes it."""
    try:
        with connection.transaction():
            connection.execute("SET CONSTRAINTS ALL IMMEDIATE")
            insert(connection, table, record)
    except psycopg.Error as error:
        return error.sqlstate
    return None


def test_scenario_says_of_columns_what_the_schema_says(database: Any, tmp_path: Path) -> None:
    scenario = load_scenario("business")
    with database.connect() as connection:
        connection.execute(scenario.schema())
        for table in scenario.tables:
            found = connection.execute(
                "SELECT column_name, is_nullable = 'YES', column_default IS NOT NULL"
                " FROM information_schema.columns WHERE table_name = %s ORDER BY ordinal_position",
                [table.name],
            ).fetchall()
            said = [
                (column.name, column.nulls is not None, column.default is not None)
                for column in table.columns
            ]
            assert said == found
