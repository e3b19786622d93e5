"""The hostile files, record by record, held against what PostgreSQL itself makes of them.

Each record is taken apart by a JSON parser that knows nothing of the database, and each field is
handed to the server as a literal of unknown type. What arrives so must be the ground truth; what
is not restorable must be refused.
"""

from __future__ import annotations

import base64
import json
import re
from typing import TYPE_CHECKING, Any

import msgspec
import psycopg
import pytest
from psycopg import sql

from harness.generate import DatasetSpec, generate
from harness.generate.hostile import File, Record, each_record, expand, load_hostile
from harness.generate.scenario import load_scenario
from harness.model import manifest
from harness.trial import verify

if TYPE_CHECKING:
    from pathlib import Path

    from harness.model.manifest import Manifest

Connection = psycopg.Connection[Any]
Fields = dict[str, msgspec.Raw]

#: Refused before the server is asked: no JSON, no record, no binary data, no Unicode.
UNREADABLE = (msgspec.MsgspecError, ValueError, TypeError, RecursionError)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return generate(DatasetSpec(rows=50, faults="hostile"), tmp_path_factory.mktemp("hostile"))


@pytest.fixture(scope="module")
def truth(dataset: Path) -> Manifest:
    return manifest.load(dataset)


@pytest.fixture
def connection(database: Any, dataset: Path) -> Any:
    with database.connect() as connection:
        connection.execute((dataset / manifest.SCHEMA_SQL).read_text("utf-8"))
        connection.execute("SET TimeZone = 'UTC'")
        yield connection


def hostile_files() -> tuple[File, ...]:
    return tuple(file for file in load_hostile(load_scenario("business")) if file.columns)


def literal(file: File, name: str, raw: bytes) -> sql.Composable:
    """Write one field as the server should read it; arrays it takes apart itself."""
    form = file.columns[name]
    if raw == b"null":
        return sql.SQL("NULL")
    if form == "bytea":
        return sql.Literal("\\x" + as_bytes(json.loads(raw)).hex())
    if raw.startswith(b"[") and name in {"tags", "counts"}:
        return sql.SQL("(json_populate_record(NULL::{}, {}::json)).{}").format(
            sql.Identifier(file.name),
            sql.Literal(f'{{"{name}":{raw.decode()}}}'),
            sql.Identifier(name),
        )
    if raw.startswith(b'"') and name not in {"doc", "verbatim"}:
        text = json.loads(raw)
        if "\0" in text:
            raise ValueError("PostgreSQL's text holds no NUL")
        if name == "local":  # a timestamp without a zone: its literal would drop an offset
            return sql.SQL("CAST({} AS timestamptz)").format(sql.Literal(text))
        return sql.Literal(text)
    return sql.Literal(raw.decode()) if form not in {"timestamp", "timestamptz"} else instant(raw)


def instant(raw: bytes) -> sql.Composable:
    """Write a number as the instant that it is, in seconds or in milliseconds."""
    seconds = int(raw) / (1000 if len(raw) > len("1709632800") else 1)
    return sql.SQL("to_timestamp({})").format(sql.Literal(seconds))


def as_bytes(value: Any) -> bytes:
    """Read binary data in the forms that the catalogue names."""
    if isinstance(value, str):
        if value.startswith("\\x"):
            return bytes.fromhex(value[2:])
        return base64.b64decode(value, validate=True)
    if not isinstance(value, dict):
        raise TypeError("no form of binary data")
    if value.get("type") == "Buffer":
        return bytes(value["data"])
    return bytes(value[str(index)] for index in range(len(value)))


def insert(connection: Connection, file: File, json_text: bytes) -> None:
    """Insert one record; what the server fills in itself and what no column is for stay out."""
    fields = msgspec.json.decode(BARE_NUMBER.sub(rb'"\g<0>"', json_text), type=Fields)
    known = [name for name in fields if name in file.columns and name != "doubled"]
    query = sql.SQL("INSERT INTO {} ({}) OVERRIDING SYSTEM VALUE VALUES ({})").format(
        sql.Identifier(file.name),
        sql.SQL(", ").join(map(sql.Identifier, known)),
        sql.SQL(", ").join(literal(file, name, bytes(fields[name])) for name in known),
    )
    connection.execute(query)


# PostgreSQL takes these, and rounds them.
ROUNDED = {"timestamp_rounded", "date_nanoseconds"}
# What Python's json.dumps writes for numbers that JSON does not have.
BARE_NUMBER = re.compile(rb"(?<=:)(?:NaN|-?Infinity)\b")


def refused(connection: Connection, file: File, record: bytes) -> bool:
    try:
        with connection.transaction():
            insert(connection, file, record)
    except (*UNREADABLE, psycopg.Error):
        return True
    return False


def load(connection: Connection, file: File) -> list[tuple[Record, bytes]]:
    """Insert what is restorable, keys checked at the end; return the rest."""
    rest = []
    with connection.transaction():
        connection.execute("SET CONSTRAINTS ALL DEFERRED")
        for ordinal, record in each_record(file):
            text = expand(record.json, ordinal)
            if record.text is None:
                rest.append((record, text))
            else:
                insert(connection, file, text)
    return rest


@pytest.mark.slow
def test_hostile_records_are_what_the_manifest_says(
    connection: Connection, dataset: Path, truth: Manifest
) -> None:
    connection.execute(
        'ALTER TABLE hostile_tree ALTER CONSTRAINT "hostile_tree_parentId_fkey" DEFERRABLE'
    )
    rest = [(file, load(connection, file)) for file in hostile_files()]
    results = verify.verify(connection, dataset, truth)
    names = {file.name for file in hostile_files()}
    wrong = [one for one in results if one.table in names and not one.checksum_match]
    assert wrong == []
    taken = [
        (file.name, record.json[:200])
        for file, records in rest
        for record, text in records
        if record.case not in ROUNDED and not refused(connection, file, text)
    ]
    assert taken == []


def test_hostile_files_stand_beside_the_scenarios_own(truth: Manifest, dataset: Path) -> None:
    names = [table.table for table in truth.tables]
    assert names[:2] == ["companies", "users"]
    assert sum(table.records for table in truth.tables[:9]) == 50
    for table in truth.tables:
        assert (dataset / table.file).stat().st_size == table.bytes
    unknown = {path.stem for path in dataset.glob("*.json")} - set(names)
    assert unknown == {"_prisma_migrations", "ghosts", "notes", "manifest"}


def test_hostile_files_hold_what_they_are_for(dataset: Path) -> None:
    def content(name: str) -> bytes:
        return (dataset / f"{name}.json").read_bytes()

    assert content("hostile_empty_file") == b""
    assert content("hostile_empty_array") == b"[]"
    assert content("hostile_bom").startswith(b"\xef\xbb\xbf[")
    assert content("hostile_crlf").startswith(b'[\r\n{"id":0,"body":"a\\r\\nb"},\r\n')
    assert content("hostile_one_line").count(b"\n") == 0
    assert content("hostile_truncated").endswith(b"cut off in the mid")
    assert content("hostile_large").count(b"y") > 50_000_000
    assert b'"a\xffb"' in content("hostile_texts")
    assert b'"a\\u0000b"' in content("hostile_texts")
    assert b"[" * 100_000 + b"]" * 100_000 in content("hostile_large")


def test_every_hostile_damage_is_named(truth: Manifest) -> None:
    cases = {damage.damage for damage in truth.damage}
    assert {"nul", "invalid_utf8", "lone_surrogate", "large_record", "truncated_file"} <= cases
    assert {"orphan_of_rejected", "duplicate_key", "enum_unknown", "unknown_field"} <= cases
    torn = [damage for damage in truth.damage if damage.ordinal is None]
    assert {damage.damage for damage in torn} == {"truncated_file", "comma_at_end_of_array"}
