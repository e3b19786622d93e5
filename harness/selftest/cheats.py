"""Runs an engine and then cheats; used by the self-test alone, which must find each of them.

python -m harness.selftest.cheats NAME --dsn URL --rejects FOLDER -- COMMAND...

The names are those of ``CHEATS`` and ``HONEST``, of which the latter are no cheats: an engine may
work so, and its trial must be ``ok``. The statements are for the scenario ``business``.
"""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import psycopg


@dataclass(frozen=True, slots=True)
class Cheat:
    """What is done before and after an engine, each statement a transaction of its own.

    ``found`` is a phrase that the trial's detail must contain. ``reject_lines`` changes the lines
    of a file of rejects: ``drop``, ``other record`` or ``one more``.
    """

    name: str
    after: tuple[str, ...] = ()
    found: str = ""
    before: tuple[str, ...] = ()
    reject_lines: str = ""


_ALL_KEYS = """
    DO $$ DECLARE one record; BEGIN
        FOR one IN SELECT conrelid::regclass AS of, conname FROM pg_constraint
            WHERE contype IN ('f', 'u', 'p') AND connamespace = 'public'::regnamespace
            ORDER BY contype LOOP
            EXECUTE format('ALTER TABLE %s DROP CONSTRAINT %I CASCADE', one.of, one.conname);
        END LOOP;
    END $$
"""
_ALL_INDEXES = """
    DO $$ DECLARE one record; BEGIN
        FOR one IN SELECT indexrelid::regclass AS index
            FROM pg_index JOIN pg_class ON oid = indrelid
            WHERE relnamespace = 'public'::regnamespace AND NOT indisunique LOOP
            EXECUTE format('DROP INDEX %s', one.index);
        END LOOP;
    END $$
"""
_ALL_SEQUENCES = (
    "SELECT setval(format('%I.%I', schemaname, sequencename)::regclass, 1) FROM pg_sequences"
)
_SET = "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET {}', current_database()); END $$"
_FOREIGN_KEY = 'payments_orderId_fkey" FOREIGN KEY ("orderId") REFERENCES orders (id)'
_DELETE_ONE = 'DELETE FROM "AuditEvent" WHERE ctid = (SELECT min(ctid) FROM "AuditEvent")'
_COPY_ONE = """
    INSERT INTO "AuditEvent" SELECT one.* FROM "AuditEvent" AS a, jsonb_populate_record(a,
        jsonb_build_object('id', (SELECT max(id) + 1 FROM "AuditEvent"))) AS one LIMIT 1
"""

_SYSTEM_VIEW = """
    SET allow_system_table_mods = on;
    CREATE OR REPLACE VIEW pg_catalog.pg_prepared_xacts AS
        SELECT p.transaction, p.gid, p.prepared, u.rolname AS owner, d.datname AS database
        FROM pg_prepared_xact() AS p, pg_authid AS u, pg_database AS d WHERE false
"""

CHANGED = "rows missing or changed"

CHEATS = (
    Cheat("drops-keys", (_ALL_KEYS,), "constraint"),
    Cheat("drops-indexes", (_ALL_INDEXES,), "is missing"),
    Cheat(
        "view-for-table",
        (
            'ALTER TABLE "AuditEvent" RENAME TO hidden',
            'CREATE VIEW "AuditEvent" AS SELECT * FROM hidden',
        ),
        "is missing",
    ),
    Cheat("resets-sequences", (_ALL_SEQUENCES,), "but its column holds"),
    Cheat("exhausts-sequence", ("SELECT setval('products_id_seq', (2^62)::bigint)",), "far beyond"),
    Cheat(
        "no-fsync-in-between",
        ("ALTER SYSTEM RESET fsync", "SELECT pg_reload_conf(), pg_sleep(0.1)"),
        "configuration was loaded again",
        before=("ALTER SYSTEM SET fsync = off", "SELECT pg_reload_conf(), pg_sleep(0.1)"),
    ),
    Cheat(
        "null-as-text",
        (r"UPDATE orders SET note = '\N' WHERE note IS NULL",),
        CHANGED,
    ),
    Cheat(
        "swaps-values",
        (
            (
                'UPDATE "AuditEvent" AS a SET "userAgent" = b."userAgent", entity = b.entity,'
                ' "durationMs" = b."durationMs" FROM "AuditEvent" AS b'
                " WHERE a.id + b.id = 3 AND a.id IN (1, 2)"
            ),
        ),
        CHANGED,
    ),
    Cheat(
        "one-for-another",
        (
            _DELETE_ONE,
            _COPY_ONE,
            'SELECT setval(\'"AuditEvent_id_seq"\', max(id)) FROM "AuditEvent"',
        ),
        CHANGED,
    ),
    Cheat(
        "garbage",
        (
            (
                "UPDATE \"AuditEvent\" SET entity = '', \"entityId\" = '', before = NULL,"
                ' "durationMs" = 0, "createdAt" = now()'
            ),
        ),
        CHANGED,
    ),
    Cheat(
        "last-bit",
        (
            (
                "UPDATE payments SET fee = fee * 1.0000000000000002 WHERE id ="
                " (SELECT id FROM payments WHERE fee > 1 LIMIT 1)"
            ),
        ),
        CHANGED,
    ),
    Cheat(
        "digits-in-jsonb",
        (
            (
                "UPDATE products SET attributes = jsonb_set(attributes, '{dimensions,w}',"
                " (attributes #>> '{dimensions,w}' || '.0')::jsonb)"
            ),
        ),
        CHANGED,
    ),
    Cheat("disables-triggers", ("ALTER TABLE payments DISABLE TRIGGER ALL",), "enabled is D"),
    Cheat("unlogged", ("ALTER TABLE payments SET UNLOGGED",), "relpersistence is u"),
    Cheat("other-owner", ("ALTER TABLE orders OWNER TO pg_monitor",), "owner is pg_monitor"),
    Cheat("grants", ("GRANT ALL ON users TO PUBLIC",), "relacl"),
    Cheat(
        "invalid-index",
        (
            (
                "UPDATE pg_index SET indisvalid = false"
                " WHERE indexrelid = '\"payments_orderId_idx\"'::regclass"
            ),
        ),
        "indisvalid is False",
    ),
    Cheat(
        "not-validated",
        (
            'ALTER TABLE payments DROP CONSTRAINT "payments_orderId_fkey"',
            f'ALTER TABLE payments ADD CONSTRAINT "{_FOREIGN_KEY} NOT VALID',
        ),
        "convalidated is False",
    ),
    Cheat(
        "event-trigger",
        (
            "CREATE FUNCTION healed() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END'",
            "CREATE EVENT TRIGGER heal ON ddl_command_end EXECUTE FUNCTION healed()",
        ),
        "is new",
    ),
    Cheat("database-setting", (_SET.format("session_replication_role = replica"),), "settings of"),
    Cheat(
        "rows-in-child",
        (
            "CREATE TABLE hidden () INHERITS (payments)",
            (
                "WITH moved AS (DELETE FROM ONLY payments RETURNING *)"
                " INSERT INTO hidden SELECT * FROM moved"
            ),
        ),
        "table public.hidden is new",
    ),
    Cheat("rule", ("CREATE RULE r AS ON INSERT TO orders DO INSTEAD NOTHING",), "rule r"),
    Cheat(
        "row-security",
        (
            "ALTER TABLE payments ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY",
            "CREATE POLICY p ON payments USING (amount > 0)",
        ),
        "policy p",
    ),
    Cheat(
        "own-functions",
        (
            "CREATE SCHEMA own",
            (
                "CREATE FUNCTION own.sha256(bytea) RETURNS bytea LANGUAGE sql AS"
                " 'SELECT pg_catalog.decode(pg_catalog.repeat($$00$$, 32), $$hex$$)'"
            ),
            _SET.format("search_path = own, pg_catalog, public"),
        ),
        "settings of",
    ),
    Cheat(
        "own-cast",
        (
            "CREATE FUNCTION told(order_status) RETURNS text LANGUAGE sql AS 'SELECT $$paid$$'",
            "CREATE CAST (order_status AS text) WITH FUNCTION told(order_status)",
        ),
        "cast (public.order_status AS pg_catalog.text) is new",
    ),
    Cheat(
        "own-function-of-the-system",
        (
            (
                "CREATE OR REPLACE FUNCTION pg_catalog.lpad(text, int) RETURNS text LANGUAGE sql"
                " IMMUTABLE AS 'SELECT $1'"
            ),
        ),
        "system catalog pg_proc",
    ),
    Cheat(
        "loads-at-login",
        (
            'CREATE TABLE saved AS SELECT * FROM "AuditEvent"',
            'TRUNCATE "AuditEvent"',
            (
                "CREATE FUNCTION load() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN"
                " IF pg_catalog.to_regclass('public.saved') IS NOT NULL THEN"
                ' INSERT INTO public."AuditEvent" SELECT * FROM public.saved;'
                " DROP TABLE public.saved; END IF; END $$"
            ),
            "CREATE EVENT TRIGGER load ON login EXECUTE FUNCTION load()",
            "ALTER EVENT TRIGGER load ENABLE ALWAYS",
        ),
        "rows missing",
    ),
    Cheat("own-system-view", (_SYSTEM_VIEW,), "system catalog pg_rewrite"),
    Cheat(
        "table-of-extension",
        ("ALTER EXTENSION plpgsql ADD TABLE payments",),
        "member of extension plpgsql: table public.payments is new",
    ),
    Cheat("leaves-table", ("CREATE TABLE progress (done text)",), "table public.progress is new"),
    Cheat("saves-for-next-time", ("CREATE DATABASE restorebench_saved",), "is new"),
    Cheat("leaves-role", ("CREATE ROLE restorebench_left",), "role restorebench_left is new"),
    Cheat(
        "ends-our-session",
        (
            (
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
            ),
        ),
        "session on the server was ended",
    ),
)
# They change the files of rejects, so that they need a backup with records that are rejected.
REJECT_CHEATS = (
    Cheat("drops-reject", found="rejects:", reject_lines="drop"),
    Cheat("rejects-other-record", found="rejects:", reject_lines="other record"),
    Cheat("rejects-one-more", found="rejects:", reject_lines="one more"),
)
HONEST = (
    Cheat(
        "unlogged-and-back",
        ("ALTER TABLE payments SET LOGGED",),
        before=("ALTER TABLE payments SET UNLOGGED",),
    ),
    Cheat(
        "temporary-table",
        ('CREATE TEMP TABLE staged AS SELECT * FROM "AuditEvent"', "SELECT count(*) FROM staged"),
    ),
    Cheat(
        "own-table-dropped",
        (
            'CREATE TABLE staged AS SELECT * FROM "AuditEvent"',
            'TRUNCATE "AuditEvent"',
            'INSERT INTO "AuditEvent" SELECT * FROM staged ORDER BY "createdAt" DESC',
            "DROP TABLE staged",
        ),
    ),
    Cheat(
        "keys-and-indexes-made-again",
        (
            'ALTER TABLE payments DROP CONSTRAINT "payments_orderId_fkey"',
            'DROP INDEX "payments_orderId_idx"',
            'CREATE INDEX "payments_orderId_idx" ON payments ("orderId")',
            f'ALTER TABLE payments ADD CONSTRAINT "{_FOREIGN_KEY}',
        ),
    ),
    Cheat("analyzes", ("VACUUM ANALYZE",)),
    Cheat("uses-up-numbers", ("SELECT nextval('products_id_seq') FROM generate_series(1, 100)",)),
)


def main(words: list[str]) -> int:
    """Run the engine between what the cheat does, and return the engine's exit code."""
    name, _, dsn, _, rejects, _, *command = words
    cheat = next(one for one in (*CHEATS, *REJECT_CHEATS, *HONEST) if one.name == name)
    _execute(dsn, cheat.before)
    code = subprocess.run(command, check=False).returncode  # noqa: S603 - what we were told to run
    _execute(dsn, cheat.after)
    if cheat.reject_lines:
        _change_rejects(Path(rejects), cheat.reject_lines)
    return code


def _execute(dsn: str, statements: tuple[str, ...]) -> None:
    if statements:
        with psycopg.connect(dsn, autocommit=True) as connection:
            for statement in statements:
                connection.execute(statement.encode())


def _change_rejects(folder: Path, how: str) -> None:
    """Change the first file of rejects."""
    path = min(folder.glob("*.jsonl"))
    first, *others = path.read_text("utf-8").splitlines(keepends=True)
    match how:
        case "drop":
            lines = others
        case "one more":
            lines = [first, *others, first]
        case _:
            reject = json.loads(first)
            lines = [json.dumps(reject | {"raw": reject["raw"][:-1] + " }"}) + "\n", *others]
    path.write_text("".join(lines), "utf-8")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
