"""Backups are adopted on a real server, and measured like any other dataset."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from harness.adopt import dataset, schema
from harness.cli.app import main
from harness.engines.registry import named
from harness.model import manifest
from harness.model.errors import InputError
from harness.model.record import Status, Trial
from harness.trial import attempt as trial
from harness.trial.attempt import TrialContext
from harness.trial.meter import Limits

if TYPE_CHECKING:
    from pathlib import Path

    from harness.servers import RunningServer

SCHEMA = """
CREATE SCHEMA billing;
CREATE TYPE mood AS ENUM ('calm', 'wild');
CREATE DOMAIN price AS numeric(8, 2) CHECK (VALUE >= 0);
CREATE FUNCTION shout() RETURNS trigger LANGUAGE plpgsql AS
    'BEGIN NEW.name := upper(NEW.name); RETURN NEW; END';
CREATE TABLE users (
    id integer PRIMARY KEY, name text NOT NULL, mood mood, born timestamp, photo bytea,
    seen timestamptz, tags text[], extra jsonb, raw json,
    boss integer REFERENCES users, created timestamptz NOT NULL DEFAULT clock_timestamp(),
    label text GENERATED ALWAYS AS (id || name) STORED
);
CREATE TRIGGER shout BEFORE INSERT ON users FOR EACH ROW EXECUTE FUNCTION shout();
CREATE TABLE billing.invoices (
    number text, year integer, owner integer NOT NULL REFERENCES users, total price,
    PRIMARY KEY (number, year)
) PARTITION BY RANGE (year);
CREATE TABLE billing.invoices_old PARTITION OF billing.invoices DEFAULT;
CREATE TABLE billing.invoices_new PARTITION OF billing.invoices FOR VALUES FROM (2020) TO (2030);
CREATE VIEW loud AS SELECT upper(name) FROM users;
"""
USERS: list[dict[str, Any]] = [
    {
        "id": 1,
        "name": "Ann",
        "mood": "calm",
        "born": "1970-01-01T01:00:00+01:00",
        "photo": {"type": "Buffer", "data": [1, 2]},
        "seen": 1700000000123,
        "tags": ["a", None],
        "extra": {"n": 1.10},
        "raw": {"b": 1},
        "boss": None,
    },
    {"id": 2, "name": "Ben", "boss": 99},
    {"id": 3, "name": "Cid", "boss": 2},
    {"id": 1, "name": "Ann again"},
    {"id": 4, "name": "Dan", "mood": "angry"},
    {"id": 5, "name": None},
    {"id": 6, "name": "Eve", "unknown": 1, "boss": 1},
]
INVOICES = [
    {"number": "a", "year": 2024, "owner": 1, "total": "1.50"},
    {"number": "b", "year": 1999, "owner": 6, "total": 2},
    {"number": "c", "year": 2024, "owner": 3, "total": 3},
    {"number": "d", "year": 2024, "owner": 1, "total": 1.005},
    {"number": "e", "year": 2024, "owner": 1, "total": -1},
]
# Orphans fall with their parents: 1 (Ben has no boss), 2 (Cid's is Ben), and invoice c with Cid.
LOST = {
    "users": {1: "orphan", 2: "orphan", 3: "duplicate_key", 4: "value", 5: "null"},
    "invoices": {2: "orphan", 3: "value", 4: "check"},
}


@pytest.fixture
def backup(tmp_path: Path) -> Path:
    folder = tmp_path / "backup"
    folder.mkdir()
    (folder / "users.json").write_text(json.dumps(USERS, indent=1))
    (folder / "billing.invoices.jsonl").write_text("\n".join(map(json.dumps, INVOICES)))
    return folder


def adopted(server: RunningServer, backup: Path, sql: str = SCHEMA) -> Path:
    return dataset.adopt(backup, sql, server, backup.parent / "shop", lambda _: None)


def test_the_truth_is_what_a_perfect_restore_loads(server: RunningServer, backup: Path) -> None:
    truth = manifest.load(adopted(server, backup))
    found: dict[str, dict[int | None, str]] = {}
    for damage in truth.lost:
        found.setdefault(damage.table, {})[damage.ordinal] = damage.damage
    assert found == LOST
    assert {table.name: (table.records, table.rows) for table in truth.tables} == {
        ("public", "users"): (7, 2),
        ("billing", "invoices"): (5, 2),
    }
    left_out = {line.partition(":")[0] for line in truth.unverified}
    assert left_out == {"users.raw", "users.created"}
    assert truth.dataset().content == truth.content is not None


@pytest.mark.slow
def test_restore_ends_as_the_independent_truth_says(server: RunningServer, backup: Path) -> None:
    folder, engine = adopted(server, backup), named("restore")
    context = TrialContext(server, folder, manifest.load(folder), Limits(60))
    blank = Trial(
        engine="restore", round=1, warmup=False, status=Status.SKIPPED, started_at=trial.now()
    )
    made = trial.record(blank, engine, context.manifest, trial.attempt(engine, context))
    assert made.status is Status.OK, made.detail
    assert (made.restored, made.exit_code) == (4, 3)


def test_the_backup_is_linked_and_a_change_refused(server: RunningServer, backup: Path) -> None:
    folder = adopted(server, backup)
    truth = manifest.load(folder)
    assert (folder / "users.json").samefile(backup / "users.json")
    manifest.check_unchanged(folder, truth)
    with (backup / "users.json").open("a") as file:
        file.write(" ")
    with pytest.raises(InputError, match="has changed since it was adopted"):
        manifest.check_unchanged(folder, truth)


@pytest.mark.parametrize(
    ("file", "text", "says"),
    [
        ("ghosts.json", "[]", "no table for ghosts"),
        ("User.json", '[{"id": 9, "name": "x"}]', "two lists of records are for public.users"),
        ("invoices.json", "[]", "no table for invoices"),
    ],
)
def test_what_does_not_fit_is_refused(
    server: RunningServer, backup: Path, file: str, text: str, says: str
) -> None:
    (backup / file).write_text(text)
    with pytest.raises(InputError, match=says):
        adopted(server, backup)
    assert not list((backup.parent / "shop").glob("*/manifest.json"))


def test_what_cannot_be_decided_is_said(server: RunningServer, backup: Path) -> None:
    (backup / "users.json").write_text('[{"id": 1, "name": "x", "photo": "deadbeef"}]')
    with pytest.raises(InputError, match=r"users\.photo .* hex or base64"):
        adopted(server, backup)


def test_a_schema_with_rows_is_refused(server: RunningServer, backup: Path) -> None:
    with pytest.raises(InputError, match=r"the schema fills public\.users"):
        adopted(server, backup, f"{SCHEMA} INSERT INTO users VALUES (1, 'x');")


@pytest.mark.slow
def test_a_schema_comes_from_a_database_as_it_is(
    server: RunningServer, database: Any, backup: Path
) -> None:
    if server.pid is None:
        pytest.skip("pg_dump is taken from the embedded server")
    database.connect().execute(SCHEMA.encode())
    sql = schema.from_database(database.dsn, server.pid)
    assert "\\restrict" not in sql
    truth = manifest.load(adopted(server, backup, sql))
    assert sum(table.rows for table in truth.tables) == 4


def test_a_schema_file_of_pg_dump_is_read_and_one_with_data_refused(tmp_path: Path) -> None:
    path = tmp_path / "schema.sql"
    path.write_text("\\restrict abc\nCREATE TABLE t (a int);\n\\unrestrict abc\n")
    assert schema.from_file(path).split() == ["CREATE", "TABLE", "t", "(a", "int);"]
    path.write_text("COPY public.t (a) FROM stdin;\n1\n\\.\n")
    with pytest.raises(InputError, match="schema-only"):
        schema.from_file(path)


def test_a_dsn_that_makes_no_sense_shows_no_password() -> None:
    with pytest.raises(InputError) as caught:
        schema.from_database("postgresql://me:sesame@[", None)
    assert "sesame" not in str(caught.value)


@pytest.mark.parametrize("name", ["../shop", "shop/../x", "-x", "a" * 41])
def test_a_name_that_leads_to_another_folder_is_refused(
    tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "schema.sql").write_text("CREATE TABLE pets (id integer)")
    schema = str(tmp_path / "schema.sql")
    assert main(["adopt", str(tmp_path), "--schema", schema, f"--name={name}"]) == 2
    assert f"--name {name}: write letters, digits" in capsys.readouterr().err
