"""Verification against a ground truth that was written by hand."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import psycopg
import pytest

from harness.model import manifest
from harness.model.errors import InputError
from harness.servers.errors import ServerError
from harness.trial import row_hash, verify
from harness.trial.attempt import database_of
from harness.trial.judge import difference

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from harness.servers import RunningServer

# The target's other table, which is empty.
NO_ROWS = row_hash.TableTruth((manifest.Column("entry", "text"),), 0, "0" * 64)
OTHERS = {("public", "journal"): NO_ROWS}
CHANGED = "{0} of {1} rows missing or changed, {0} rows that are not of the backup"
INSERT = "INSERT INTO {0} SELECT * FROM json_populate_recordset(null::{0}, %s)"


@pytest.fixture
def target(server: RunningServer, dataset: Path) -> Iterator[verify.Connection]:
    """Have a database that holds exactly what the dataset says."""
    with contextlib.ExitStack() as stack:
        dsn = stack.enter_context(server.database((dataset / "schema.sql").read_text()))
        connection = stack.enter_context(server.connect(database_of(dsn)))
        for table in ("owners", "pets"):
            records = (dataset / f"{table}.json").read_text()
            connection.execute(INSERT.format(table).encode(), [records])
        yield connection


def differences(target: verify.Connection, dataset: Path) -> dict[str, str | None]:
    results = verify.verify(target, dataset, manifest.load(dataset), OTHERS)
    return {result.table: difference(result) for result in results}


def test_a_right_target_is_right(target: verify.Connection, dataset: Path) -> None:
    assert differences(target, dataset) == {"owners": None, "pets": None}


def test_the_truth_of_a_table_is_read_from_it(target: verify.Connection, dataset: Path) -> None:
    """The same as was written by hand: columns, rows, checksum, and each row's hash."""
    truth = manifest.load(dataset)
    for table in truth.tables:
        found = row_hash.truth_of(target, table.name)
        assert found == (table.columns, table.rows, table.checksum)
        hashes = row_hash.row_hashes(target, table.name, found.columns)
        kept = manifest.row_hashes(dataset, truth, table.table)
        assert sorted(hashes) == sorted(kept[at : at + 8] for at in range(0, len(kept), 8))
    others = verify.other_tables(target, truth)
    assert others == OTHERS


@pytest.mark.slow
@pytest.mark.parametrize(
    "setting",
    [
        "timezone = 'Asia/Kathmandu'",
        "datestyle = 'SQL, DMY'",
        "extra_float_digits = -15",
        "standard_conforming_strings = off",
        "search_path = ''",
        "bytea_output = escape",
    ],
)
def test_the_sessions_settings_do_not_matter(
    target: verify.Connection, dataset: Path, setting: str
) -> None:
    if "standard" in setting and target.info.server_version >= 190000:
        pytest.skip("PostgreSQL 19 cannot turn it off")
    target.execute(f"SET {setting}".encode())
    assert differences(target, dataset) == {"owners": None, "pets": None}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("statement", "table", "says"),
    [
        ("UPDATE pets SET price = 10.51 WHERE id = 1", "pets", CHANGED.format(1, 3)),
        ("UPDATE pets SET price = 0 WHERE price IS NULL", "pets", CHANGED.format(1, 3)),
        ("UPDATE owners SET born = born + interval '1 us'", "owners", CHANGED.format(1, 2)),
        ("UPDATE owners SET \"fullName\" = ''", "owners", CHANGED.format(1, 2)),
        ("UPDATE owners SET tags = '{a,\"\",NULL}' WHERE mood = 'wild'", "owners", "1 of 2 rows"),
        ("UPDATE owners SET tags = '{{a,NULL,\"\"}}' WHERE mood = 'wild'", "owners", "1 of 2 rows"),
        ("UPDATE owners SET tags = NULL WHERE mood IS NULL", "owners", CHANGED.format(1, 2)),
        ("UPDATE owners SET photo = '' WHERE mood IS NULL", "owners", CHANGED.format(1, 2)),
        ("UPDATE owners SET weight = 0.1::float4 WHERE weight > 0", "owners", "1 of 2 rows"),
        ("UPDATE owners SET extra = 'null' WHERE extra IS NULL", "owners", CHANGED.format(1, 2)),
        ('UPDATE owners SET extra = \'{"b": [1.0, 2], "aa": null}\'', "owners", "2 of 2 rows"),
        ("UPDATE pets SET weights = '{0.12300000000000001}'", "pets", CHANGED.format(3, 3)),
        ("UPDATE pets SET weights = '[0:0]={0.123}' WHERE id = 1", "pets", CHANGED.format(1, 3)),
        ("UPDATE pets SET price = price + 1", "pets", CHANGED.format(2, 3)),
        (
            "UPDATE pets SET price = (SELECT price FROM pets p WHERE p.id = 3 - pets.id)",
            "pets",
            CHANGED.format(3, 3),
        ),
        ("DELETE FROM pets WHERE id = 2", "pets", "1 of 3 rows missing"),
        ("INSERT INTO pets VALUES (4)", "pets", "1 extra rows"),
        ("ALTER TABLE pets DROP COLUMN price", "pets", "column t.price does not exist"),
        ("DROP TABLE pets", "pets", 'relation "public.pets" does not exist'),
        ("ALTER TABLE pets ALTER price TYPE bool USING true", "pets", CHANGED.format(3, 3)),
        ("INSERT INTO journal VALUES ('x')", "public.journal", "rows changed in a table that"),
    ],
)
def test_what_differs_is_said(
    target: verify.Connection, dataset: Path, statement: str, table: str, says: str
) -> None:
    expected: dict[str, object] = {"owners": None, "pets": None}
    target.execute(statement.encode())
    found = differences(target, dataset)
    assert says in (found[table] or "")
    assert {**found, table: None} == {**expected, table: None}


def test_a_doubled_row_that_replaces_another_is_seen(
    target: verify.Connection, dataset: Path
) -> None:
    target.execute("ALTER TABLE pets DROP CONSTRAINT pets_pkey")
    target.execute("UPDATE pets SET id = 1, owner = (SELECT owner FROM pets WHERE id = 1)")
    assert differences(target, dataset)["pets"] == CHANGED.format(2, 3)


def test_a_session_that_does_not_end_is_an_error(
    server: RunningServer, target: verify.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verify, "END_PATIENCE_S", -1.0)
    with server.connect(target.info.dbname) as other:
        with pytest.raises(ServerError, match=f"did not end .*: {other.info.backend_pid};"):
            verify.end_sessions(target)
        with pytest.raises(psycopg.OperationalError):
            other.execute("SELECT")


def test_names_are_never_sql(server: RunningServer) -> None:
    name = 'Robert"); DROP TABLE "x'
    quoted = '"' + name.replace('"', '""') + '"'
    with (
        server.database(f"CREATE TABLE {quoted} ({quoted} text)") as dsn,
        server.connect(database_of(dsn)) as target,
    ):
        target.execute(f"INSERT INTO {quoted} VALUES ('a')".encode())
        found = row_hash.truth_of(target, ("public", name))
    assert (found.rows, found.columns) == (1, (manifest.Column(name, "text"),))


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (None, "is not a dataset: it has no manifest.json"),
        ("{", "is not a valid manifest"),
        ('{"schema": 1}', "is not a valid manifest"),
    ],
)
def test_a_bad_manifest_is_one_clear_line(tmp_path: Path, content: str | None, says: str) -> None:
    if content is not None:
        (tmp_path / "manifest.json").write_text(content)
    with pytest.raises(InputError, match=says) as raised:
        manifest.load(tmp_path)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ('"schema": 2', '"schema": 1', "has schema 1, and this program reads 2"),
        ('"records": 3', '"records": 4', "inconsistent"),
    ],
)
def test_a_manifest_that_lies_is_refused(dataset: Path, old: str, new: str, says: str) -> None:
    path = dataset / "manifest.json"
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(InputError, match=says):
        manifest.load(dataset)
