"""Records a restore's progress in the target, in the transactions that load its rows.

However a restore ends, the journal guarantees that every record before a place in its file is in
its table or among the rejects: this is committed with the rows, or not at all. So another process
can continue from there. The journal is in schema ``restore_journal``, beside the list of dropped
objects, and is dropped when the restore has finished.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import msgspec
from msgspec import Struct, field

from restore.errors import LoadError
from restore.report.model import TableReport
from restore.target.catalog import Table
from restore.target.own_rows import MAKE
from restore.target.trust import check_journal_trusted, revoke_default_grants, writer_of_all

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterable, Sequence

    import psycopg

    from restore.plan.order import Load

Phase = Literal["loading", "ordered", "loaded", "reloaded", "taken", "finished", "retried"]
"""How far the load of a table is; see ``schedule.phases``."""

# Notes of another form are not read: then this restore was begun by another version.
_FORMAT = 4
_MAKE = """
    CREATE SCHEMA IF NOT EXISTS restore_journal;
    DROP TABLE IF EXISTS restore_journal.restore, restore_journal.loads, restore_journal.shards,
        restore_journal.restore_writes, restore_journal.restore_ticks, restore_journal.orphans,
        restore_journal.rejects;
    CREATE TABLE restore_journal.restore (
        format int NOT NULL, begun timestamptz NOT NULL DEFAULT now(), backup text NOT NULL,
        rejects text NOT NULL, options text NOT NULL
    );
    CREATE TABLE restore_journal.loads (
        oid oid PRIMARY KEY, place int NOT NULL, file text NOT NULL, file_bytes bigint NOT NULL,
        version text NOT NULL, definition text NOT NULL,
        phase text NOT NULL DEFAULT 'loading', report text,
        rejects_bytes bigint NOT NULL DEFAULT 0, restarts int NOT NULL DEFAULT 0
    );
    CREATE TABLE restore_journal.shards (
        oid oid, start bigint, stop bigint, position bigint NOT NULL, ended boolean NOT NULL,
        holds boolean NOT NULL, report text NOT NULL,
        rejects_bytes bigint NOT NULL, hashed bigint NOT NULL, hash text NOT NULL,
        PRIMARY KEY (oid, start)
    );
    CREATE TABLE restore_journal.rejects (
        oid oid, start bigint, place bigint, lines bytea NOT NULL, PRIMARY KEY (oid, start, place)
    );
"""
_IS_THERE = "SELECT to_regclass('restore_journal.restore') IS NOT NULL"
_BEGIN = """
    INSERT INTO restore_journal.restore (format, backup, rejects, options) VALUES (%s, %s, %s, %s)
"""
_PUT_LOAD = """
    INSERT INTO restore_journal.loads (oid, place, file, file_bytes, version, definition)
    VALUES (%s, %s, %s, %s, %s, %s)
"""
_BEGUN = "SELECT format, begun, backup, rejects, options FROM restore_journal.restore"
_LOADS = """
    SELECT oid, file, file_bytes, version, definition, phase, report, rejects_bytes
    FROM restore_journal.loads ORDER BY place
"""
_SHARDS = """
    SELECT start, stop, position, ended, holds, report, rejects_bytes, hashed, hash
    FROM restore_journal.shards WHERE oid = %s ORDER BY start
"""
_RESTARTS = "SELECT restarts FROM restore_journal.loads WHERE oid = %s"
_SHARD = """
    SELECT start, stop, position, ended, holds, s.report, s.rejects_bytes, hashed, hash
    FROM restore_journal.loads l LEFT JOIN restore_journal.shards s ON (s.oid, start) = (l.oid, %s)
    WHERE (l.oid, l.restarts) = (%s, %s)
"""
_MARK = """
    UPDATE restore_journal.loads SET phase = %s, report = %s, rejects_bytes = %s WHERE oid = %s
"""
_RESET = """
    WITH shards AS (DELETE FROM restore_journal.shards WHERE oid = %(oid)s),
        rejects AS (DELETE FROM restore_journal.rejects WHERE oid = %(oid)s)
    UPDATE restore_journal.loads
    SET phase = %(phase)s, report = NULL, rejects_bytes = 0, restarts = restarts + 1
    WHERE oid = %(oid)s
"""
_CLOSE = """
    UPDATE restore_journal.shards SET stop = position, ended = true, holds = true
    WHERE (oid, start) = (%s, %s)
"""
# What this says must not be lost with the server: files are removed, or rows come, because of it.
_DURABLY = "SET LOCAL synchronous_commit = on"

_report = msgspec.json.Decoder(TableReport)
_table = msgspec.json.Decoder(Table)


class UnfinishedRestore(NamedTuple):
    """A restore that has not finished: its backup, rejects folder and options."""

    begun: dt.datetime
    backup: str
    rejects: str
    options: dict[str, Any]

    def __str__(self) -> str:
        return f"the restore of {self.backup} that was begun at {self.begun:%Y-%m-%d %H:%M:%S}"


class ShardProgress(NamedTuple):
    """Progress of a shard's load.

    Attributes:
        start: where in the file it begins.
        stop: where it ends; None: where the file does.
        position: every record before it is decided.
        ended: there is none behind it.
        holds: another shard may begin where it ends.
        report: its counts.
        rejects_bytes: how much of its reject file belongs to them.
        hashed: how many of the file's bytes from ``start`` on ``hash`` stands for.
        hash: their XXH3 of 128 bits, in hexadecimal.
    """

    start: int
    stop: int | None
    position: int
    ended: bool
    holds: bool
    report: TableReport
    rejects_bytes: int
    hashed: int
    hash: str


class TableProgress(Struct, frozen=True):
    """Progress of a table's load.

    ``table`` is its definition before anything was dropped; ``version`` is the file's in its store.
    """

    table: Table
    file: str
    file_bytes: int
    version: str
    phase: Phase
    report: TableReport | None
    rejects_bytes: int
    shards: list[ShardProgress] = field(default_factory=list)


def can_journal(conn: psycopg.Connection) -> bool:
    """Tell if the role may create or write the journal, and trusts all who may write there."""
    query = """
        SELECT CASE WHEN to_regnamespace('restore_journal') IS NULL
            THEN has_database_privilege(current_database(), 'CREATE')
            ELSE has_schema_privilege('restore_journal', 'CREATE') END
    """
    return conn.execute(query).fetchone() == (True,) and writer_of_all(conn) is None


def create_journal(
    conn: psycopg.Connection,
    loads: Sequence[Load],
    *,
    backup: str,
    rejects: str,
    options: dict[str, Any],
) -> None:
    """Create a journal in which nothing is loaded.

    Args:
        conn: a connection that commits each statement.
        loads: what will be.
        backup: where it is from.
        rejects: the folder for rejects.
        options: what decides about the result, to be the same when it is resumed.

    Raises:
        psycopg.errors.InsufficientPrivilege: the role may not make the journal's schema.
        LoadError: it is another role's.
    """
    with conn.transaction():
        conn.execute(_DURABLY)
        check_journal_trusted(conn)
        conn.execute(_MAKE + MAKE)
        revoke_default_grants(conn)
        check_journal_trusted(conn)
        told = msgspec.json.encode(options).decode()
        conn.execute(_BEGIN, [_FORMAT, backup, rejects, told])
        for place, load in enumerate(loads):
            definition = msgspec.json.encode(load.table).decode()
            file = load.file
            row = [load.table.oid, place, file.name, file.file_bytes, file.version, definition]
            conn.execute(_PUT_LOAD, row)


def read_unfinished(conn: psycopg.Connection) -> UnfinishedRestore | None:
    """Return the unfinished restore; None: there is none.

    Raises:
        LoadError: the journal is another role's.
        ValueError: it was written by another version.
    """
    check_journal_trusted(conn)
    if conn.execute(_IS_THERE).fetchone() != (True,):
        return None
    row = conn.execute("SELECT format FROM restore_journal.restore").fetchone()
    if row is None:
        return None
    if row != (_FORMAT,):
        raise ValueError("the journal was written by another version")
    [(_, begun, backup, rejects, options)] = conn.execute(_BEGUN).fetchall()
    return UnfinishedRestore(begun, backup, rejects, msgspec.json.decode(options))


def read_progress(conn: psycopg.Connection) -> list[TableProgress]:
    """Return the progress of the tables, in the order of the plan."""
    tables = []
    loads = conn.execute(_LOADS).fetchall()
    for oid, file, size, version, definition, phase, report, rejects_bytes in loads:
        rows = conn.execute(_SHARDS, [oid]).fetchall()
        shards = [ShardProgress(*row)._replace(report=_report.decode(row[5])) for row in rows]
        counts = None if report is None else _report.decode(report)
        table = _table.decode(definition)
        tables.append(
            TableProgress(table, file, size, version, phase, counts, rejects_bytes, shards)
        )
    return tables


def read_restarts(conn: psycopg.Connection, oid: int) -> int:
    """Return how often the load of a table has started over."""
    [(restarts,)] = conn.execute(_RESTARTS, [oid]).fetchall()
    return int(restarts)


def read_shard(
    conn: psycopg.Connection, oid: int, start: int, restarts: int
) -> ShardProgress | None:
    """Return the progress of a shard; None: nothing of it is decided.

    Args:
        conn: a connection that commits each statement.
        oid: the table.
        start: the shard's key.
        restarts: how often the load of the table had started over when the shard was handed out.

    Raises:
        LoadError: it started over since.
    """
    row = conn.execute(_SHARD, [start, oid, restarts]).fetchone()
    if row is None:
        raise LoadError("the load of the table started over: this shard of it is out of date")
    if row[0] is None:
        return None
    progress = ShardProgress(*row)._replace(report=_report.decode(row[5]))
    return progress if progress.ended or progress.report.read else None


def has_progress(conn: psycopg.Connection) -> bool:
    """Tell if any record is loaded or rejected already, as far as is committed."""
    return any(
        report.read
        for table in read_progress(conn)
        for report in (table.report, *(shard.report for shard in table.shards))
        if report is not None
    )


def set_phase(
    conn: psycopg.Connection, oid: int, phase: Phase, report: TableReport, rejects_bytes: int
) -> None:
    """Record a table's phase, its counts and the size of its reject file; durably.

    Where the connection is in a transaction, the note is part of that.
    """
    with conn.transaction():
        conn.execute(_DURABLY)
        row = [phase, msgspec.json.encode(report).decode(), rejects_bytes, oid]
        conn.execute(_MARK, row)


def reset(conn: psycopg.Connection, oid: int, phase: Phase) -> None:
    """Record, in the transaction that empties a table, that its load starts over."""
    conn.execute(_RESET, {"oid": oid, "phase": phase})


def close_shards(conn: psycopg.Connection, oid: int, shards: Iterable[ShardProgress]) -> None:
    """Record that unfinished shards end where they were left: other shards take the rest."""
    with conn.transaction():
        for shard in shards:
            conn.execute(_CLOSE, [oid, shard.start])


def drop_journal(conn: psycopg.Connection) -> None:
    """Drop the journal's schema: the restore is finished, or given up."""
    conn.execute("DROP SCHEMA IF EXISTS restore_journal CASCADE")
