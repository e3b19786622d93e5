"""Checks that restored rows would survive a crash of the server when the engine ended.

An engine that returns before its rows are on disk has not restored them, however fast it was. Rows
are found that were committed after the engine's process had ended, as by a program that the server
started, and on the embedded server, whose WAL can be read, rows whose commit was not flushed yet.
Unlogged tables, which a crash empties, and settings that let the server not
wait for its disk are found by ``baseline.py``.
"""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import psutil
import psycopg
from psycopg import sql

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from harness.model.record import TableResult
    from harness.trial.row_hash import TableName

Connection = psycopg.Connection[Any]

_STATE = (
    "SELECT pg_current_wal_flush_lsn()::text, pg_current_wal_insert_lsn()::text,"
    " pg_current_snapshot()::text"
)
# Those that had not ended in a snapshot, and those that have begun since.
_LATER = """
    SELECT number::xid::text FROM pg_snapshot_xip(%(then)s) number
    UNION ALL SELECT number::text::xid8::xid::text FROM generate_series(
        pg_snapshot_xmax(%(then)s)::text::bigint,
        pg_snapshot_xmax(pg_current_snapshot())::text::bigint - 1) number
"""
# A commit that waits for the disk waits for all that was written before it as well.
_FLUSH = "SET synchronous_commit = on; SELECT pg_logical_emit_message(true, 'harness', 'flush')"
_COMMIT = re.compile(
    r"len \(rec/tot\):\s*\d+/\s*(\d+), tx:\s*(\d+), lsn: ([0-9A-F]+)/([0-9A-F]+),"
    r".*desc: COMMIT\b(?:.*subxacts:((?: \d+)+))?"
)
_PAGE_BYTES = 8192
# What a table is made of, if one of these transactions wrote it.
_DEFINITIONS = """
    WITH t AS (SELECT %(table)s::regclass AS oid, %(transactions)s::xid[] AS transactions)
    SELECT EXISTS (
        SELECT FROM t JOIN pg_class ON pg_class.oid = t.oid WHERE pg_class.xmin = ANY(transactions)
        UNION ALL SELECT FROM t JOIN pg_index ON indrelid = t.oid
        WHERE pg_index.xmin = ANY(transactions)
        UNION ALL SELECT FROM t JOIN pg_constraint ON conrelid = t.oid
        WHERE pg_constraint.xmin = ANY(transactions)
        UNION ALL SELECT FROM t JOIN pg_trigger ON tgrelid = t.oid
        WHERE pg_trigger.xmin = ANY(transactions)
    )
"""

# The WAL of a second or two; reading it takes milliseconds.
_DUMP_TIMEOUT_S = 30


@dataclass(frozen=True, slots=True)
class StateAtEnd:
    """What a server had committed when an engine ended.

    Attributes:
        flushed: the WAL position up to which it was on disk.
        inserted: up to which it was written.
        snapshot: the transactions that had ended.
    """

    flushed: str
    inserted: str
    snapshot: str


def state_at_end(server: Connection) -> StateAtEnd | None:
    """Return what is committed; to be called at once when an engine has ended.

    None if the server is gone or cannot tell, such as a standby.
    """
    try:
        row = server.execute(_STATE).fetchone()
    except psycopg.Error:
        return None
    return StateAtEnd(*row) if row is not None else None


def later_transactions(server: Connection, state: StateAtEnd | None) -> tuple[str, ...]:
    """Return the transactions that had not ended in ``state``."""
    if state is None:
        return ()
    found = server.execute(_LATER, {"then": state.snapshot}).fetchall()
    return tuple(number for (number,) in found)


def unflushed_transactions(
    server: Connection, server_pid: int | None, state: StateAtEnd | None
) -> tuple[str, ...]:
    """Return the transactions whose commit was not flushed; none if the WAL cannot be read.

    Args:
        server: a connection; all WAL is flushed first, since only then it can be read.
        server_pid: the embedded server's postmaster, which runs in its data directory.
        state: what was committed.
    """
    if state is None or state.flushed == state.inserted or server_pid is None:
        return ()
    server.execute(_FLUSH)
    on_disk = _bytes(*state.flushed.split("/"))
    # A record may begin before the flushed position: the page before is read too. If no record
    # begins in the range, pg_waldump fails, and there is no commit in it.
    start = max(on_disk // _PAGE_BYTES - 1, 0) * _PAGE_BYTES
    process = psutil.Process(server_pid)
    command = [
        *(str(Path(process.exe()).with_name("pg_waldump")), "--rmgr=Transaction"),
        *(f"--path={Path(process.cwd()) / 'pg_wal'}", f"--end={state.inserted}"),
        f"--start={start >> 32:X}/{start & 0xFFFFFFFF:X}",
    ]
    dumped = subprocess.run(  # noqa: S603 - the server's own program, no shell
        command, capture_output=True, text=True, timeout=_DUMP_TIMEOUT_S, check=False
    )
    return tuple(
        number
        for commit in _COMMIT.finditer(dumped.stdout)
        if _bytes(commit[3], commit[4]) + int(commit[1]) > on_disk
        for number in (commit[2], *(commit[5] or "").split())
    )


def _bytes(high: str, low: str) -> int:
    """Return a WAL position as a number; the server writes two halves in hexadecimal."""
    return (int(high, 16) << 32) + int(low, 16)


def check_durability(
    target: Connection, tables: Iterable[tuple[TableName, TableResult]], transactions: Sequence[str]
) -> tuple[TableResult, ...]:
    """Add to the results of tables which of their rows would not survive a crash.

    Args:
        target: the restored database.
        tables: schema and name of tables, and the results of their verification.
        transactions: those that are ``unflushed_transactions`` or ``later_transactions``.

    Raises:
        psycopg.OperationalError: the server is gone.
    """
    return tuple(
        msgspec.structs.replace(
            result, error=result.error or _unflushed_rows(target, name, result, transactions)
        )
        for name, result in tables
    )


def _unflushed_rows(
    target: Connection, name: TableName, result: TableResult, transactions: Sequence[str]
) -> str | None:
    if not transactions or result.error is not None:
        return None
    numbers = sql.Literal(f"{{{','.join(transactions)}}}")  # no parameter: a name may hold %
    query = sql.SQL("SELECT count(*) FROM {} WHERE xmin = ANY({}::xid[])")
    row = target.execute(query.format(sql.Identifier(*name), numbers)).fetchone()
    if row is not None and row[0]:
        rows = f"{row[0]:,} of {result.expected:,} rows"
        return f"{rows} not on the server's disk when the engine ended"
    parts = {"table": sql.Identifier(*name).as_string(target), "transactions": list(transactions)}
    row = target.execute(_DEFINITIONS, parts).fetchone()
    if row is None or not row[0]:
        return None
    return "an index, a constraint or a trigger not on the server's disk when the engine ended"
