"""Makes shadows for a dry run: temporary tables like the target's, private to the session.

All that a restore does is done, but to the shadows. Once they are made the session may only read,
so that the server itself refuses any write to the target.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from msgspec.structs import replace
from psycopg import sql
from psycopg.pq import TransactionStatus

from restore.plan.order import make_plan
from restore.target import catalog
from restore.target.connection import users_search_path
from restore.target.queries import load_query
from restore.target.scattered import scattered_tables
from restore.target.sequences import read_sequences
from restore.target.user_code import read_triggers

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import psycopg

    from restore.plan.order import Plan
    from restore.target.catalog import Table
    from restore.target.foreign_keys import RelatedTable

_TEMPORARY = "pg_temp"
# Rows of temporary tables may be written all the same; nothing else may be, not even made.
_READ_ONLY = sql.SQL("SET default_transaction_read_only = {}")

_DEFAULTS = load_query("sequence_defaults")

_CALLS = load_query("volatile_defaults")

# A partitioned table takes the rows that one of its partitions takes; its shadow has none.
_PARTITIONS = """
    SELECT c.oid, ARRAY(SELECT pg_get_partition_constraintdef(t.relid)
                        FROM pg_partition_tree(c.oid) t WHERE t.isleaf AND t.relid <> c.oid)
    FROM pg_class c WHERE c.relkind = 'p' AND c.oid = ANY(%s)
"""

_BOUNDS = """
    SELECT u.oid, COALESCE(pg_get_partition_constraintdef(u.oid), 'true')
    FROM unnest(%s::oid[]) AS u(oid)
"""


def shadow_plan(conn: psycopg.Connection, plan: Plan, *, append: bool) -> tuple[Plan, list[str]]:
    """Return a plan that loads shadows; from now on the session may only read the target.

    Its keys are also those that refer to tables outside the backup, since shadows have no foreign
    keys: all are to be checked by sets when the shadows are loaded.

    Args:
        conn: a connection that commits each statement.
        plan: what would be loaded.
        append: the rows that are in the tables stay, so they are in the shadows too.

    Returns:
        The plan, and warnings: what the restore will do and the dry run does not.

    Raises:
        psycopg.Error: the server refused.
    """
    real = plan.tables
    warnings = [
        f"trigger {trigger.name} of {trigger.table} does not fire in a dry run"
        for trigger in read_triggers(conn, real)
    ]
    calls = conn.execute(_CALLS, [list(real)]).fetchall()
    warnings += [
        f"the default of {real[oid].name}.{column} calls {function}(), which a dry run does not:"
        " records without that field have NULL there"
        for oid, column, function in calls
    ]
    tables = make_shadows(conn, real)
    if append:
        for oid, table in tables.items():
            _copy_rows(conn, real[oid], table)
    files = {load.table.oid: load.file for load in plan.loads}
    keys = [key for table in tables.values() for key in table.foreign_keys]
    partly = {k: k.referenced.name for k in keys if k.referenced and k.referenced.is_above}
    keys = [key for key in keys if key not in partly]
    warnings += [
        f"foreign keys to {name}, of which only partitions are in the backup, are not seen"
        for name in sorted(set(partly.values()))
    ]
    outside = catalog.read_tables(conn, {key.parent for key in keys} - real.keys())
    scattered = scattered_tables(conn)
    for oid, hidden in list(outside.items()):
        if scattered.get(oid) == "citus":
            why = "whose rows Citus keeps in shards"
        elif not _may_read(conn, oid):
            why = "which the role may not read"
        else:
            continue
        del outside[oid]
        keys = [key for key in keys if key.parent != oid]
        warnings.append(f"foreign keys to {hidden.name}, {why}, are not seen")
    made = make_plan(files, tables, mode=plan.mode)
    conn.execute(_READ_ONLY.format(sql.SQL("on")))
    return replace(made, keys=tuple(keys), external_parents=tuple(outside.values())), warnings


@contextlib.contextmanager
def writable_session(conn: psycopg.Connection) -> Iterator[None]:
    """Let a dry run's session create temporary tables; has no effect on other sessions.

    Args:
        conn: a connection that commits each statement.
    """
    before = conn.execute("SHOW default_transaction_read_only").fetchone()
    conn.execute(_READ_ONLY.format(sql.SQL("off")))
    try:
        yield
    finally:
        if conn.info.transaction_status is TransactionStatus.IDLE:  # else it is lost, or at work
            conn.execute(_READ_ONLY.format(sql.SQL(before[0] if before else "off")))


def _may_read(conn: psycopg.Connection, oid: int) -> bool:
    query = "SELECT has_table_privilege(%s::oid, 'SELECT')"
    return conn.execute(query, [oid]).fetchone() == (True,)


def make_shadows(conn: psycopg.Connection, tables: dict[int, Table]) -> dict[int, Table]:
    """Create a temporary table like each of these: columns, defaults, keys, checks, indexes.

    Sequences that defaults draw from have shadows too. A shadow has no foreign keys and triggers.

    Args:
        conn: a connection that commits each statement.
        tables: the target's tables, by oid.

    Returns:
        The shadows by the same oids, with the same columns and keys, and nothing to drop.
    """
    defaults = conn.execute(_DEFAULTS, [list(tables)]).fetchall()
    calls = conn.execute(_CALLS, [list(tables)]).fetchall()
    partitions: dict[int, list[str | None]] = dict(
        conn.execute(_PARTITIONS, [list(tables)]).fetchall()
    )
    shadows: dict[int, Table] = {}
    taken = {"restore_staging", "restore_writes", "restore_ticks"}  # tables of our own
    for oid, table in tables.items():
        name = table.name if table.name not in taken else f"restore_shadow_{oid}"
        taken.add(name)
        shadows[oid] = replace(table, schema=_TEMPORARY, name=name, indexes=(), partitioned=False)
        conn.execute(
            sql.SQL("CREATE TEMP TABLE {} (LIKE {} INCLUDING ALL EXCLUDING COMMENTS)").format(
                sql.Identifier(name), table.identifier
            )
        )
        if oid in partitions:
            _check_partitions(conn, shadows[oid], partitions[oid])
    _shadow_sequences(conn, {row[3] for row in defaults})
    for oid, column, expression, sequence, shown in defaults:
        default = expression.replace(shown, f"'{_TEMPORARY}.{_sequence(sequence)}'::regclass")
        _alter_column(conn, shadows[oid], column, sql.SQL("SET DEFAULT") + sql.SQL(f" {default}"))
    for oid, column, _ in calls:
        _alter_column(conn, shadows[oid], column, sql.SQL("DROP DEFAULT"))
    return _with_sequences(conn, _with_bounds(conn, shadows))


def _with_bounds(conn: psycopg.Connection, shadows: dict[int, Table]) -> dict[int, Table]:
    """Return the shadows with keys that tell by conditions which rows would be in a partition."""
    keys = [key for table in shadows.values() for key in table.foreign_keys]
    oids = {part.oid for key in keys for part in (key.holder, key.referenced) if part}
    bounds: dict[int, str] = dict(conn.execute(_BOUNDS, [list(oids)]).fetchall())

    def bounded(part: RelatedTable | None) -> RelatedTable | None:
        return part and replace(part, bound=bounds[part.oid])

    return {
        oid: replace(
            table,
            foreign_keys=tuple(
                replace(key, holder=bounded(key.holder), referenced=bounded(key.referenced))
                for key in table.foreign_keys
            ),
        )
        for oid, table in shadows.items()
    }


def _with_sequences(conn: psycopg.Connection, shadows: dict[int, Table]) -> dict[int, Table]:
    names = [table.identifier.as_string(conn) for table in shadows.values()]
    query = "SELECT n, to_regclass(n)::oid FROM unnest(%s::text[]) AS s(n)"
    found: dict[str, int] = dict(conn.execute(query, [names]).fetchall())
    sequences = read_sequences(conn, list(found.values()))
    return {
        oid: replace(table, sequences=tuple(sequences[found[name]]))
        for (oid, table), name in zip(shadows.items(), names, strict=True)
    }


def _sequence(oid: int) -> str:
    return f"restore_shadow_sequence_{oid}"


def _shadow_sequences(conn: psycopg.Connection, oids: Iterable[int]) -> None:
    for oid in oids:
        conn.execute(sql.SQL("CREATE TEMP SEQUENCE {}").format(sql.Identifier(_sequence(oid))))


def _alter_column(
    conn: psycopg.Connection, table: Table, column: str, action: sql.Composable
) -> None:
    conn.execute(
        sql.SQL("ALTER TABLE {} ALTER COLUMN {} {}").format(
            table.identifier, sql.Identifier(column), action
        )
    )


def _check_partitions(conn: psycopg.Connection, table: Table, bounds: list[str | None]) -> None:
    """Make a shadow accept what a partition accepts, by PostgreSQL's own conditions."""
    if None in bounds:
        return  # a default partition that stands alone takes all
    accepts = sql.SQL(" OR ").join(sql.SQL(f"({bound})") for bound in bounds)
    conn.execute(
        sql.SQL("ALTER TABLE {} ADD CONSTRAINT no_partition_of_relation_found CHECK ({})").format(
            table.identifier, accepts if bounds else sql.SQL("false")
        )
    )


def _copy_rows(conn: psycopg.Connection, table: Table, shadowed: Table) -> None:
    names = [sql.Identifier(column.name) for column in table.columns if not column.generated]
    if names:
        with users_search_path(conn):  # CHECK functions of the users' are called
            conn.execute(
                sql.SQL(
                    "INSERT INTO {} ({columns}) OVERRIDING SYSTEM VALUE SELECT {columns} FROM {}"
                ).format(shadowed.identifier, table.identifier, columns=sql.SQL(", ").join(names))
            )
