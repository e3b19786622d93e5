"""The engine floor: the rows of the ground truth, sent as they are, and all else as it was."""

from __future__ import annotations

import dataclasses
import subprocess
from typing import TYPE_CHECKING, Any

import msgspec
import psycopg
import pytest

from harness.bench.prepare import prepare
from harness.engines import registry as engines
from harness.engines.floor import constraints, encode, encoded
from harness.engines.floor import sessions as floor_sessions
from harness.engines.floor.run import Floor
from harness.generate import DatasetSpec, cached
from harness.model import manifest
from harness.model.errors import HarnessError
from harness.trial import attempt as trial
from harness.trial import verify
from harness.trial.meter import Limits

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from conftest import Database
    from harness.model.manifest import Manifest
    from harness.servers import RunningServer
    from harness.trial.attempt import TrialContext

ROWS = 2000
# All that a restore takes away and makes again, and what it could move.
SCHEMA = """
    SELECT 'constraint', conrelid::regclass::text, conname, pg_get_constraintdef(oid),
        convalidated::text, obj_description(oid, 'pg_constraint')
    FROM pg_constraint WHERE connamespace = 'public'::regnamespace
    UNION ALL
    SELECT 'index', i.indrelid::regclass::text, c.relname, pg_get_indexdef(c.oid),
        concat_ws(' ', indisprimary, indisunique, indimmediate, indisvalid, indisready,
            indisreplident, indisclustered), obj_description(c.oid, 'pg_class')
    FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
    WHERE c.relnamespace = 'public'::regnamespace
    UNION ALL
    SELECT 'column', attrelid::regclass::text, attname, format_type(atttypid, atttypmod),
        concat_ws(' ', attnum, attnotnull, attidentity, attgenerated),
        pg_get_expr(d.adbin, d.adrelid)
    FROM pg_attribute a JOIN pg_class c ON c.oid = attrelid
    LEFT JOIN pg_attrdef d ON d.adrelid = attrelid AND d.adnum = attnum
    WHERE c.relnamespace = 'public'::regnamespace AND attnum > 0 AND c.relkind = 'r'
    UNION ALL
    SELECT 'trigger', tgrelid::regclass::text, tgname, pg_get_triggerdef(oid), tgenabled::text, NULL
    FROM pg_trigger WHERE NOT tgisinternal
    ORDER BY 1, 2, 3, 4
"""
SEQUENCES = "SELECT sequencename, last_value FROM pg_sequences ORDER BY 1"
STATISTICS = "SELECT tablename, attname FROM pg_stats WHERE schemaname = 'public' ORDER BY 1, 2"


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("floor")


@pytest.fixture(scope="session")
def business(cache: Path) -> Path:
    return cached(DatasetSpec(rows=ROWS), cache)


def prepared(
    server: RunningServer,
    backup: Path,
    truth: manifest.Manifest,
    cache: Path,
    announce: Callable[[str], None] = print,
) -> Path:
    context = trial.TrialContext(server, backup, truth, Limits(60))
    [made] = prepare([engines.named("floor")], context, cache, announce).values()
    if isinstance(made, HarnessError):
        raise made
    return made


@pytest.fixture
def make(server: RunningServer, cache: Path) -> Callable[[Path], Path]:
    """Return what encodes a dataset."""

    def encoded_at(backup: Path) -> Path:
        return prepared(server, backup, manifest.load(backup), cache)

    return encoded_at


def rows(database: Database, query: str) -> list[tuple[Any, ...]]:
    return database.connect().execute(query.encode()).fetchall()


def apply(database: Database, backup: Path) -> None:
    database.connect().execute((backup / manifest.SCHEMA_SQL).read_bytes())


def wrong(database: Database, backup: Path) -> list[str]:
    return [
        result.table
        for result in verify.verify(database.connect(), backup, manifest.load(backup))
        if not result.checksum_match
    ]


def shrink_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have tables of a few rows in several parts."""
    monkeypatch.setattr(encoded, "PART_BYTES", 64 << 10)


@pytest.mark.slow
@pytest.mark.parametrize("jobs", [1, 2, 4])
def test_all_is_there_and_nothing_but_the_rows_is_new(
    business: Path,
    make: Callable[[Path], Path],
    database: Database,
    monkeypatch: pytest.MonkeyPatch,
    jobs: int,
) -> None:
    shrink_parts(monkeypatch)
    apply(database, business)
    before = rows(database, SCHEMA)
    assert {kind for kind, *_ in before} == {"constraint", "index", "column"}
    loaded = Floor(make(business), database.dsn, jobs).run()
    assert rows(database, SCHEMA) == before
    truth = manifest.load(business)
    assert wrong(database, business) == []
    assert loaded.rows == {table.table: table.rows for table in truth.tables}
    assert list(loaded.phases_s) == [
        *("aside", "first copy", "load", "indexes", "foreign keys", "flush")
    ]


@pytest.mark.slow
def test_it_leaves_what_restore_leaves(
    business: Path, make: Callable[[Path], Path], server: RunningServer, tmp_path: Path
) -> None:
    """Sequences and statistics too: else it would be quicker by what it does not do."""
    found = []
    for name in ("restore", "floor"):
        with server.database((business / manifest.SCHEMA_SQL).read_text()) as dsn:
            values = {
                "backup": str(business),
                "prepared": str(make(business)),
                "dsn": dsn,
                "report": str(tmp_path / name),
                "rejects": str(tmp_path / "rejects"),
                "jobs": "1",
            }
            argv = engines.named(name).argv(values)
            subprocess.run(argv, env=engines.environment(server.env), check=True)
            with server.connect(trial.database_of(dsn)) as target:
                found.append([target.execute(q).fetchall() for q in (SEQUENCES, STATISTICS)])
    assert found[0] == found[1]
    assert all(found[0])


def test_parts_hold_the_rows_in_the_order_in_which_they_lay(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shrink_parts(monkeypatch)
    connection = database.connect()
    connection.execute("CREATE TABLE numbers AS SELECT i FROM generate_series(1, 9000) i")
    connection.execute("DELETE FROM numbers WHERE i % 7 = 0 OR i BETWEEN 2000 AND 6000")
    lay = rows(database, "SELECT i FROM numbers ORDER BY ctid")
    encode.copy_out(connection, [("public", "numbers")], tmp_path)
    [table] = encoded.load(tmp_path).tables
    assert len(table.parts) > 2
    Floor(tmp_path, database.dsn, jobs=1).run()  # which empties the table first
    assert rows(database, "SELECT i FROM numbers ORDER BY ctid") == lay


@pytest.mark.slow
def test_it_is_made_once(
    business: Path, server: RunningServer, cache: Path, tmp_path: Path
) -> None:
    truth = manifest.load(business)
    said: list[str] = []
    first = prepared(server, business, truth, tmp_path, said.append)
    assert said == ["preparing the dataset for floor, once"]
    index = (first / encoded.INDEX).stat()
    assert prepared(server, business, truth, tmp_path, said.append) == first
    assert len(said) == 1
    assert (first / encoded.INDEX).stat() == index


@pytest.mark.slow
def test_what_differs_from_the_ground_truth_is_no_floor(
    dataset: Path, server: RunningServer, tmp_path: Path
) -> None:
    truth = manifest.load(dataset)
    owners, pets = truth.tables
    lie = msgspec.structs.replace(
        truth, tables=(owners, msgspec.structs.replace(pets, checksum="1"))
    )
    with pytest.raises(HarnessError, match="pets differs from the ground truth"):
        prepared(server, dataset, lie, tmp_path)
    [out] = (tmp_path / "prepared").iterdir()
    assert list(out.iterdir()) == []


@pytest.mark.slow
def test_what_a_killed_one_left_is_cleared_away(
    dataset: Path, server: RunningServer, tmp_path: Path
) -> None:
    truth = manifest.load(dataset)
    folder = prepared(server, dataset, truth, tmp_path)
    folder.rename(folder.with_name("partial"))
    (folder.with_name("partial") / encoded.INDEX).unlink()
    (folder.with_name("partial") / "stale.copy").touch()
    assert prepared(server, dataset, truth, tmp_path) == folder
    assert [path.name for path in folder.parent.iterdir()] == ["final"]
    assert not (folder / "stale.copy").exists()


@pytest.mark.slow
def test_damaged_datasets_have_the_floor_of_what_can_be_restored(
    damaged_dataset: Path, make: Callable[[Path], Path], context_of: Callable[..., TrialContext]
) -> None:
    context = dataclasses.replace(context_of(damaged_dataset), prepared=make(damaged_dataset))
    tried = trial.attempt(engines.named("floor"), context)
    assert [(table.table, table.found) for table in tried.tables] == [("owners", 2), ("pets", 3)]
    assert all(table.checksum_match for table in tried.tables)


ODD = """
    CREATE TABLE parents (
        id int PRIMARY KEY DEFERRABLE INITIALLY DEFERRED, code text,
        UNIQUE (code) INCLUDE (id), CONSTRAINT "odd ""name" UNIQUE (id, code) DEFERRABLE
    );
    CREATE TABLE "Odd %s {} kids" (
        id int GENERATED ALWAYS AS IDENTITY (START 5) PRIMARY KEY,
        parent int, twice int GENERATED ALWAYS AS (amount * 2) STORED, amount int NOT NULL,
        label text DEFAULT 'x', self int REFERENCES "Odd %s {} kids" ON DELETE SET NULL,
        EXCLUDE USING btree (amount WITH =)
    );
    CREATE UNIQUE INDEX parents_ref ON parents (id);
    ALTER TABLE "Odd %s {} kids" ADD FOREIGN KEY (parent) REFERENCES parents (id) NOT VALID;
    CREATE INDEX "lower {}" ON "Odd %s {} kids" (lower(label) text_pattern_ops) WHERE amount > 0;
    CREATE INDEX told ON "Odd %s {} kids" (parent);
    COMMENT ON INDEX told IS 'as it was';
    CREATE UNIQUE INDEX mark ON "Odd %s {} kids" (amount);
    ALTER TABLE "Odd %s {} kids" REPLICA IDENTITY USING INDEX mark;
    CREATE FUNCTION spoil() RETURNS trigger LANGUAGE plpgsql AS
        'BEGIN NEW.label := ''spoilt''; RETURN NEW; END';
    CREATE TRIGGER spoil BEFORE INSERT ON "Odd %s {} kids"
        FOR EACH ROW WHEN (NEW.label IS NOT NULL) EXECUTE FUNCTION spoil();
    CREATE TRIGGER always BEFORE INSERT ON "Odd %s {} kids"
        FOR EACH ROW EXECUTE FUNCTION spoil();
    ALTER TABLE "Odd %s {} kids" ENABLE ALWAYS TRIGGER always;
"""
FILL = """
    INSERT INTO parents SELECT i, 'c' || i FROM generate_series(1, 500) i;
    INSERT INTO "Odd %s {} kids" (parent, amount, self)
    SELECT i, i, 5 FROM generate_series(1, 500) i;
    UPDATE "Odd %s {} kids" SET label = 'x';
"""


def test_odd_tables_come_back_as_they_were(database: Database, tmp_path: Path) -> None:
    connection = database.connect()
    connection.execute(ODD.encode())
    connection.execute(FILL.encode())
    before = rows(database, SCHEMA)
    content = rows(database, 'SELECT * FROM "Odd %s {} kids"')
    truth = manifest_of("parents", "Odd %s {} kids")
    encode.copy_out(connection, [table.name for table in truth.tables], tmp_path)
    connection.execute('TRUNCATE parents, "Odd %s {} kids" RESTART IDENTITY')
    Floor(tmp_path, database.dsn, jobs=2).run()
    assert rows(database, SCHEMA) == before
    assert rows(database, 'SELECT * FROM "Odd %s {} kids"') == content
    assert rows(database, SEQUENCES) == [("Odd %s {} kids_id_seq", 504)]


def manifest_of(*names: str) -> Manifest:
    tables = tuple(
        manifest.Table(table=name, file="", records=0, bytes=0, rows=0, checksum="0", columns=())
        for name in names
    )
    return manifest.Manifest(
        schema=manifest.SCHEMA_VERSION,
        generator="hand",
        scenario="odd",
        rows=0,
        seed=0,
        faults="none",
        style="lines",
        compress="none",
        json_bytes=0,
        tables=tables,
    )


def test_while_it_loads_nothing_is_indexed_or_checked(business: Path, database: Database) -> None:
    apply(database, business)
    connection = database.connect()
    tables = rows(
        database,
        "SELECT oid::bigint FROM pg_class WHERE relkind = 'r' AND"
        " relnamespace = 'public'::regnamespace",
    )
    dropped = constraints.drop_keys(connection, [number for (number,) in tables])
    left = rows(
        database,
        "SELECT indexrelid::regclass::text FROM pg_index JOIN pg_class c ON c.oid = indrelid"
        " WHERE c.relnamespace = 'public'::regnamespace UNION ALL SELECT conname FROM pg_constraint"
        " WHERE contype IN ('p', 'u', 'f') AND connamespace = 'public'::regnamespace",
    )
    assert left == []
    assert len(dropped.foreign_keys) == (business / manifest.SCHEMA_SQL).read_text().count(
        " REFERENCES "
    )
    assert len(dropped.indexes) > 20


def test_a_target_that_differs_is_an_error_and_ends(
    business: Path, make: Callable[[Path], Path], database: Database
) -> None:
    apply(database, business)
    folder = make(business)
    database.connect().execute("ALTER TABLE payments DROP COLUMN fee")
    with pytest.raises(psycopg.errors.UndefinedColumn):
        Floor(folder, database.dsn, jobs=2).run()
    database.connect().execute("DROP TABLE payments")
    with pytest.raises(HarnessError, match="no table payments"):
        Floor(folder, database.dsn, jobs=2).run()


@pytest.mark.parametrize(
    ("index", "says"),
    [
        (None, "is no encoded dataset"),
        (b"{}", "is no index"),
        (b'{"version": 0, "tables": []}', "version 0"),
    ],
)
def test_a_folder_that_is_no_encoded_dataset_is_refused(
    tmp_path: Path, index: bytes | None, says: str
) -> None:
    if index is not None:
        (tmp_path / encoded.INDEX).write_bytes(index)
    with pytest.raises(HarnessError, match=says):
        encoded.load(tmp_path)


@pytest.mark.slow
def test_its_start_up_is_reported_apart(
    business: Path, make: Callable[[Path], Path], context_of: Callable[..., TrialContext]
) -> None:
    context = dataclasses.replace(context_of(business), prepared=make(business))
    tried = trial.attempt(engines.named("floor"), context)
    report = msgspec.json.decode(tried.report)
    assert tried.outcome.wall_s is not None
    # Before it looks at the clock itself, the interpreter has started and psycopg is imported.
    assert report["phases_s"]["first copy"] < report["start_up_s"] < tried.outcome.wall_s


def test_one_job_builds_indexes_in_one_session(
    business: Path,
    make: Callable[[Path], Path],
    database: Database,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sessions: list[dict[str, str] | None] = []
    connect = floor_sessions.connect

    def counted(dsn: str, settings: dict[str, str] | None = None) -> floor_sessions.Connection:
        sessions.append(settings)
        return connect(dsn, settings)

    monkeypatch.setattr(floor_sessions, "connect", counted)
    apply(database, business)
    Floor(make(business), database.dsn, jobs=1).run()
    builders = [settings for settings in sessions if settings]
    assert builders == [{"max_parallel_maintenance_workers": "0"}]
    assert len(sessions) == 2  # the other one sends
