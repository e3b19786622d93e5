"""Checks before anything is written: rights, policies, rules, event triggers.

A right that is missing in the middle of a restore leaves half of it behind; here it costs nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import psycopg
from msgspec import Struct
from psycopg import sql

from restore.errors import LoadError, SchemaError
from restore.plan.dry_run import writable_session
from restore.target.conflicts import read_conflicts, replace_key
from restore.target.deletion import update_refusal
from restore.target.queries import load_query
from restore.target.scattered import where_rows_are
from restore.target.sqlstate import describe, is_lost
from restore.target.trust import writer_of_all
from restore.target.user_code import read_triggers

if TYPE_CHECKING:
    from collections.abc import Iterable

    from restore.options import Options
    from restore.plan.order import Plan
    from restore.report.model import Report
    from restore.target.relations import Relation

_SERVER = """
    SELECT current_user, current_database(), current_setting('server_version'),
           has_database_privilege(current_database(), 'CREATE'),
           has_database_privilege(current_database(), 'TEMP'),
           to_regnamespace('restore_journal') IS NOT NULL,
           (SELECT reset_val FROM pg_settings
            WHERE name = 'default_transaction_read_only') = 'on'
"""

_RIGHTS = load_query("rights")

_RULES = load_query("rules")

# A login trigger, which PostgreSQL 17 brought, has fired by now.
_EVENT_TRIGGERS = """
    SELECT evtname FROM pg_event_trigger WHERE evtenabled IN ('O', 'A') AND evtevent <> 'login'
    ORDER BY evtname
"""
# Statements like those of a restore, by the right to the database that they take.
_PROBES = {
    "TEMP": """
        CREATE TEMP TABLE restore_probe (n int);
        CREATE INDEX restore_probe_n ON pg_temp.restore_probe (n);
        DROP INDEX pg_temp.restore_probe_n;
        ALTER TABLE pg_temp.restore_probe ADD CONSTRAINT restore_probe_one UNIQUE (n);
        ALTER TABLE pg_temp.restore_probe DROP CONSTRAINT restore_probe_one;
        DROP TABLE pg_temp.restore_probe
    """,
    "CREATE": "CREATE SCHEMA restore_probe; DROP SCHEMA restore_probe",
}


class Server(Struct, frozen=True):
    """The server, the database, and the role's rights there."""

    role: str
    database: str
    version: str
    may_create: bool
    may_temp: bool
    has_journal: bool
    is_read_only_by_default: bool

    @property
    def warnings(self) -> list[str]:
        """What a person should know of the server before it is written to."""
        read_only = (
            "default_transaction_read_only is on for this role or database, as some services set it"
            " when a disk is nearly full; the restore writes all the same"
        )
        return [read_only] if self.is_read_only_by_default else []


class _Rights(Struct, frozen=True):
    oid: int
    schema: str
    table: str
    owner: bool
    policies_apply: bool
    policies_forced: bool
    usage: bool
    select: bool
    select_some: bool
    insert: bool
    truncate: bool
    update: bool


def read_server(conn: psycopg.Connection) -> Server:
    """Read the server's version, and the role's rights to the database."""
    row = conn.execute(_SERVER).fetchone()
    return Server(*(row or ()))


def describe_target(conn: psycopg.Connection, server: Server) -> str:
    """Return the database, its host and the role in words; never a password."""
    host, port = conn.info.host or "localhost", conn.info.port
    return f"database {server.database} on {host}:{port} as {server.role}"


def check_rights(
    conn: psycopg.Connection, server: Server, oids: Iterable[int], options: Options
) -> None:
    """Check that the role may load these tables, row by row and by COPY.

    Raises:
        LoadError: it may not; the line names the table, and what to grant.
        SchemaError: a table has a rule that rows which are inserted one by one would go through.
    """
    tables = list(oids)
    for right in _read_rights(conn, tables):
        if not right.usage:
            grant = _grant(conn, "USAGE", "SCHEMA", right.schema, role=server.role)
            raise LoadError(
                f"permission denied for schema {right.schema}, role {server.role} lacks USAGE:"
                f" {grant}"
            )
        replace = options.on_conflict == "replace"
        # Rows that were there before are told apart by more than their columns.
        few = options.on_conflict == "reject" and not options.dry_run
        needs = {
            "SELECT": right.select or (few and right.select_some),
            "INSERT": right.insert,
            "UPDATE": right.update or not replace,
        }
        _deny(conn, server, right, needs)
        if right.policies_apply:
            raise LoadError(_policies(conn, server, right))
    if options.dry_run and not server.may_temp:
        raise LoadError(
            f"a dry run needs temporary tables, which role {server.role} may not make:"
            f" {_grant(conn, 'TEMP', 'DATABASE', server.database, role=server.role)}"
        )
    merges = options.on_conflict != "reject"
    given = {"oids": tables, "events": ["2", "3"] if merges else ["3"], "all": merges}
    for table, rule, event in conn.execute(_RULES, given).fetchall():
        raise SchemaError(
            f"table {table} has the {event} rule {rule}, which would rewrite what the restore"
            f" inserts: {'drop' if merges else 'disable'} it for the restore"
        )


def check_truncate_rights(conn: psycopg.Connection, server: Server, oids: Iterable[int]) -> None:
    """Check that the role may truncate these tables.

    Raises:
        LoadError: it may not; the line names the table, and what to grant.
    """
    for right in _read_rights(conn, oids):
        _deny(conn, server, right, {"TRUNCATE": right.truncate})


def _read_rights(conn: psycopg.Connection, oids: Iterable[int]) -> list[_Rights]:
    return [_Rights(*row) for row in conn.execute(_RIGHTS, [list(oids)]).fetchall()]


def _deny(conn: psycopg.Connection, server: Server, right: _Rights, needs: dict[str, bool]) -> None:
    what = ", ".join(name for name, there in needs.items() if not there)
    if what:
        grant = _grant(conn, what, "TABLE", right.schema, right.table, role=server.role)
        raise LoadError(
            f"permission denied for table {right.table}, role {server.role} lacks {what}: {grant}"
        )


def _grant(conn: psycopg.Connection, what: str, kind: str, *name: str, role: str) -> str:
    return (
        sql.SQL("GRANT {} ON {} {} TO {}")
        .format(sql.SQL(what), sql.SQL(kind), sql.Identifier(*name), sql.Identifier(role))
        .as_string(conn)
    )


def _policies(conn: psycopg.Connection, server: Server, right: _Rights) -> str:
    table = sql.Identifier(right.schema, right.table).as_string(conn)
    role = sql.Identifier(server.role).as_string(conn)
    bypass = f"ALTER ROLE {role} BYPASSRLS"
    if right.owner and right.policies_forced:
        return (
            f"row-level security of table {right.table} is forced on its owner too, and would hide"
            f" or refuse rows: ALTER TABLE {table} NO FORCE ROW LEVEL SECURITY for the restore, or"
            f" {bypass}"
        )
    return (
        f"row-level security of table {right.table} applies to role {server.role}, and would hide"
        f" or refuse rows: restore as the table's owner, or {bypass}"
    )


def check_ownership(conn: psycopg.Connection, server: Server, plan: Plan, options: Options) -> None:
    """Check that the role may drop and disable what has to be for the load.

    Raises:
        LoadError: it may not; the line names the table, and what to grant or to choose.
    """
    tables = plan.tables
    holders = [key.holding_table(tables) for key in plan.deferred_keys]
    oids = [holder.oid for holder in holders]
    owned = {right.oid for right in _read_rights(conn, oids) if right.owner}
    for holder in holders:
        if holder.oid not in owned:
            raise LoadError(
                f"must be owner of table {holder.name}: foreign keys in a cycle are"
                " dropped for the load, which only the tables' owner may do"
            )
    triggers = [] if options.triggers else read_triggers(conn, tables)
    for trigger in triggers:
        if not trigger.owner:
            raise LoadError(
                f"must be owner of table {trigger.table} to keep its trigger {trigger.name} from"
                " firing: restore as the owner, or let the triggers fire with --triggers"
            )
    writer = writer_of_all(conn) if plan.deferred_keys or triggers else None
    if writer is not None:
        raise LoadError(
            "what is dropped or disabled for the load (foreign keys in a cycle, triggers) is"
            f" recorded in a table, and role {writer}, a member of pg_write_all_data, could change"
            " it: revoke that membership for the restore"
        )
    if (plan.deferred_keys or triggers) and not (server.may_create or server.has_journal):
        grant = _grant(conn, "CREATE", "DATABASE", server.database, role=server.role)
        raise LoadError(
            "what is dropped or disabled for the load (foreign keys in a cycle, triggers) is"
            f" recorded in a schema that role {server.role} may not create: {grant}"
        )


def check_scattered(
    conn: psycopg.Connection, relations: Iterable[Relation], options: Options, report: Report
) -> dict[int, str]:
    """Return the tables whose keys and indexes have to stay in place, by oid, with the reason.

    Args:
        conn: a connection that commits each statement.
        relations: the tables to load.
        options: the restore's options.
        report: receives a warning that names them.

    Raises:
        SchemaError: an option, or a trigger that is not to fire, does not work with one of them.
    """
    found = [relation for relation in relations if relation.scattered]
    distributed = [each.display_name for each in found if each.scattered == "citus"]
    by_versions = f"--on-conflict {options.on_conflict}" if options.on_conflict != "reject" else ""
    refused = "--atomic" if options.atomic else by_versions
    if distributed and refused:
        raise SchemaError(
            f"{refused} needs transactions and row versions of one server, and Citus keeps the rows"
            f" of {distributed[0]} in shards: restore without it"
        )
    oids = [relation.oid for relation in found]
    for trigger in read_triggers(conn, oids) if oids and not options.triggers else ():
        raise SchemaError(
            f"trigger {trigger.name} of table {trigger.table} cannot be kept from firing: Citus or"
            " TimescaleDB would enable it in shards or chunks; drop it for the restore, or let it"
            " fire with --triggers"
        )
    reasons: dict[int, str] = {}
    for extension in dict.fromkeys(each.scattered for each in found if each.scattered):
        its = [each for each in found if each.scattered == extension]
        why = where_rows_are(extension, (each.display_name for each in its))
        report.warnings.append(f"{why}: keys and indexes stay in place there, which takes longer")
        reasons |= {each.oid: where_rows_are(extension, [each.display_name]) for each in its}
    return reasons


def check_deletable(
    plan: Plan, kept: dict[int, str], filled: set[int], scattered: dict[int, str]
) -> None:
    """Raise if rows may have to be deleted from a table that does not allow it.

    Args:
        plan: what is loaded.
        kept: the tables that do not let it, by oid, with the reason.
        filled: the tables that hold rows.
        scattered: the tables whose keys cannot be dropped, by oid, with the reason.

    Raises:
        SchemaError: it has to.
    """
    tables = plan.tables
    for key in plan.deferred_keys:
        if key.table in plan.fixed:
            reasons = kept | scattered
            why = reasons.get(key.table) or next(iter(reasons.values()))
            raise SchemaError(
                f"foreign key {key.name} of table {tables[key.table].name} is in a cycle, so it is"
                f" dropped for the load, and rows that violate it could not be deleted: {why}; drop"
                " the key for the restore, or disable the rule or trigger, or give the table a"
                " replica identity"
            )
    for oid in filled & kept.keys() if plan.mode.is_atomic else ():
        raise SchemaError(
            f"--atomic deletes the rows of table {tables[oid].name}, and {kept[oid]}: disable it"
            " for the restore, or restore without --atomic"
        )


def check_on_conflict(conn: psycopg.Connection, plan: Plan, options: Options) -> None:
    """Raise if ON CONFLICT does not work with the keys of a table.

    Raises:
        SchemaError: there is one; the line says what to do.
    """
    given = f"--on-conflict {options.on_conflict}"
    for table in plan.tables.values():
        for conflict in read_conflicts(conn, table.identifier):
            if not conflict.immediate:
                raise SchemaError(
                    f"{given} cannot tell by the deferrable constraint {conflict.name} of table"
                    f" {table.name}: make it NOT DEFERRABLE, or use reject"
                )
        if options.on_conflict == "replace":
            replace_key(table)
            refusal = update_refusal(conn, table.oid)
            if refusal is not None:
                raise SchemaError(
                    f"{given} updates rows of table {table.name}, and {refusal}: ALTER TABLE"
                    f" {table.name} REPLICA IDENTITY FULL, or use skip"
                )


def check_event_triggers(conn: psycopg.Connection, options: Options) -> None:
    """Try statements like those of a restore, and roll them back.

    Functions of event triggers run with the restore's ``search_path``, which has PostgreSQL's own
    objects alone.

    Args:
        conn: a connection that commits each statement.
        options: a dry run makes no schema.

    Raises:
        SchemaError: an event trigger fails, or forbids them.
    """
    names = [name for (name,) in conn.execute(_EVENT_TRIGGERS).fetchall()]
    if not names:
        return
    try:
        with writable_session(conn), conn.transaction(force_rollback=True):
            for right, statements in _PROBES.items():
                if not (right == "CREATE" and options.dry_run) and _may(conn, right):
                    conn.execute(statements)
    except psycopg.Error as error:
        if is_lost(error):
            raise
        raise SchemaError(
            f"event triggers ({', '.join(names)}) keep the restore from making what it needs:"
            f" {describe(error)}; give their functions a search_path (ALTER FUNCTION ... SET"
            " search_path), or disable them for the restore (ALTER EVENT TRIGGER ... DISABLE)"
        ) from error


def _may(conn: psycopg.Connection, right: str) -> bool:
    """Tell if the role has a right on the database."""
    query = "SELECT has_database_privilege(current_database(), %s)"
    return conn.execute(query, [right]).fetchone() == (True,)
