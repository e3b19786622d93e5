"""The state of target and server before a trial, and what differs from it afterwards.

Beside the rows (``verify.py``), a trial is right only if all else is as before: every object of the
database, the rows of other tables, sequences that go on behind the new rows, and a server that
was neither restarted nor told to read its configuration again while the engine ran.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg import sql

from harness.trial import catalog, row_hash, sequences, verify

if TYPE_CHECKING:
    from datetime import datetime

    from harness.model.manifest import Manifest
    from harness.trial.catalog import Snapshot
    from harness.trial.row_hash import TableName, TableTruth
    from harness.trial.sequences import SequenceState

Connection = psycopg.Connection[Any]

_SERVER = "SELECT pg_postmaster_start_time(), pg_conf_load_time()"
_MAY_READ_FILES = "SELECT has_table_privilege('pg_file_settings', 'SELECT')"
_FILE_SETTINGS = "SELECT name, setting FROM pg_file_settings WHERE name IS NOT NULL ORDER BY seqno"
# What belongs to no database; on a server of the user's, others may make such things at any time.
_CLUSTER = """
    SELECT 'role ' || rolname, to_jsonb(r) - '{rolpassword,rolconfig}'::text[] FROM pg_roles r
    UNION ALL SELECT 'database ' || datname, to_jsonb(d) - '{datfrozenxid,datminmxid}'::text[]
    FROM pg_database d
    UNION ALL SELECT 'settings of '
            || concat_ws(' in ', 'role ' || r.rolname, 'database ' || d.datname),
        jsonb_build_object('value', setconfig)
    FROM pg_db_role_setting s LEFT JOIN pg_roles r ON r.oid = s.setrole
    LEFT JOIN pg_database d ON d.oid = s.setdatabase
    UNION ALL SELECT 'tablespace ' || spcname, '{}' FROM pg_tablespace
    UNION ALL SELECT 'replication slot ' || slot_name, '{}' FROM pg_replication_slots
    UNION ALL SELECT 'subscription ' || subname, '{}' FROM pg_subscription
"""
_SESSIONS = "SELECT pid FROM pg_stat_activity"
_SIZES = """
    SELECT datname, pg_database_size(oid) FROM pg_database WHERE datname <> current_database()
"""
# Another database that grows by more holds something that the engine may use again.
_GROWTH_BYTES = 4 << 20
_STATISTICS = "SELECT count(*) FROM pg_stats WHERE schemaname = %s AND tablename = %s"
_ROWS_IN = "SELECT pg_relation_size((quote_ident(%s) || '.' || quote_ident(%s))::regclass) > 0"


@dataclass(frozen=True, slots=True)
class ServerState:
    """What tells whether a server was restarted, its settings changed, or something is left on it.

    ``cluster``, ``sessions`` (process ids) and the sizes of other databases are empty for a server
    of the user's.
    """

    started_at: datetime
    loaded_at: datetime
    file_settings: dict[str, str]
    cluster: dict[str, Any]
    sessions: frozenset[int]
    sizes_bytes: dict[str, int]


@dataclass(frozen=True, slots=True)
class Baseline:
    """A target as it is before an engine runs."""

    others: dict[TableName, TableTruth]
    objects: Snapshot
    sequences: dict[TableName, SequenceState]
    server: ServerState


def take(connection: Connection, truth: Manifest, *, owned: bool) -> Baseline:
    """Return the state of an empty target.

    Args:
        connection: to the target, in autocommit; its session's settings are changed.
        truth: the dataset's ground truth.
        owned: whether the server is ours, so that nobody else changes it.

    Raises:
        psycopg.Error: the server refuses to tell.
    """
    row_hash.prepare(connection)
    return Baseline(
        others=verify.other_tables(connection, truth),
        objects=catalog.snapshot(connection),
        sequences=sequences.read(connection),
        server=_server_state(connection, owned=owned),
    )


def differences(
    connection: Connection, before: Baseline, truth: Manifest, *, owned: bool
) -> list[str]:
    """Describe how a target and its server differ from before, apart from the dataset's rows.

    Arguments and errors are those of ``take``.
    """
    objects = catalog.snapshot(connection)
    return [
        *_server_differences(before.server, _server_state(connection, owned=owned)),
        *catalog.differences(before.objects, objects),
        *sequences.differences(
            connection, before.sequences, sum(table.records for table in truth.tables)
        ),
    ]


def drop_new_databases(connection: Connection, before: Baseline) -> None:
    """Drop the databases that an engine made on a server of ours: no next trial must see them.

    Raises:
        psycopg.Error: one cannot be dropped.
    """
    for name in _server_state(connection, owned=True).sizes_bytes:
        if name not in before.server.sizes_bytes:
            statement = sql.SQL("DROP DATABASE {} WITH (FORCE)")
            connection.execute(statement.format(sql.Identifier(name)))


def without_statistics(connection: Connection, truth: Manifest) -> tuple[str, ...]:
    """Return the tables of the dataset that have rows and no statistics for the planner."""
    return tuple(
        table.table
        for table in truth.tables
        if table.rows
        and _has(connection, _ROWS_IN, table.name)
        and not _has(connection, _STATISTICS, table.name)
    )


def _has(connection: Connection, query: str, name: TableName) -> bool:
    try:
        row = connection.execute(query, name).fetchone()
    except psycopg.errors.UndefinedTable:
        return False
    return row is not None and bool(row[0])


def _server_state(connection: Connection, *, owned: bool) -> ServerState:
    started_at, loaded_at = connection.execute(_SERVER).fetchall()[0]
    may_read = connection.execute(_MAY_READ_FILES).fetchall()[0][0]
    files = connection.execute(_FILE_SETTINGS).fetchall() if may_read else []
    cluster = connection.execute(_CLUSTER).fetchall() if owned else []
    sessions = connection.execute(_SESSIONS).fetchall() if owned else []
    sizes = connection.execute(_SIZES).fetchall() if owned else []
    return ServerState(
        started_at,
        loaded_at,
        dict(files),
        dict(cluster),
        frozenset(pid for (pid,) in sessions),
        dict(sizes),
    )


def _server_differences(before: ServerState, after: ServerState) -> list[str]:
    """Describe what was done to a server; a setting may have been changed and changed back."""
    found = []
    if after.started_at != before.started_at:
        found.append("the server was restarted while the engine ran")
    elif after.loaded_at != before.loaded_at:
        found.append(
            "the server's configuration was loaded again while the engine ran, so that settings"
            " such as fsync may have been off"
        )
    names = sorted(before.file_settings.keys() | after.file_settings.keys())
    found += [
        f"setting {name} was changed in the server's configuration"
        for name in names
        if before.file_settings.get(name) != after.file_settings.get(name)
    ]
    found += [
        f"database {name} grew while the engine ran"
        for name, size in after.sizes_bytes.items()
        if size - before.sizes_bytes.get(name, size) > _GROWTH_BYTES
    ]
    found += [f"{one} is new" for one in sorted(after.cluster.keys() - before.cluster.keys())]
    found += [f"{one} is missing" for one in sorted(before.cluster.keys() - after.cluster.keys())]
    for one, definition in before.cluster.items():
        changes = [*catalog.changed_fields(definition, after.cluster.get(one, definition))]
        found += [f"{one}: {', '.join(changes)}"] if changes else []
    return found
